package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
	callsview "switchgear/web/templates/calls"
	connectionsview "switchgear/web/templates/connections"
)

// proxy makes one call and tells the watch of its caller what came back; *runtime.Proxy does.
type proxy interface {
	Call(w http.ResponseWriter, r *http.Request, t runtime.Target, path string) (whole bool, err error)
}

// tryPages sends requests by hand, through the same pipeline as those of applications.
type tryPages struct{ *Console }

func (p tryPages) routes() []route {
	operate := needs(access.PermissionOperate)
	return []route{
		{http.MethodGet, "/connections/{slug}/try", operate, p.form},
		{http.MethodPost, "/connections/{slug}/try", operate, p.send},
	}
}

// recentCalls is how many calls of a connection are offered to be sent again.
const recentCalls = 6

// form is the empty form, or one filled from a call of the log.
func (p tryPages) form(w http.ResponseWriter, r *http.Request) error {
	entered := tryForm{method: http.MethodGet, path: "/"}
	note := ""
	if id := r.URL.Query().Get("from"); id != "" {
		rec, err := p.Calls.Find(r.Context(), id)
		if err != nil {
			return err
		}
		if rec.Slug != chi.URLParam(r, "slug") {
			return fault.New(fault.NotFound, "", "This call did not go through this connection.")
		}
		entered, note = formOf(rec)
	}
	view, err := p.view(r, entered)
	if err != nil {
		return err
	}
	view.Note = note
	return p.render(w, r, http.StatusOK, connectionsview.Try(view))
}

// view is the page with what was entered.
func (p tryPages) view(r *http.Request, entered tryForm) (connectionsview.TryView, error) {
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return connectionsview.TryView{}, err
	}
	accounts, err := p.Connections.Accounts(r.Context(), actor(r), c.Slug)
	if err != nil {
		return connectionsview.TryView{}, err
	}
	recent, err := p.Calls.Search(r.Context(), calls.Query{Connection: c.Slug, Limit: recentCalls})
	if err != nil {
		return connectionsview.TryView{}, err
	}
	view := connectionsview.TryView{
		Page: connectionPages(p).frame(r, c.Name), Now: p.Now(), Head: head, BaseURL: c.BaseURL, LogBodies: c.LogBodies, Methods: plainOptions(tryMethods()),
		Method: entered.method, Path: entered.path, Query: entered.query, Headers: entered.headers, Body: entered.body, Account: entered.account,
	}
	for _, a := range accounts {
		view.Accounts = append(view.Accounts, connectionsview.Option{Value: a.Account, Label: a.Account})
	}
	for _, rec := range recent.Calls {
		view.Recent = append(view.Recent, callRow(rec))
	}
	return view, nil
}

// send makes the call and shows it below the form. With htmx only that part of the page is answered; its
// status is 200 even when a field is wrong, because htmx shows nothing else.
func (p tryPages) send(w http.ResponseWriter, r *http.Request) error {
	form, err := parseFormUpTo(w, r, maxTryForm)
	if err != nil {
		return err
	}
	entered := enteredTry(form)
	var result *connectionsview.TryResult
	request, err := entered.request()
	if err == nil {
		result, err = p.call(w, r, entered, request)
	}
	status := http.StatusOK
	var problems map[string]string
	if err != nil {
		var ok bool
		if problems, status, ok = formErrors(r, err); !ok || !isTryField(problems) {
			return err
		}
	}
	if r.Context().Err() != nil {
		return nil //nolint:nilerr // Whoever asked is gone, and the call is in the log.
	}
	view, err := p.view(r, entered)
	if err != nil {
		return err
	}
	view.Result, view.Errors = result, problems
	if result != nil && result.Call.Call.ID != "" && !slices.ContainsFunc(view.Recent, func(row callsview.Row) bool { return row.ID == result.Call.Call.ID }) {
		// The log stores it a moment later.
		view.Recent = slices.Insert(view.Recent, 0, result.Call.Call)
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, connectionsview.TryPart(view))
	}
	return p.render(w, r, status, connectionsview.Try(view))
}

