package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
	auditview "switchgear/web/templates/audit"
)

type auditPages struct{ *Console }

func (p auditPages) routes() []route {
	read := needs(access.PermissionAuditRead)
	return []route{
		{http.MethodGet, "/audit", read, p.list},
		{http.MethodGet, "/audit/verify", read, p.backToList},
		{http.MethodPost, "/audit/verify", read, p.verify},
		{http.MethodGet, "/audit/{seq}", read, p.show},
	}
}

func (p auditPages) list(w http.ResponseWriter, r *http.Request) error {
	return p.listWith(w, r, nil)
}

func (p auditPages) listWith(w http.ResponseWriter, r *http.Request, verified *auditview.Verification) error {
	q := r.URL.Query()
	page, limit := paging(q)
	view := auditview.ListView{
		Page: p.page(r, "Audit", "audit", "audit"), Now: p.Now(), Number: page, Limit: limit, Search: q.Get("q"), Action: q.Get("action"),
		Actor: q.Get("actor"), Target: q.Get("target"), From: q.Get("from"), To: q.Get("to"), Errors: map[string]string{}, Verified: verified,
	}
	query := audit.Query{Text: view.Search, Action: view.Action, Actor: view.Actor, Target: view.Target, Page: page, Limit: limit}
	query.From = day(view.From, "from", view.Errors)
	if to := day(view.To, "to", view.Errors); !to.IsZero() {
		query.To = to.AddDate(0, 0, 1) // the whole last day
	}
	result, err := p.Audit.Search(r.Context(), query)
	if err != nil {
		return err
	}
	if view.Actions, err = p.Audit.Actions(r.Context()); err != nil {
		return err
	}
	view.Total = result.Total
	for _, e := range result.Entries {
		view.Rows = append(view.Rows, auditRow(e))
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, auditview.Table(view))
	}
	return p.render(w, r, http.StatusOK, auditview.List(view))
}

// day reads a date in UTC; a text that is none is reported beside its field and does not filter.
func day(text, field string, problems map[string]string) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		problems[field] = "Write a date as 2026-01-31."
		return time.Time{}
	}
	return t
}

func (p auditPages) show(w http.ResponseWriter, r *http.Request) error {
	seq, err := strconv.ParseInt(chi.URLParam(r, "seq"), 10, 64)
	if err != nil {
		return fault.New(fault.NotFound, "", "There is no such audit entry.")
	}
	e, err := p.Audit.Entry(r.Context(), seq)
	if err != nil {
		return err
	}
	head, err := p.Audit.Head(r.Context())
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, auditview.Entry(auditview.EntryView{
		Page: p.page(r, "Audit entry "+strconv.FormatInt(seq, 10), "audit"), Now: p.Now(), Row: auditRow(e), HasNext: head.Seq > seq,
	}))
}

// backToList answers who reloads the result of a verification by its address.
func (p auditPages) backToList(w http.ResponseWriter, r *http.Request) error {
	seeOther(w, r, "/audit")
	return nil
}

func (p auditPages) verify(w http.ResponseWriter, r *http.Request) error {
	started := time.Now()
	report, err := p.Audit.Verify(r.Context())
	if err != nil {
		return err
	}
	v := auditview.Verification{Entries: report.Entries, LastSeq: report.LastSeq, LastMAC: report.LastMAC, Took: time.Since(started)}
	for _, problem := range report.Problems {
		v.Problems = append(v.Problems, auditview.Problem{Seq: problem.Seq, What: problem.What})
	}
	return p.listWith(w, r, &v)
}

func auditRow(e audit.Entry) auditview.Row {
	row := auditview.Row{
		Seq: e.Seq, At: e.At, ActorKind: e.Actor.Kind, ActorID: e.Actor.ID, ActorName: e.Actor.Name, Action: e.Action,
		TargetKind: e.Target.Kind, TargetID: e.Target.ID, Target: e.Target.Name, Reason: e.Reason, RequestID: e.RequestID, IP: e.IP, MAC: e.MAC,
	}
	for key, value := range e.Details {
		row.Details = append(row.Details, auditview.Detail{Key: key, Value: value})
	}
	slices.SortFunc(row.Details, func(a, b auditview.Detail) int { return strings.Compare(a.Key, b.Key) })
	return row
}
