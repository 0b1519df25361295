package ui

import "github.com/a-h/templ"

// State is one named state of a page or component: "empty", "one", "many", "error", "degraded",
// "long text". One list of states feeds the gallery, the golden tests and the accessibility checks.
type State struct {
	// Name is unique within its group.
	Name string
	// Group is the component or page.
	Group string
	View  templ.Component
	// Page marks a whole document, which the gallery shows on its own page.
	Page bool
}
