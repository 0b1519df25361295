// Package gallery shows every component and page of the console in every state it can be in.
//
// The console serves it at /dev/gallery in development. The states come from [States] (the design
// system) and from the Gallery function of each folder of pages. The same lists feed the golden and
// accessibility tests, so a state that is in no list is tested nowhere.
package gallery

import (
	"strings"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// Path is where the console serves the gallery.
const Path = "/dev/gallery"

// Group is a component or page with its states.
type Group struct {
	Name   string
	States []ui.State
}

// View is the gallery: all groups in the navigation, the states of one in view.
type View struct {
	Page   layout.Page
	Groups []Group
	// Current is the group in view; unknown or empty shows the first.
	Current string
}

// Groups puts lists of states together by the name of their group, in the order in which the names first
// appear.
func Groups(lists ...[]ui.State) []Group {
	var groups []Group
	index := map[string]int{}
	for _, states := range lists {
		for _, s := range states {
			i, ok := index[s.Group]
			if !ok {
				i = len(groups)
				index[s.Group] = i
				groups = append(groups, Group{Name: s.Group})
			}
			groups[i].States = append(groups[i].States, s)
		}
	}
	return groups
}

// Find returns the state with a name in a group: what ?group= and ?state= ask for. A state that is a
// whole page is rendered as it is, with layout.WithAssets in the context.
func Find(groups []Group, group, name string) (ui.State, bool) {
	for _, g := range groups {
		if g.Name != group {
			continue
		}
		for _, s := range g.States {
			if s.Name == name {
				return s, true
			}
		}
	}
	return ui.State{}, false
}

func (v View) current() Group {
	for _, g := range v.Groups {
		if g.Name == v.Current {
			return g
		}
	}
	if len(v.Groups) > 0 {
		return v.Groups[0]
	}
	return Group{}
}

// frame is the page's frame with the groups as its navigation.
func (v View) frame() layout.Page {
	p := v.Page
	p.Title = "Gallery"
	group := layout.NavGroup{Label: "Gallery"}
	for _, g := range v.Groups {
		group.Items = append(group.Items, layout.NavItem{
			Label: g.Name, Href: ui.URL(Path, "group", g.Name), Icon: "grid", Count: ui.Thousands(int64(len(g.States))),
			Current: g.Name == v.current().Name,
		})
	}
	p.Nav = append(layout.Nav{group}, p.Nav...)
	return p
}

// anchor is the id of a state in the page.
func anchor(s ui.State) string {
	return "state-" + strings.ReplaceAll(strings.ToLower(s.Group+"-"+s.Name), " ", "-")
}
