package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/breakers"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	breakersview "switchgear/web/templates/breakers"
	connectionsview "switchgear/web/templates/connections"
	"switchgear/web/templates/ui"
)

// protections show what bounds calls beside breakers; *runtime.Protections do.
type protections interface {
	State(connectionID string) (runtime.ProtectionState, bool)
}

type breakerPages struct{ *Console }

func (p breakerPages) routes() []route {
	read, operate := needs(access.PermissionSystemRead), needs(access.PermissionOperate)
	return []route{
		{http.MethodGet, "/breakers", read, p.list},
		{http.MethodGet, "/connections/{slug}/breaker", read, p.tab},
		{http.MethodGet, "/connections/{slug}/breaker/history.csv", read, p.export},
		{http.MethodGet, "/connections/{slug}/breaker/{verb}", operate, p.ask},
		{http.MethodPost, "/connections/{slug}/breaker/{verb}", operate, p.command},
	}
}

func (p breakerPages) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	view := breakersview.ListView{
		Page: p.page(r, "Breakers", "breakers", "breakers", "calls", "connections"), Now: p.Now(), Search: q.Get("q"), State: q.Get("state"),
	}
	view.Number, view.Limit = paging(q)
	found, err := p.Breakers.ByImpact(r.Context(), actor(r), breakers.ImpactQuery{Search: view.Search, Show: view.State, Page: view.Number, Limit: view.Limit})
	if err != nil {
		return err
	}
	view.Total, view.All, view.Attention, view.Overridden = found.Total, found.All, found.Attention, found.Overridden
	courses, err := p.Breakers.Courses(r.Context(), actor(r), found.Breakers)
	if err != nil {
		return err
	}
	for i, b := range found.Breakers {
		row := p.row(b)
		row.Past = pastOf(courses[i])
		view.Rows = append(view.Rows, row)
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, breakersview.Table(view))
	}
	return p.render(w, r, http.StatusOK, breakersview.List(view))
}

// tab is the breakers of a connection with everything else that guards its calls; or one part of it.
func (p breakerPages) tab(w http.ResponseWriter, r *http.Request) error {
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	if asksFor(r, connectionsview.RegionState) {
		return p.render(w, r, http.StatusOK, head.StateChips())
	}
	q := r.URL.Query()
	view := breakersview.TabView{
		Now: p.Now(), Slug: c.Slug, Name: c.Name, Operation: q.Get("operation"), PolicyOf: q.Get("policy"), CanOperate: head.CanOperate,
		Topics: breakers.TopicOf(c.ID) + " calls connections", History: breakersview.History{Cause: q.Get("cause"), Paged: q.Get("before") != ""},
	}
	if !q.Has("policy") {
		view.PolicyOf = view.Operation
	}
	// A part that refreshes needs no more than what it shows.
	one := asksFor(r, breakersview.RegionHistory) || asksFor(r, breakersview.RegionPolicy)
	if !asksFor(r, breakersview.RegionPolicy) {
		if err := p.history(r, &view, q.Get("before")); err != nil {
			return err
		}
	}
	if err := p.present(r, c, &view); err != nil {
		return err
	}
	if !one {
		if err := p.evidence(r, c, &view); err != nil {
			return err
		}
	}
	switch {
	case asksFor(r, breakersview.RegionHistory):
		return p.render(w, r, http.StatusOK, breakersview.HistoryPart(view))
	case asksFor(r, breakersview.RegionPolicy):
		return p.render(w, r, http.StatusOK, breakersview.PolicyPart(view))
	case isFragment(r):
		return p.render(w, r, http.StatusOK, breakersview.Now(view))
	}
	page := connectionPages(p).frame(r, c.Name, breakers.TopicOf(c.ID), "calls", "connections")
	return p.render(w, r, http.StatusOK, connectionsview.Breaker(connectionsview.BreakerView{Page: page, Head: head, Breaker: view}))
}

// events is how many changes a page of the history shows.
const events = 20

func (p breakerPages) history(r *http.Request, view *breakersview.TabView, before string) error {
	h, err := p.Breakers.History(r.Context(), actor(r), breakers.HistoryQuery{
		Connection: view.Slug, Operation: view.Operation, Cause: view.History.Cause, Cursor: before, Limit: events,
	})
	if err != nil {
		return err
	}
	view.History.Older = h.Next
	for i := range h.Changes {
		view.History.Events = append(view.History.Events, eventRow(&h.Changes[i]))
	}
	return nil
}

func (p breakerPages) export(w http.ResponseWriter, r *http.Request) error {
	slug, q := chi.URLParam(r, "slug"), r.URL.Query()
	return p.Breakers.Export(r.Context(), actor(r), breakers.HistoryQuery{Connection: slug, Operation: q.Get("operation"), Cause: q.Get("cause")},
		&download{ResponseWriter: w, kind: "text/csv; charset=utf-8", name: slug + "-breaker.csv"})
}

// download says what it is with its first byte: what fails before that is an error page.
type download struct {
	http.ResponseWriter
	kind, name string
}

// Write implements io.Writer.
func (d *download) Write(b []byte) (int, error) {
	if d.kind != "" {
		d.Header().Set("Content-Type", d.kind)
		d.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", d.name))
		d.kind = ""
	}
	return d.ResponseWriter.Write(b)
}

// ask is the page behind the dialog of a command.
func (p breakerPages) ask(w http.ResponseWriter, r *http.Request) error {
	return p.question(w, r, http.StatusOK, nil, nil)
}

