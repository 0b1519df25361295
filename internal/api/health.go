package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/health"
)

// conditions say how connections are; *health.Service does.
type conditions interface {
	Board(a access.Actor) (*health.Board, error)
	History(ctx context.Context, a access.Actor, connectionID string, q health.HistoryQuery) (health.History, error)
	CheckNow(ctx context.Context, a access.Actor, slug string) (health.Check, error)
	Check(connectionID string) (health.Check, bool)
}

// HealthSummary is how a connection is.
type HealthSummary struct {
	Status   string    `json:"status" enum:"healthy,degraded,down,held,credential_problem,not_set_up,idle,paused" doc:"Idle is not healthy: nothing is known to work. One that is not set up has never had the credential that its calls need."`
	Sentence string    `json:"sentence" doc:"Why, in words."`
	Since    time.Time `json:"since"`
}

// ConnectionHealth is how a connection is, and what it is judged by.
type ConnectionHealth struct {
	HealthSummary

	Connection string `json:"connection" example:"stripe"`
	Attention  bool   `json:"attention" doc:"Whether somebody should look."`
	// Times that are not known are left out.
	Until     time.Time   `json:"until,omitzero" doc:"When it may change by itself: the next probe, the end of a pause."`
	Account   string      `json:"account,omitempty" doc:"The account whose credential or pause it is about."`
	Operation string      `json:"operation,omitempty" doc:"The operation whose breaker decided."`
	Facts     HealthFacts `json:"facts"`
}

// HealthFacts are what a status is made of.
type HealthFacts struct {
	Calls        int          `json:"calls" doc:"Of the last 15 minutes."`
	Failed       int          `json:"failed" doc:"Without those that were refused here."`
	Refused      int          `json:"refused" doc:"Those that were not let out here: paused, over a limit, kept back by a breaker. They say nothing about the upstream, but a connection whose calls nearly all end so needs attention."`
	Lately       int          `json:"calls_lately" doc:"Of the last 5 minutes, by which it is judged; without those that were refused here."`
	LatelyFailed int          `json:"failed_lately"`
	LastCall     time.Time    `json:"last_call_at,omitzero"`
	LastSuccess  time.Time    `json:"last_success_at,omitzero"`
	LastFailure  time.Time    `json:"last_failure_at,omitzero"`
	LastError    string       `json:"last_error,omitempty" doc:"How the last failure ended."`
	NotClosed    int          `json:"breakers_not_closed" doc:"Breakers of the connection and its operations that do not let every call pass."`
	Check        *HealthCheck `json:"last_check,omitempty"`
}

