package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/whatif"
	callsview "switchgear/web/templates/calls"
	connectionsview "switchgear/web/templates/connections"
)

// replays tell what other settings would have done; *whatif.Service does.
type replays interface {
	Ask(ctx context.Context, a access.Actor, q whatif.Question) (whatif.Result, error)
	Start(ctx context.Context, a access.Actor, q whatif.Question) (*whatif.Job, error)
	Job(a access.Actor, slug, id string) (*whatif.Job, error)
	Cancel(a access.Actor, slug, id string) error
}

// whatIfPages answer, below the form of a connection, what the edited policy would have done.
type whatIfPages struct{ *Console }

func (p whatIfPages) routes() []route {
	configure, operate := needs(access.PermissionConfigure), needs(access.PermissionOperate)
	return []route{
		{http.MethodPost, "/connections/{slug}/what-if", configure, p.ask},
		{http.MethodGet, "/connections/{slug}/what-if/{job}", operate, p.follow},
		{http.MethodPost, "/connections/{slug}/what-if/{job}/cancel", operate, p.cancel},
		{http.MethodPost, "/connections/{slug}/versions/{version}/what-if", operate, p.askVersion},
	}
}

// patience is how long a request waits for the end of a replay before it says how far that is.
const patience = time.Second

// ask takes the form as it would be saved. With htmx the replay runs in the background and can be followed and
// stopped; without, the answer is the whole page once it is done, which takes a bounded time.
func (p whatIfPages) ask(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	pages := connectionPages(p)
	c, err := p.Connections.Find(r.Context(), actor(r), chi.URLParam(r, "slug"))
	if err != nil {
		return err
	}
	provider, err := p.Providers.Find(c.Provider)
	if err != nil {
		return err
	}
	view := connectionsview.FormView{Mode: connectionsview.ModeEdit, From: c.Slug}
	values, draft, err := pages.entered(r, form, &view)
	view.Slug = c.Slug
	var unknown error
	if view.Version, unknown = seen(form); unknown != nil {
		return unknown
	}
	q := whatif.Question{Slug: c.Slug, Policy: draft.Policy}
	if isFragment(r) {
		var job *whatif.Job
		if err == nil {
			job, err = p.WhatIf.Start(r.Context(), actor(r), q)
		}
		return p.part(w, r, c.Slug, job, 0, err)
	}
	var result whatif.Result
	if err == nil {
		result, err = p.WhatIf.Ask(r.Context(), actor(r), q)
	}
	status := http.StatusOK
	switch {
	case err == nil:
		view.WhatIf = connectionsview.WhatIf{Slug: c.Slug, Result: p.result(result)}
	case fault.Is(err, fault.Unavailable):
		status, view.WhatIf = http.StatusServiceUnavailable, connectionsview.WhatIf{Slug: c.Slug, Problem: fault.PublicMessage(err)}
	default:
		var ok bool
		if view.Errors, status, ok = formErrors(r, err); !ok {
			return err
		}
	}
	return p.render(w, r, status, connectionsview.Form(pages.complete(r, view, provider, values, c.AuthSecrets)))
}

// askVersion tries the policy of a version before it is brought back.
func (p whatIfPages) askVersion(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseForm(w, r); err != nil {
		return err
	}
	n, err := versionParam(r)
	if err != nil {
		return err
	}
	slug := chi.URLParam(r, "slug")
	preview, err := p.Connections.Preview(r.Context(), actor(r), slug, n)
	if err != nil {
		return err
	}
	q := whatif.Question{Slug: slug, Policy: preview.Version.Definition.Policy, Of: n}
	if isFragment(r) {
		job, err := p.WhatIf.Start(r.Context(), actor(r), q)
		return p.part(w, r, slug, job, 0, err)
	}
	view := connectionsview.WhatIf{Slug: slug}
	result, err := p.WhatIf.Ask(r.Context(), actor(r), q)
	status := http.StatusOK
	switch {
	case err == nil:
		view.Result = p.result(result)
	case fault.Is(err, fault.Unavailable):
		status, view.Problem = http.StatusServiceUnavailable, fault.PublicMessage(err)
	case fault.Is(err, fault.Invalid): // this release does not take its policy
		status, view.Problem = http.StatusBadRequest, fault.PublicMessage(err)
	default:
		return err
	}
	rollback, err := connectionPages(p).rollbackView(r, n)
	if err != nil {
		return err
	}
	rollback.WhatIf = view
	return p.render(w, r, status, connectionsview.Rollback(rollback))
}