func (p breakerPages) question(w http.ResponseWriter, r *http.Request, status int, form url.Values, problems map[string]string) error {
	verb, err := verbOf(r)
	if err != nil {
		return err
	}
	c, err := p.Connections.Find(r.Context(), actor(r), chi.URLParam(r, "slug"))
	if err != nil {
		return err
	}
	tab := breakersview.TabView{Slug: c.Slug, Operation: r.URL.Query().Get("operation")}
	if err := p.history(r, &tab, ""); err != nil {
		return err
	}
	policies, err := p.policies(c)
	if err != nil {
		return err
	}
	policy, ok := policies[tab.Operation]
	if !ok {
		return fault.New(fault.NotFound, "OPERATION_NOT_FOUND", "The connection has no such operation.")
	}
	return p.render(w, r, status, breakersview.Command(breakersview.CommandView{
		Page: connectionPages(p).frame(r, c.Name), Now: p.Now(), Slug: c.Slug, Name: c.Name, Verb: breakersview.Verb(verb), Operation: tab.Operation,
		Thresholds: thresholds(policy), Before: breakersview.Interventions(tab.History.Events), For: form.Get("for"), Until: form.Get("until"), Reason: form.Get("reason"), Errors: problems,
	}))
}

func verbOf(r *http.Request) (breakers.Verb, error) {
	verb, err := breakers.ParseVerb(chi.URLParam(r, "verb"))
	if err != nil {
		return "", fault.New(fault.NotFound, "", "There is no such command to a breaker.")
	}
	return verb, nil
}

// command gives a command, or asks again with what is wrong.
func (p breakerPages) command(w http.ResponseWriter, r *http.Request) error {
	verb, err := verbOf(r)
	if err != nil {
		return err
	}
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	operation := r.URL.Query().Get("operation")
	done, err := p.give(r, operation, verb, form)
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.question(w, r, status, form, messages)
	}
	kind, message := "ok", done.Consequence
	if probe := done.Probe; probe != nil {
		kind, message = probed(probe)
	}
	p.Access.PutFlash(r.Context(), kind, message)
	seeOther(w, r, ui.URL(breakersview.Address(chi.URLParam(r, "slug")), "operation", operation))
	return nil
}

func (p breakerPages) give(r *http.Request, operation string, verb breakers.Verb, form url.Values) (breakers.Done, error) {
	why, err := reason(form)
	if err != nil {
		return breakers.Done{}, err
	}
	order := breakers.Order{Reason: why}
	// A time that was entered counts instead of the duration, of which one is always chosen.
	if text := form.Get("until"); text != "" {
		if order.Until, err = time.Parse("2006-01-02T15:04", text); err != nil {
			return breakers.Done{}, fault.Field("INVALID_END", "until", "Write a time in UTC like 2026-01-31T18:00.").WithValue(text)
		}
	} else if text := form.Get("for"); text != "" {
		if order.For, err = time.ParseDuration(text); err != nil || order.For <= 0 {
			return breakers.Done{}, fault.Field("INVALID_END", "for", "Write a time like 30m or 2h.").WithValue(text)
		}
	}
	return p.Breakers.Command(r.Context(), actor(r), chi.URLParam(r, "slug"), operation, verb, order)
}

// probed says how the request of a probe ended, if one was sent.
func probed(r *breakers.ProbeResult) (kind, message string) {
	if r.Error != "" {
		if r.RequestID == "" {
			return "warn", r.Error
		}
		return "warn", fmt.Sprintf("The probe %s %s failed: %s", r.Method, r.Path, r.Error)
	}
	kind = "ok"
	if rule, ok := r.Outcome.Rule(); ok && rule.Breaker == runtime.VerdictFailure {
		kind = "warn"
	}
	return kind, fmt.Sprintf("The probe %s %s was answered with %d (%s) in %s.", r.Method, r.Path, r.Status, r.Outcome.Label(), breakersview.Span(r.Duration))
}

// ownBreaker is what the list of connections says of a breaker. It is nil as that of breakerState is.
func (c *Console) ownBreaker(r *http.Request, slug string) *breakersview.Status {
	b, err := c.Breakers.Own(actor(r), slug)
	if err != nil {
		return nil
	}
	own := breakerStatus(b, false)
	return &own
}

// breakerState is what the header of a connection says of its breakers: its own, and
// how many of its operations are kept back. It is nil for a connection whose policy cannot be read: that is
// told elsewhere, and keeps nobody from the page.
func (c *Console) breakerState(r *http.Request, slug string) (status *breakersview.Status, troubled int) {
	d, err := c.Breakers.Get(r.Context(), actor(r), slug)
	if err != nil {
		return nil, 0
	}
	own := breakerStatus(d.Connection.Breaker, false)
	for _, o := range d.Operations {
		if o.Attention() {
			troubled++
		}
	}
	return &own, troubled
}

// sortedBreakers puts the breaker of the connection first, then the operations that are kept back.
func sortedBreakers(d breakers.Detail) []breakers.Shown {
	operations := slices.Clone(d.Operations)
	slices.SortStableFunc(operations, func(a, b breakers.Shown) int {
		switch {
		case a.Attention() == b.Attention():
			return 0
		case a.Attention():
			return -1
		}
		return 1
	})
	return append([]breakers.Shown{d.Connection}, operations...)
}