// HealthCheck is the last request of ours that asked whether the upstream answers.
type HealthCheck struct {
	At         time.Time `json:"at"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	OK         bool      `json:"ok"`
	Answer     string    `json:"answer" example:"200 OK"`
	Status     int       `json:"status" doc:"0 without an answer."`
	Outcome    string    `json:"outcome" example:"success"`
	DurationMS float64   `json:"duration_ms"`
	InARow     int       `json:"failed_in_a_row" doc:"This one included."`
}

// HealthChange is one change of a status.
type HealthChange struct {
	At       time.Time `json:"at" doc:"Since when it is so."`
	Until    time.Time `json:"until,omitzero" doc:"Left out while it is so."`
	Seconds  float64   `json:"seconds" doc:"How long it was so, until now at most."`
	From     string    `json:"from,omitempty" doc:"Left out when nothing was known."`
	To       string    `json:"to"`
	Sentence string    `json:"sentence"`
	Actor    string    `json:"actor,omitempty" doc:"The person who made it so."`
}

func healthSummary(it health.Item) HealthSummary {
	return HealthSummary{Status: string(it.Status.State), Sentence: it.Status.Why, Since: it.Status.Since.UTC()}
}

func healthCheckOf(c health.Check) *HealthCheck {
	return &HealthCheck{
		At: c.At.UTC(), Method: c.Method, Path: c.Path, OK: c.OK(), Answer: c.Answer(), Status: c.Status, Outcome: string(c.Outcome),
		DurationMS: milliseconds(c.Took), InARow: c.InARow,
	}
}

func (v *version) healthOf(it health.Item) ConnectionHealth {
	w, st := it.Traffic, it.Status
	out := ConnectionHealth{
		HealthSummary: healthSummary(it), Connection: it.Slug, Attention: st.State.Attention(), Until: st.Until.UTC(), Account: st.Account,
		Facts: HealthFacts{
			Calls: w.Calls, Failed: w.Failed, Refused: w.Refused, Lately: w.Lately, LatelyFailed: w.LatelyFailed, LastCall: w.LastCall.UTC(),
			LastSuccess: w.LastSuccess.UTC(), LastFailure: w.LastFailure.UTC(), LastError: w.LastError, NotClosed: it.Breakers,
		},
	}
	if st.Breaker != nil {
		out.Operation = st.Breaker.Key.Operation
	}
	if c, ok := v.deps.Health.Check(it.ID); ok {
		out.Facts.Check = healthCheckOf(c)
	}
	return out
}

func (v *version) healthChangeOf(c health.Change) HealthChange {
	return HealthChange{
		At: c.At.UTC(), Until: c.Until.UTC(), Seconds: c.Lasted(v.deps.Now()).Seconds(), From: string(c.From), To: string(c.To), Sentence: c.Why, Actor: c.Actor,
	}
}

type listHealth struct {
	BySlug
	Paging

	Status string    `query:"filter[status]" doc:"healthy, degraded, down, held, credential_problem, not_set_up, idle or paused: what it changed to."`
	From   time.Time `query:"filter[from]" doc:"Changes at that time or later."`
	To     time.Time `query:"filter[to]" doc:"Changes before that time."`
}

type healthChanges struct {
	Body struct {
		Data []HealthChange `json:"data" nullable:"false"`
		Meta Meta           `json:"meta"`
	}
}

// healthRoutes serve how connections are.
func (v *version) healthRoutes() {
	const tag = "Health"
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/health", id: "get-health", tag: tag, summary: "Read how a connection is",
		description: "The status with the sentence why, since when, and what it is judged by.",
	}, v.getHealth)
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/health/history", id: "list-health-changes", tag: tag, summary: "List the changes of a connection's status",
		description: "The newest first; at is the one field to sort by. A change appears a moment after it happened, and is kept for 90 days.",
	}, v.listHealth)
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/health/check", id: "check-health", tag: tag, summary: "Send the health check now",
		description: "The result counts like that of any other check. Where calls are held back nothing is sent: 409.",
		refusals:    []int{http.StatusConflict},
	}, func(ctx context.Context, in *struct{ BySlug }) (*struct{ Body HealthCheck }, error) {
		c, err := v.deps.Health.CheckNow(ctx, actor(ctx), in.Slug)
		if err != nil {
			return nil, err
		}
		return &struct{ Body HealthCheck }{*healthCheckOf(c)}, nil
	})
}

func (v *version) getHealth(ctx context.Context, in *struct{ BySlug }) (*struct{ Body ConnectionHealth }, error) {
	c, err := v.deps.Connections.Find(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	board, err := v.deps.Health.Board(actor(ctx))
	if err != nil {
		return nil, err
	}
	it, ok := board.Of(c.ID)
	if !ok { // deleted a moment ago
		return nil, fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection.")
	}
	return &struct{ Body ConnectionHealth }{v.healthOf(it)}, nil
}

func (v *version) listHealth(ctx context.Context, in *listHealth) (*healthChanges, error) {
	if err := checkSort(in.Sort, "at"); err != nil {
		return nil, err
	}
	if err := oneOf("filter[status]", in.Status, each(health.States(), func(s health.State) string { return string(s) })); err != nil {
		return nil, err
	}
	if !in.From.IsZero() && !in.To.IsZero() && in.To.Before(in.From) {
		return nil, fault.Field("INVALID_PARAMETER", "filter[to]", "The end lies before the beginning.")
	}
	c, err := v.deps.Connections.Find(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	h, err := v.deps.Health.History(ctx, actor(ctx), c.ID, health.HistoryQuery{
		State: health.State(in.Status), From: in.From, To: in.To, Page: in.Page, Limit: in.Limit, Oldest: in.Sort == "at",
	})
	if err != nil {
		return nil, err
	}
	out := &healthChanges{}
	out.Body.Meta, out.Body.Data = in.meta(h.Total), each(h.Changes, v.healthChangeOf)
	return out, nil
}

// addHealth says of connections how they are.
func (v *version) addHealth(ctx context.Context, list []Connection) error {
	board, err := v.deps.Health.Board(actor(ctx))
	if err != nil {
		return err
	}
	for i := range list {
		if it, ok := board.Of(list[i].ID); ok {
			s := healthSummary(it)
			list[i].Health = &s
		}
	}
	return nil
}
