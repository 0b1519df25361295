// Package layout is the frame around every page: the document, navigation and messages.
//
// A page carries a [Page] (signed in: navigation at the side) or a [Bare] (set-up, sign-in, errors: one
// centred card) and renders inside it:
//
//	@v.Page.Frame() {
//		@ui.PageHeader{Title: "Users"}
//	}
//
// Invariants: no inline script or style; everything works without JavaScript, the navigation drawer of
// the phone included; the navigation holds exactly the links it is given, so it never points to a page
// that does not exist.
package layout

import (
	"strconv"

	"switchgear/web/templates/ui"
)

// Assets names the address of an embedded file ("css/app.css") with its content hash.
type Assets interface {
	URL(name string) string
}

// Page is what the frame of a signed-in page shows.
type Page struct {
	// Title is the name of the page, without the product's name.
	Title string
	Nav   Nav
	User  User
	// Flash is shown once, above the content; the zero value shows nothing.
	Flash Flash
	// Live lists the topics this page follows; empty means that it opens no stream.
	Live []string
	// LiveSince is the moment from before the page was made; see ui.LiveStream.
	LiveSince uint64
	// More are pages that the navigation leaves out, one's own among them; only the list that Ctrl-K opens
	// finds them.
	More []NavItem
	// Path is the address of the page, for links that come back to it.
	Path string
	// Version (by its short name) and RequestID are told at the bottom of the navigation.
	Version, RequestID string
	Assets             Assets
	// Theme is "light" or "dark" when the visitor's choice is known to the server; empty follows the
	// browser (its stored choice, then the system's).
	Theme string
}

// Nav is the navigation: groups in the order shown.
type Nav []NavGroup

// NavGroup is a headed part of the navigation.
type NavGroup struct {
	Label string
	Items []NavItem
}

// NavItem is one link of the navigation.
type NavItem struct {
	Label, Href string
	// Icon is a name from ui.IconNames.
	Icon string
	// Count is shown at the end of the line when it is not empty ("3"). CountTone ui.ToneBad marks what
	// needs attention.
	Count     string
	CountTone ui.Tone
	// Current marks the page that is open, or the section it belongs to.
	Current bool
}

// User is who is signed in. The zero value shows nobody.
type User struct {
	Email, Name, Role string
	// ProfileHref is one's own page, SignOutAction where the sign-out form posts to.
	ProfileHref, SignOutAction string
}

// Flash is a message that follows an action. Kind is ok, warn, bad or info.
type Flash struct {
	Kind, Message string
}

// Bare is what the frame of a page without navigation shows: one centred card.
type Bare struct {
	Title string
	// Flash is shown above the card.
	Flash              Flash
	Version, RequestID string
	Assets             Assets
	Theme              string
	// Wide doubles the width of the card.
	Wide bool
}

// attention is the sum of the counts that need someone, for the bar of the phone where the navigation is
// out of sight; empty when there are none.
func (n Nav) attention() string {
	sum := 0
	for _, g := range n {
		for _, i := range g.Items {
			if i.CountTone != ui.ToneBad {
				continue
			}
			if count, err := strconv.Atoi(i.Count); err == nil {
				sum += count
			}
		}
	}
	if sum == 0 {
		return ""
	}
	return strconv.Itoa(sum)
}
