package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	callsview "switchgear/web/templates/calls"
)

type callPages struct{ *Console }

func (p callPages) routes() []route {
	read := needs(access.PermissionSystemRead)
	return []route{
		{http.MethodGet, "/calls", read, p.list},
		{http.MethodGet, "/calls/{id}", read, p.show},
	}
}

func (p callPages) list(w http.ResponseWriter, r *http.Request) error {
	view, err := p.view(r, calls.Query{Connection: r.URL.Query().Get("connection")})
	if err != nil {
		return err
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, callsTable(view))
	}
	return p.render(w, r, http.StatusOK, callsview.List(view))
}

func callsTable(view callsview.ListView) templ.Component { return callsview.Table(view) }

// view is the call log as the address asks for it; base is what the page itself fixes.
func (p callPages) view(r *http.Request, base calls.Query) (callsview.ListView, error) {
	q := r.URL.Query()
	view := callsview.ListView{
		Page: p.page(r, "Calls", "calls", "calls"), Now: p.Now(), Connection: base.Connection, Outcome: q.Get("outcome"), Class: q.Get("class"),
		Status: q.Get("status"), Method: q.Get("method"), Path: q.Get("path"), RequestID: q.Get("request_id"), From: q.Get("from"), To: q.Get("to"),
		Cursor: q.Get("cursor"), Dropped: p.Calls.Dropped(), DroppedBodies: p.Calls.DroppedBodies(), CanConfigure: actor(r).Role.Can(access.PermissionConfigure), Errors: callsview.Errors{},
	}
	_, view.Limit = paging(q)
	view.Outcomes = append(view.Outcomes, callsview.Option{Value: calls.AnyFailure, Label: "Any failure"})
	for _, rule := range runtime.Rules() {
		view.Outcomes = append(view.Outcomes, callsview.Option{Value: string(rule.Outcome), Label: rule.Label})
	}
	query := base
	query.Outcome, query.Method, query.Path, query.RequestID = view.Outcome, view.Method, view.Path, view.RequestID
	query.Cursor, query.Limit = view.Cursor, view.Limit
	query.Status = number(view.Status, "status", 599, view.Errors)
	query.Class = number(view.Class, "class", 5, view.Errors)
	query.From = minute(view.From, "from", view.Errors)
	query.To = minute(view.To, "to", view.Errors)
	page, err := p.Calls.Search(r.Context(), query)
	if err != nil {
		return view, err
	}
	view.Next, view.SearchedTo = page.Next, page.SearchedTo
	for _, rec := range page.Calls {
		view.Rows = append(view.Rows, callRow(rec))
	}
	return view, nil
}

// number reads a filter; a text that is no number is reported beside its field and does not filter.
func number(text, field string, most int, problems callsview.Errors) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		problems[field] = "Write a number up to " + strconv.Itoa(most) + "."
		return 0
	}
	return n
}

func minute(text, field string, problems callsview.Errors) time.Time {
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse("2006-01-02T15:04", text)
	if err != nil {
		problems[field] = "Write a time as 2026-01-31T13:45 (UTC)."
		return time.Time{}
	}
	return t
}

func callRow(r runtime.Record) callsview.Row {
	row := callsview.Row{
		ID: r.ID, At: r.StartedAt, Connection: r.Slug, Account: r.Account, Method: r.Method, Path: "/" + strings.TrimPrefix(r.Path, "/"), Status: r.Status,
		Outcome: string(r.Outcome), OutcomeLabel: r.Outcome.Label(), Took: r.Duration, RequestBytes: r.RequestBytes, ResponseBytes: r.ResponseBytes,
		Attempts: r.Attempts, Operation: r.Operation, Cache: r.Cache, Key: r.KeyName, User: r.UserName,
	}
	if r.Outcome == runtime.OutcomeRejectedLocal {
		row.Refusal = r.ErrorCode
	}
	return row
}

func (p callPages) show(w http.ResponseWriter, r *http.Request) error {
	rec, err := p.Calls.Find(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	view := p.detail(r, rec)
	view.TryHref = p.tryLink(r, rec)
	return p.render(w, r, http.StatusOK, callsview.Detail(view))
}

// detail is one call as its page shows it.
func (p callPages) detail(r *http.Request, rec runtime.Record) callsview.CallView {
	row := callRow(rec)
	query, _ := withoutRedacted(rec.Query)
	view := callsview.CallView{
		Page: p.page(r, "Call", "calls"), Now: p.Now(), Call: row, Query: rec.Query, Host: rec.Host, Version: rec.Version, Connect: rec.Connect,
		FirstByte: rec.FirstByte, Fallback: rec.Fallback.String(), ErrorCode: rec.ErrorCode, Error: rec.ErrorText, KeyID: rec.KeyID, ClientIP: rec.ClientIP,
		RequestHeader: headerRows(rec.RequestHeader), ResponseHeader: headerRows(rec.ResponseHeader),
		RequestBody: callsview.Body{Note: callsview.NotRecorded}, ResponseBody: callsview.Body{Note: callsview.NotRecorded},
		Curl: command{base: p.cfg.GatewayURL(), slug: rec.Slug, account: rec.Account, method: rec.Method, path: row.Path, query: query}.curl(),
	}
	if c, ok := p.Connections.Peek(rec.Slug); !ok || c.ID != rec.ConnectionID {
		view.Gone = true
	}
	if b := rec.Bodies; b != nil {
		view.RequestBody, view.ResponseBody = callsview.Body(b.Request), callsview.Body(b.Response)
	}
	for i, s := range rec.Steps {
		view.Steps = append(view.Steps, callsview.Step{
			Name: s.Name, At: s.At, Took: s.Took, Note: s.Note, Failed: rec.ErrorCode != "" && i == len(rec.Steps)-1,
		})
	}
	return view
}

func headerRows(h http.Header) []callsview.Header {
	var out []callsview.Header
	for name, values := range h {
		for _, v := range values {
			out = append(out, callsview.Header{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(out, func(a, b callsview.Header) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// notFoundMessage is what a page says about something it was asked for and that does not exist.
func notFoundMessage(err error) (message string, status int, ok bool) {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return fault.PublicMessage(err), http.StatusOK, true
	}
	return "", 0, false
}
