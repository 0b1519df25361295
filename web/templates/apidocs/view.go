// Package apidocs holds the page that describes the machine API.
package apidocs

import (
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"switchgear/web/templates/layout"
	"switchgear/web/templates/ui"
)

// View is the description of one version of the API.
type View struct {
	Bare layout.Bare
	// Description says what the version is for.
	Description string
	// Base is what paths are appended to: /api/v1.
	Base string
	// DocumentHref leads to the same description for programs.
	DocumentHref string
	// Rules are what holds for every operation.
	Rules  []Rule
	Groups []Group
}

// Rule is one thing that holds for every operation.
type Rule struct{ Name, Text string }

// Group is the operations on one kind of resource.
type Group struct {
	Name       string
	Operations []Operation
}

// Operation is one method on one path.
type Operation struct {
	// ID is unique in the page.
	ID, Method, Path, Summary, Description string
	// Scope is what an API key needs.
	Scope      string
	Parameters []Parameter
	// RequestType and Request are the media type of the body and an example; empty when there is none.
	RequestType, Request string
	// Response is an example of the answer of success; empty when it has no body.
	Response string
	Answers  []Answer
}

// Parameter is a part of the path, the query or the header.
type Parameter struct {
	Name, In, Type, Description string
	Required                    bool
}

// Answer is a status that an operation may be answered with.
type Answer struct {
	Status  int
	Meaning string
}

func (o Operation) title() string { return o.Method + " " + o.Path }

func (v View) rules() []ui.Fact {
	facts := make([]ui.Fact, len(v.Rules))
	for i, r := range v.Rules {
		facts[i] = ui.Fact{Key: r.Name, Value: ui.Text(r.Text)}
	}
	return facts
}

func (v View) contents() ui.Table {
	t := ui.Table{
		Caption: "Operations", Columns: []ui.Column{{Label: "Method"}, {Label: "Path"}, {Label: "What it does", Wrap: true}},
		Empty: ui.EmptyState{Title: "This version has no operations"},
	}
	for _, g := range v.Groups {
		for _, o := range g.Operations {
			t.Rows = append(t.Rows, ui.Row{Cells: []templ.Component{ui.Mono(o.Method), ui.Link(o.Path, "#"+o.ID), ui.Text(o.Summary)}})
		}
	}
	return t
}

func (o Operation) parameters() ui.Table {
	t := ui.Table{
		ID: o.ID + "-parameters", Caption: "Parameters of " + o.title(),
		Columns: []ui.Column{{Label: "Parameter"}, {Label: "In"}, {Label: "Type", Desktop: true}, {Label: "Meaning", Wrap: true}},
	}
	for _, p := range o.Parameters {
		meaning := p.Description
		if p.Required && p.In != "path" {
			meaning = strings.TrimSpace(meaning + " Required.")
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []templ.Component{ui.Mono(p.Name), ui.Text(p.In), ui.Text(p.Type), ui.Text(meaning)}})
	}
	return t
}

func (o Operation) facts() []ui.Fact {
	answers := make([]string, len(o.Answers))
	for i, a := range o.Answers {
		answers[i] = strconv.Itoa(a.Status) + " " + a.Meaning
	}
	return []ui.Fact{
		{Key: "Scope of the key", Value: ui.Mono(o.Scope)},
		{Key: "Answers", Value: ui.Text(strings.Join(answers, ", "))},
	}
}
