package console

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	connectionsview "switchgear/web/templates/connections"
	healthview "switchgear/web/templates/health"
)

type healthPages struct{ *Console }

func (p healthPages) routes() []route {
	return []route{
		{http.MethodGet, "/connections/{slug}/health", needs(access.PermissionSystemRead), p.show},
		{http.MethodPost, "/connections/{slug}/health/check", needs(access.PermissionOperate), p.check},
	}
}

// show is how a connection is and was.
func (p healthPages) show(w http.ResponseWriter, r *http.Request) error {
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	number, limit := paging(q)
	view := connectionsview.HealthView{
		Page: connectionPages(p).frame(r, c.Name, health.Topic, "connections"), Now: p.Now(), Head: head, Number: number, Limit: limit,
		State: q.Get("state"), From: q.Get("from"), To: q.Get("to"), Errors: connectionsview.Errors{},
	}
	if view.Status, err = p.status(r, c); err != nil {
		return err
	}
	for _, t := range []struct {
		label string
		span  time.Duration
		steps int
	}{{"24 hours", 24 * time.Hour, 48}, {"7 days", 7 * 24 * time.Hour, 56}, {"30 days", 30 * 24 * time.Hour, 60}} {
		course, err := p.Health.Course(r.Context(), actor(r), c.ID, t.span, t.steps)
		if err != nil {
			return err
		}
		out := connectionsview.HealthCourse{Label: t.label, Step: t.span / time.Duration(t.steps), Up: course.Up, Known: course.Known}
		for _, o := range course.Outages {
			out.Outages = append(out.Outages, connectionsview.HealthOutage{State: healthview.State(o.State), From: o.From, To: o.To})
		}
		for _, s := range course.States {
			out.States = append(out.States, healthview.State(s))
		}
		view.Courses = append(view.Courses, out)
	}
	if err := p.changes(r, c, &view); err != nil {
		return err
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, connectionsview.HealthPart(view))
	}
	return p.render(w, r, http.StatusOK, connectionsview.Health(view))
}

// status is how a connection is now, with its health check.
func (p healthPages) status(r *http.Request, c connections.Connection) (connectionsview.HealthStatus, error) {
	board, err := p.Health.Board(actor(r))
	if err != nil {
		return connectionsview.HealthStatus{}, err
	}
	it, ok := board.Of(c.ID)
	if !ok { // deleted a moment ago
		return connectionsview.HealthStatus{}, fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection.")
	}
	out := connectionsview.HealthStatus{
		State: healthview.State(it.Status.State), Why: it.Status.Why, Since: it.Status.Since, Until: it.Status.Until, Check: p.lastCheck(c.ID),
	}
	if it.Check.Path != "" {
		out.Request = it.Check.Method + " " + it.Check.Path
	}
	if it.Check.Active() {
		out.Every = it.Check.Every.Std()
	}
	return out, nil
}

// lastCheck is how the last health check of a connection ended.
func (p healthPages) lastCheck(connectionID string) connectionsview.HealthCheck {
	c, ok := p.Health.Check(connectionID)
	if !ok {
		return connectionsview.HealthCheck{}
	}
	return connectionsview.HealthCheck{At: c.At, OK: c.OK(), Answer: c.Answer(), Took: c.Took}
}

func (p healthPages) changes(r *http.Request, c connections.Connection, view *connectionsview.HealthView) error {
	q := health.HistoryQuery{State: health.State(view.State), Page: view.Number, Limit: view.Limit}
	q.From = day(view.From, "from", view.Errors)
	if to := day(view.To, "to", view.Errors); !to.IsZero() {
		q.To = to.AddDate(0, 0, 1) // the whole last day
	}
	h, err := p.Health.History(r.Context(), actor(r), c.ID, q)
	if fault.Is(err, fault.Invalid) { // a filter that nothing fits
		return nil
	}
	if err != nil {
		return err
	}
	view.Total = h.Total
	for i := range h.Changes {
		change := &h.Changes[i]
		view.Rows = append(view.Rows, connectionsview.HealthChange{
			ID: strconv.FormatInt(change.At.UnixMicro(), 36) + "-" + string(change.To), At: change.At, To: healthview.State(change.To), Why: change.Why, Actor: change.Actor,
			Lasted: change.Lasted(view.Now), Now: change.Until.IsZero(),
		})
	}
	return nil
}

// check sends the health check now.
func (p healthPages) check(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseForm(w, r); err != nil {
		return err
	}
	c, err := p.Connections.Find(r.Context(), actor(r), chi.URLParam(r, "slug"))
	if err != nil {
		return err
	}
	kind, message, err := p.checked(r, c)
	if err != nil {
		return err
	}
	p.Access.PutFlash(r.Context(), kind, message)
	seeOther(w, r, "/connections/"+c.Slug+"/health")
	return nil
}

// checked sends the health check of a connection, and says how it ended.
func (p healthPages) checked(r *http.Request, c connections.Connection) (kind, message string, err error) {
	result, err := p.Health.CheckNow(r.Context(), actor(r), c.Slug)
	switch {
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.Unavailable): // nothing was sent, and the reason is worth reading
		return "warn", fault.PublicMessage(err), nil
	case err != nil:
		return "", "", err
	case result.OK():
		return "ok", "The health check was answered with " + result.Answer() + ".", nil
	}
	return "warn", "The health check did not succeed: " + result.Answer() + ".", nil
}