// call sends the request through the pipeline. What the gateway refuses is part of the result.
func (p tryPages) call(w http.ResponseWriter, r *http.Request, entered tryForm, request *http.Request) (*connectionsview.TryResult, error) {
	slug := chi.URLParam(r, "slug")
	target, err := p.Connections.Target(slug, entered.account)
	if err != nil {
		return p.refused(r, entered, request, err)
	}
	id := telemetry.NewRequestID()
	if err := p.Connections.RecordSent(r.Context(), actor(r), slug, connections.Sent{
		CallID: id, Account: target.Account, Method: request.Method, Path: "/" + entered.escapedPath(),
	}); err != nil {
		return nil, err
	}
	// The server's time limits are meant for pages; a call is bounded by the policy of its connection.
	rc := http.NewResponseController(w)
	if err := errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{})); err != nil {
		return nil, err
	}
	watch := &runtime.Watch{}
	who := actor(r)
	ctx := runtime.WithCaller(telemetry.WithRequestID(r.Context(), id), runtime.Caller{
		UserID: who.ID, UserName: who.Name, ClientIP: who.IP, Watch: watch,
		Alternate: p.Connections.Target, // Whoever may try one may try them all.
	})
	_, err = p.Proxy.Call(nil, request.WithContext(ctx), target, entered.escapedPath()) // The record tells whether it broke off.
	rec := watch.Record
	result := &connectionsview.TryResult{Call: p.callView(r, rec), Account: rec.Account}
	result.Call.ResponseBody = callsview.Body(watch.Response)
	result.Call.RequestBody = callsview.Body{Note: "No body."}
	if entered.body != "" {
		result.Call.RequestBody.Note = "The body is the one of the form, " + callsview.Size(rec.RequestBytes) + "."
	}
	result.Call.Curl = p.commandOf(slug, entered, request).curl()
	if u, uerr := runtime.JoinPath(target.BaseURL, entered.escapedPath(), rec.Query); uerr == nil {
		result.URL = u.String()
	}
	result.Problem = problemOf(err)
	return result, nil
}

// refused is the result of a request that did not become a call: the gateway refuses it the same way.
func (p tryPages) refused(r *http.Request, entered tryForm, request *http.Request, err error) (*connectionsview.TryResult, error) {
	if fault.Is(err, fault.Internal) {
		return nil, err
	}
	result := &connectionsview.TryResult{Problem: problemOf(err), Account: entered.account}
	result.Call.Curl = p.commandOf(chi.URLParam(r, "slug"), entered, request).curl()
	result.Call.Call.Method, result.Call.Call.Path = request.Method, "/"+entered.escapedPath()
	return result, nil
}

// problemOf is an error of ours as the gateway words it.
func problemOf(err error) *connectionsview.TryProblem {
	if err == nil {
		return nil
	}
	out := &connectionsview.TryProblem{Code: fault.CodeOf(err), Message: fault.PublicMessage(err)}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		out.Suggestion = e.Details.Suggestion
	}
	return out
}

func (p tryPages) callView(r *http.Request, rec runtime.Record) callsview.CallView {
	return callPages(p).detail(r, rec)
}

func (p tryPages) commandOf(slug string, entered tryForm, request *http.Request) command {
	c := command{
		base: p.cfg.GatewayURL(), slug: slug, account: entered.account, method: request.Method, path: "/" + entered.escapedPath(),
		query: request.URL.RawQuery, headers: entered.headerLines(), body: entered.body,
	}
	if kind := request.Header.Get("Content-Type"); kind != "" && !strings.Contains(strings.ToLower(entered.headers), "content-type:") {
		c.headers = append(c.headers, [2]string{"Content-Type", kind})
	}
	return c
}

// tryLink is where a call of the log can be sent again; empty when the visitor may not, or the connection
// is gone.
func (p callPages) tryLink(r *http.Request, rec runtime.Record) string {
	if c, ok := p.Connections.Peek(rec.Slug); !ok || c.ID != rec.ConnectionID || !actor(r).Role.Can(access.PermissionOperate) {
		return ""
	}
	return "/connections/" + url.PathEscape(rec.Slug) + "/try?from=" + url.QueryEscape(rec.ID)
}
