// Package overview holds the first page of the console.
package overview

import (
	"time"

	"switchgear/web/templates/layout"
)

// View is the overview: the connections with their traffic, the way to the first one, and what changed.
type View struct {
	Page layout.Page
	Now  time.Time
	// Steps lead a new installation to its first connection. Without any, none of them is the visitor's
	// to do: no list is shown.
	Steps []Step
	// Users, Keys and AuditEntries count what exists; -1 is for a visitor who may not see it.
	Users, Keys, AuditEntries int
	// Connections counts those that exist; without one the page leads to the first.
	Connections int
	// Impact is the connections with their recent traffic.
	Impact Impact
	// CanConfigure offers to make a connection.
	CanConfigure bool
	// Demo is the demonstration.
	Demo Demo
	// Recent are the newest audit entries the visitor may see, newest first.
	Recent []Activity
}

// Step is one thing to do. Href is empty when there is nothing to open yet.
type Step struct {
	Title, Text, Href, Action string
	Done                      bool
}

// Activity is one recent change.
type Activity struct {
	At                    time.Time
	Actor, Action, Target string
	Href                  string
}
