package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// callLog finds calls; *calls.Log is one.
type callLog interface {
	List(ctx context.Context, q calls.Query, page int) (calls.List, error)
	Find(ctx context.Context, id string) (runtime.Record, error)
}

// Call is one call through the gateway.
type Call struct {
	ID            string     `json:"id" doc:"The request id."`
	Connection    string     `json:"connection" example:"stripe"`
	Account       string     `json:"account" example:"default"`
	Version       int        `json:"version" doc:"Of the connection."`
	Method        string     `json:"method" example:"GET"`
	Host          string     `json:"host"`
	Path          string     `json:"path"`
	Query         string     `json:"query" doc:"Secret values are redacted."`
	Status        int        `json:"status" doc:"What the caller was answered; 0 when the caller went away before."`
	Outcome       string     `json:"outcome" example:"success"`
	Operation     string     `json:"operation,omitempty" doc:"The id of the operation whose policy the call had."`
	Cache         string     `json:"cache,omitempty" doc:"What the cache did: hit, stale or revalidated; static where the configured answer stood in." example:"stale"`
	Attempts      int        `json:"attempts"`
	StartedAt     time.Time  `json:"started_at"`
	DurationMS    float64    `json:"duration_ms"`
	FirstByteMS   float64    `json:"first_byte_ms"`
	RequestBytes  int64      `json:"request_bytes"`
	ResponseBytes int64      `json:"response_bytes"`
	Error         *CallError `json:"error,omitempty"`
	Key           *CallKey   `json:"key,omitempty" doc:"The API key of the caller."`
	ClientIP      string     `json:"client_ip,omitempty"`
}

// CallError is the error of ours that a call ended with.
type CallError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// CallKey names the key of a caller.
type CallKey struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CallDetail is a call with its headers and timeline.
type CallDetail struct {
	Call

	RequestHeaders  map[string][]string `json:"request_headers" example:"{\"Accept\":[\"application/json\"]}" doc:"What was sent upstream; secret values are redacted."`
	ResponseHeaders map[string][]string `json:"response_headers" example:"{\"Content-Type\":[\"application/json\"]}"`
	Steps           []CallStep          `json:"steps" nullable:"false"`
	Fallback        string              `json:"fallback,omitempty" example:"connection=stripe-backup" doc:"What stood in for the upstream, other than the cache: static, or connection= and the slug of the one that answered."`
}

// CallStep is one part of a call.
type CallStep struct {
	Name   string  `json:"name"`
	AtMS   float64 `json:"at_ms"`
	TookMS float64 `json:"took_ms"`
	Note   string  `json:"note,omitempty"`
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func callOf(r runtime.Record) Call {
	c := Call{
		ID: r.ID, Connection: r.Slug, Account: r.Account, Version: r.Version, Method: r.Method, Host: r.Host, Path: r.Path, Query: r.Query,
		Status: r.Status, Outcome: string(r.Outcome), Operation: r.Operation, Cache: r.Cache, Attempts: r.Attempts, StartedAt: r.StartedAt, DurationMS: milliseconds(r.Duration),
		FirstByteMS: milliseconds(r.FirstByte), RequestBytes: r.RequestBytes, ResponseBytes: r.ResponseBytes, ClientIP: r.ClientIP,
	}
	if r.ErrorCode != "" {
		c.Error = &CallError{Code: r.ErrorCode, Message: r.ErrorText}
	}
	if r.KeyID != "" {
		c.Key = &CallKey{ID: r.KeyID, Name: r.KeyName}
	}
	return c
}

func callDetailOf(r runtime.Record) CallDetail {
	d := CallDetail{
		Call: callOf(r), Fallback: r.Fallback.String(), RequestHeaders: r.RequestHeader, ResponseHeaders: r.ResponseHeader,
		Steps: each(r.Steps, func(s runtime.Step) CallStep {
			return CallStep{Name: s.Name, AtMS: milliseconds(s.At), TookMS: milliseconds(s.Took), Note: s.Note}
		}),
	}
	if d.RequestHeaders == nil {
		d.RequestHeaders = map[string][]string{}
	}
	if d.ResponseHeaders == nil {
		d.ResponseHeaders = map[string][]string{}
	}
	return d
}

type listCalls struct {
	Paging

	Connection string    `query:"filter[connection]" doc:"The slug of a connection."`
	Outcome    string    `query:"filter[outcome]" doc:"Such as success or timeout; failed for every one that counts as a failure, which a call that was refused here (rejected_local) does not."`
	Method     string    `query:"filter[method]"`
	Status     int       `query:"filter[status]" minimum:"0" maximum:"599" doc:"Exact, such as 503."`
	Class      int       `query:"filter[class]" minimum:"0" maximum:"5" doc:"The first digit of the status."`
	Path       string    `query:"filter[path]" doc:"Part of the path."`
	From       time.Time `query:"filter[from]" doc:"Calls that began then or later."`
	To         time.Time `query:"filter[to]" doc:"Calls that began before."`
}

type callList struct {
	Body struct {
		Data []Call `json:"data" nullable:"false"`
		Meta Meta   `json:"meta"`
	}
}

// callRoutes serve the call log.
func (v *version) callRoutes() {
	const tag = "Calls"
	register(v, route{
		method: http.MethodGet, path: "/calls", id: "list-calls", tag: tag, summary: "List calls",
		description: "The newest first; started_at is the one field to sort by.",
	}, v.listCalls)
	register(v, route{
		method: http.MethodGet, path: "/calls/{id}", id: "get-call", tag: tag, summary: "Read a call with its headers and timeline",
		description: "A call appears a moment after it has ended.",
	}, func(ctx context.Context, in *struct {
		ID string `path:"id" doc:"The request id of the call."`
	},
	) (*struct{ Body CallDetail }, error) {
		if err := actor(ctx).Require(access.PermissionSystemRead); err != nil {
			return nil, err
		}
		r, err := v.deps.Calls.Find(ctx, in.ID)
		return &struct{ Body CallDetail }{callDetailOf(r)}, err
	})
}

func (v *version) listCalls(ctx context.Context, in *listCalls) (*callList, error) {
	if err := actor(ctx).Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	if err := checkSort(in.Sort, "started_at"); err != nil {
		return nil, err
	}
	outcomes := each(runtime.Rules(), func(r runtime.Rule) string { return string(r.Outcome) })
	if err := oneOf("filter[outcome]", in.Outcome, append(outcomes, calls.AnyFailure)); err != nil {
		return nil, err
	}
	if !in.From.IsZero() && !in.To.IsZero() && in.To.Before(in.From) {
		return nil, fault.Field("INVALID_PARAMETER", "filter[to]", "The end lies before the beginning.")
	}
	page, err := v.deps.Calls.List(ctx, calls.Query{
		Connection: in.Connection, Outcome: in.Outcome, Method: in.Method, Status: in.Status, Class: in.Class, Path: in.Path,
		From: in.From, To: in.To, Limit: in.Limit, Oldest: in.Sort == "started_at",
	}, in.Page)
	if err != nil {
		return nil, err
	}
	out := &callList{}
	out.Body.Meta, out.Body.Data = in.meta(page.Total), each(page.Calls, callOf)
	return out, nil
}
