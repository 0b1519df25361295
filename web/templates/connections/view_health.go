package connections

import (
	"time"

	"switchgear/web/templates/health"
	"switchgear/web/templates/layout"
)

// HealthRegion is the id of the part with the status and its history, which refreshes itself.
const HealthRegion = "connection-health"

// HealthView is the tab with how a connection is and was. Its filters are state, from and to.
type HealthView struct {
	Page   layout.Page
	Now    time.Time
	Head   Header
	Status HealthStatus
	// Courses are how it was over the last day, week and month.
	Courses []HealthCourse
	Rows    []HealthChange
	// State, From and To are the filters; the last two are dates.
	State, From, To      string
	Total, Number, Limit int
	Errors               Errors
}

// HealthStatus is how a connection is.
type HealthStatus struct {
	State health.State
	Why   string
	Since time.Time
	// Until is when it may change by itself; zero when it is not known.
	Until time.Time
	// Request is the health check of the policy, empty without one; Every how often it is sent where nobody
	// calls, 0 when it is only sent by hand.
	Request string
	Every   time.Duration
	Check   HealthCheck
}

// HealthCheck is the last request of ours; its At is zero when there was none.
type HealthCheck struct {
	At     time.Time
	OK     bool
	Answer string
	Took   time.Duration
}

// HealthCourse is how a connection was over a time until now.
type HealthCourse struct {
	// Label is like "24 hours".
	Label string
	// States are the worst of each step, oldest first; empty where nothing is known.
	States []health.State
	Step   time.Duration
	// Up is how long calls could get what they wanted, of Known.
	Up, Known time.Duration
	// Outages are when they could not, the oldest first.
	Outages []HealthOutage
}

// HealthOutage is a time in which calls could not get what they wanted.
type HealthOutage struct {
	State    health.State
	From, To time.Time
}

// HealthChange is one change of the status.
type HealthChange struct {
	ID     string
	At     time.Time
	To     health.State
	Why    string
	Actor  string // empty when no person made it so
	Lasted time.Duration
	Now    bool // it is still so
}
