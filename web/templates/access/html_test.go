package access

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// document is a parsed page with what the checks ask for again and again.
type document struct {
	elements []*html.Node
	ids      map[string]int
	labelled map[string]bool // ids that a label points to
}

func parse(t *testing.T, source string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	d := document{ids: map[string]int{}, labelled: map[string]bool{}}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || inTemplate(n) {
			continue
		}
		d.elements = append(d.elements, n)
		if id, ok := attribute(n, "id"); ok {
			d.ids[id]++
		}
		if target, ok := attribute(n, "for"); ok {
			d.labelled[target] = true
		}
	}
	return d
}

// inTemplate reports whether n is part of a shape for scripts, which is not in the page.
func inTemplate(n *html.Node) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == "template" {
			return true
		}
	}
	return false
}

func attribute(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

func value(n *html.Node, key string) string {
	v, _ := attribute(n, key)
	return v
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func within(n *html.Node, tag string) *html.Node {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == tag {
			return p
		}
	}
	return nil
}

// Every link leads to a page of the console, and every page has one main heading.
func TestPagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, s := range Gallery() {
		headings := 0
		for _, n := range parse(t, render(t, s)).elements {
			if n.Data == "h1" {
				headings++
			}
			checkAddresses(t, n)
		}
		if s.Page && headings != 1 {
			t.Errorf("%s, %s: %d main headings", s.Group, s.Name, headings)
		}
	}
}

// checkAddresses finds links, forms and refreshes that lead to no URL of the console.
func checkAddresses(t *testing.T, n *html.Node) {
	t.Helper()
	id := `[A-Za-z0-9_]+`
	get := regexp.MustCompile(`^(#.*|/static/.*|/|/(users|users/` + id + `|users/` + id + `/(disable|enable)|invitations|invitations/new|invitations/` + id +
		`/revoke|sessions|profile|keys|keys/new|keys/` + id + `/revoke|audit|sign-in)(\?.*)?)$`)
	post := regexp.MustCompile(`^/(setup|sign-in|sign-out|accept|users/` + id + `/(role|disable|enable)|invitations/new|invitations/` + id +
		`/revoke|sessions/revoke-others|sessions/` + id + `/revoke|profile|profile/password|keys/new|keys/` + id + `/revoke)$`)
	for _, key := range []string{"href", "hx-get", "src"} {
		if address, ok := attribute(n, key); ok && !get.MatchString(address) {
			t.Errorf("<%s %s=%q> leads to no page", n.Data, key, address)
		}
	}
	if n.Data != "form" {
		return
	}
	switch action := value(n, "action"); value(n, "method") {
	case "get":
		if !get.MatchString(action) {
			t.Errorf("<form action=%q> leads to no page", action)
		}
	case "post":
		if !post.MatchString(action) {
			t.Errorf("<form action=%q> posts to no route", action)
		}
	default:
		t.Errorf("<form action=%q> has the method %q", action, value(n, "method"))
	}
}

// controls lists the names that the form with an action sends, sorted, once each.
func (d document) controls(action string) []string {
	var names []string
	for _, n := range d.elements {
		name := value(n, "name")
		if form := within(n, "form"); name == "" || form == nil || value(form, "action") != action {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
