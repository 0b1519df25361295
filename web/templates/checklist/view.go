// Package checklist holds the page of how ready all connections are, and the signs that the pages of one
// connection share with it. View models are plain values; they know no domain package.
package checklist

import (
	"time"

	"switchgear/web/templates/layout"
)

// Option is one choice of a select.
type Option struct{ Value, Label string }

// MatrixView is every connection with every item. Its filters are q, environment, verdict and item; sort is
// by done, name, environment.
type MatrixView struct {
	Page                                     layout.Page
	Now                                      time.Time
	Items                                    []Item
	Rows                                     []Row
	Total, Number, Limit                     int
	Search, Environment, Verdict, Item, Sort string
	Environments                             []Option
}

// Item is one line of the checklist.
type Item struct {
	ID, Title, About string
	Number           int
}

// Row is one connection.
type Row struct {
	Slug, Name, Environment string
	Version                 int
	Done                    int
	// Verdicts are pass, fail, stale, unknown or exempt, in the order of the items; none before the
	// connection was judged.
	Verdicts []string
	JudgedAt time.Time
}