// part answers with the region alone; its status is 200 also when the policy is wrong, because htmx shows
// nothing else.
func (p whatIfPages) part(w http.ResponseWriter, r *http.Request, slug string, job *whatif.Job, step int, err error) error {
	view := connectionsview.WhatIf{Slug: slug}
	if err == nil {
		wait := time.NewTimer(patience)
		defer wait.Stop()
		select {
		case <-job.Done():
			var result whatif.Result
			if result, err = job.Result(); err == nil {
				view.Result = p.result(result)
			}
		case <-wait.C:
			view.Job, view.Step = job.ID, step
			view.Done, view.Of = job.Progress()
		case <-r.Context().Done():
			return nil
		}
	}
	if errors.Is(err, context.Canceled) { // it was stopped while its end was waited for
		return p.render(w, r, http.StatusOK, connectionsview.WhatIfPart(connectionsview.WhatIf{Slug: slug}))
	}
	if err != nil {
		messages, _, ok := formErrors(r, err)
		if !ok && !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.NotFound) {
			return err
		}
		view.Problem = fault.PublicMessage(err)
		for field, message := range messages {
			view.Problem = message
			if field != "" {
				view.Problem = field + ": " + message
			}
		}
	}
	return p.render(w, r, http.StatusOK, connectionsview.WhatIfPart(view))
}

func (p whatIfPages) follow(w http.ResponseWriter, r *http.Request) error {
	slug := chi.URLParam(r, "slug")
	if !isFragment(r) {
		seeOther(w, r, "/connections/"+slug+"/edit")
		return nil
	}
	step, err := strconv.Atoi(r.URL.Query().Get("step"))
	if err != nil || step < 0 {
		step = 0
	}
	job, err := p.WhatIf.Job(actor(r), slug, chi.URLParam(r, "job"))
	return p.part(w, r, slug, job, step, err)
}

func (p whatIfPages) cancel(w http.ResponseWriter, r *http.Request) error {
	slug := chi.URLParam(r, "slug")
	if err := p.WhatIf.Cancel(actor(r), slug, chi.URLParam(r, "job")); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if !isFragment(r) {
		seeOther(w, r, "/connections/"+slug+"/edit")
		return nil
	}
	return p.render(w, r, http.StatusOK, connectionsview.WhatIfPart(connectionsview.WhatIf{Slug: slug}))
}

func (p whatIfPages) result(r whatif.Result) *connectionsview.WhatIfResult {
	out := &connectionsview.WhatIfResult{
		Now: p.Now(), Summary: r.Summary(), Version: r.Of, Empty: r.Empty(), From: r.From, Until: r.Until, Calls: r.Sample.Calls, Unknown: r.Sample.Refused,
		Present: whatIfOpenings(r.Now), Edited: whatIfOpenings(r.Edited), Caveats: r.Caveats,
	}
	row := func(label string, of func(f *whatif.Figures) string) {
		out.Rows = append(out.Rows, connectionsview.WhatIfRow{Label: label, Present: of(&r.Now), Edited: of(&r.Edited)})
	}
	number := func(label string, of func(f *whatif.Figures) int) {
		row(label, func(f *whatif.Figures) string { return strconv.Itoa(of(f)) })
	}
	number("Opened", func(f *whatif.Figures) int { return f.Opened })
	number("Opened again after a failed probe", func(f *whatif.Figures) int { return f.Reopened })
	row("Open for", func(f *whatif.Figures) string { return callsview.Took(f.OpenFor) })
	number("Failing calls saved", func(f *whatif.Figures) int { return f.Breaker.Failing })
	number("Good calls rejected", func(f *whatif.Figures) int { return f.Breaker.Good })
	number("Rejected, neither failing nor good", func(f *whatif.Figures) int { return f.Breaker.Other })
	number("Rejected, refused at the time as well", func(f *whatif.Figures) int { return f.Breaker.Unknown })
	number("Attempts delayed by limits", func(f *whatif.Figures) int { return f.Delayed })
	row("Longest wait for a limit", func(f *whatif.Figures) string { return callsview.Took(f.LongestWait) })
	number("Calls refused for limits", func(f *whatif.Figures) int { return f.Limits.Total() })
	number("Calls sent", func(f *whatif.Figures) int { return f.Sent })
	return out
}

func whatIfOpenings(f whatif.Figures) []connectionsview.WhatIfOpening {
	out := make([]connectionsview.WhatIfOpening, len(f.Openings))
	for i, o := range f.Openings {
		out[i] = connectionsview.WhatIfOpening{At: o.At, For: o.For, Operation: o.Operation, Reason: o.Reason}
	}
	return out
}
