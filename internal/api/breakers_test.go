package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/telemetry"
)

// healthy is a probe that the upstream answers.
type healthy struct{}

func (healthy) Probe(context.Context, string, string) (breakers.ProbeResult, error) {
	return breakers.ProbeResult{RequestID: "req_probe", Method: "GET", Path: "/health", Status: 204, Outcome: runtime.OutcomeSuccess, Duration: time.Millisecond}, nil
}

// openBreakers gives the API the breakers of its connections.
func (w *world) openBreakers(log *audit.Log) *breakers.Service {
	w.t.Helper()
	inbox := breakers.NewInbox()
	w.limiters = ratelimit.NewRegistry()
	var err error
	w.registry, err = breaker.NewRegistry(breaker.Deps{
		Config: func(k breaker.Key) (breaker.Config, error) {
			if w.idOf("stripe") != k.Connection && w.idOf("github") != k.Connection {
				return breaker.Config{}, fault.New(fault.NotFound, "", "no such breaker")
			}
			return breaker.Config{MinCalls: 2}, nil
		},
		Record: inbox.Changed,
	}, breaker.Settings{})
	must(w.t, err)
	w.breakers, err = breakers.New(breakers.Deps{
		DB: w.db, Audit: log, Connections: w.connections, Inbox: inbox, Breakers: w.registry, Limiters: w.limiters, Prober: healthy{},
		Notify: func(string) {}, Logger: telemetry.Discard(), Now: time.Now,
	}, breakers.Config{})
	must(w.t, err)
	return w.breakers
}

// idOf is the id of a connection, empty without one.
func (w *world) idOf(slug string) string {
	c, _ := w.connections.Peek(slug)
	return c.ID
}

// breakIt lets two calls of a connection fail.
func (w *world) breakIt(slug, operation string) {
	w.t.Helper()
	for range 2 {
		p, err := w.registry.Allow(breaker.Key{Connection: w.idOf(slug), Operation: operation})
		must(w.t, err)
		p.Done(breaker.Result{Verdict: breaker.Failure, Outcome: "server_error", RequestID: "req_1"})
	}
}

// withOperation makes a connection with the operation charge.
func (w *world) withOperation(slug string) {
	w.t.Helper()
	got := w.do(http.MethodPost, "/api/v1/connections", fmt.Sprintf(`{"name":"Stripe","slug":%q,"provider":"stripe","auth":{"type":"bearer","fields":{"token":"t"}},
		"policy":{"operations":[{"id":"charge","method":"POST","path":"/v1/charges"}]}}`, slug))
	if got.status != http.StatusCreated {
		w.t.Fatalf("create: %d %s", got.status, got.body)
	}
}

func TestBreakers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withOperation("stripe")
	w.create("github")
	list := func(query string) string {
		t.Helper()
		var list struct {
			Data []Breaker
			Meta Meta
		}
		got := w.get("/api/v1/breakers" + query)
		if got.decode(t, &list); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
		var b strings.Builder
		for _, d := range list.Data {
			_, _ = fmt.Fprintf(&b, "%s/%s=%s ", d.Connection, d.Operation, d.State)
		}
		return fmt.Sprintf("%s%d", b.String(), list.Meta.Total)
	}
	if got := list(""); got != "github/=closed stripe/=closed 2" {
		t.Errorf("before any call: %s", got)
	}
	w.breakIt("stripe", "charge")
	l, err := w.limiters.Configure(w.idOf("github"), ratelimit.Config{})
	must(t, err)
	grant, err := l.Reserve(t.Context(), ratelimit.Key{}, 0)
	must(t, err)
	grant.Answered(http.StatusTooManyRequests, http.Header{"Retry-After": {"600"}})
	for query, want := range map[string]string{
		"":                                "github/=held stripe/=open stripe/charge=open 3",
		"?filter[connection]=stripe":      "stripe/=open stripe/charge=open 2",
		"?filter[state]=held":             "github/=held 1",
		"?filter[state]=forced_open":      "0",
		"?filter[connection]=nothing":     "0",
		"?sort=-connection&limit=1":       "stripe/charge=open 3",
		"?sort=operation&limit=2":         "github/=held stripe/=open 3",
		"?page=2&limit=2":                 "stripe/charge=open 3",
		"?sort=-state&filter[state]=open": "stripe/charge=open stripe/=open 2",
	} {
		if got := list(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for query, field := range map[string]string{"?filter[state]=ajar": "filter[state]", "?sort=colour": "sort", "?filter[colour]=red": "filter[colour]"} {
		if got := w.get("/api/v1/breakers" + query); got.status != http.StatusBadRequest || got.failure(t).Details.Field != field {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	var one BreakersOfConnection
	w.get("/api/v1/connections/github/breaker").decode(t, &one)
	if one.State != "held" || one.Called || len(one.VendorHolds) != 1 || one.VendorHolds[0].Until.IsZero() || !strings.Contains(one.Why, "the vendor asked") {
		t.Errorf("%+v", one)
	}
	got := w.get("/api/v1/connections/stripe/breaker")
	got.decode(t, &one)
	if one.State != "open" || one.Counts.Failures != 0 || one.NextProbe.IsZero() || one.Override != nil || len(one.Operations) != 1 || one.Operations[0].Operation != "charge" {
		t.Errorf("%s", got.body)
	}
	if got := w.get("/api/v1/connections/nothing/breaker"); got.status != http.StatusNotFound || got.failure(t).Code != "CONNECTION_NOT_FOUND" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestBreakerCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withOperation("stripe")
	const path = "/api/v1/connections/stripe/breaker"
	command := func(verb, body string) answer {
		t.Helper()
		return w.do(http.MethodPost, path+"/"+verb, body)
	}
	until := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Second)
	for _, step := range []struct{ verb, body, state string }{
		{"trip", `{"reason":"r"}`, "open"},
		{"probe", `{"reason":"r"}`, "half_open"},
		{"reset", `{"reason":"r"}`, "closed"},
		{"hold", `{"reason":"r","for":"90s"}`, "held"},
		{"force-open", `{"reason":"r"}`, "forced_open"},
		{"force-closed", `{"reason":"r","for":"1h"}`, "forced_closed"},
		{"observe", `{"reason":"r"}`, "observe"},
		{"auto", `{"reason":"r"}`, "held"},
		{"reset", `{"reason":"r"}`, "closed"},
		{"force-open", `{"reason":"r","operation":"charge"}`, "forced_open"},
		{"hold", `{"reason":"r","until":"` + until.Format(time.RFC3339) + `"}`, "held"},
	} {
		got := command(step.verb, step.body)
		var done BreakerCommanded
		if got.decode(t, &done); got.status != http.StatusOK || done.Breaker.State != step.state || done.Consequence == "" {
			t.Errorf("%s: %d %s", step.verb, got.status, got.body)
		}
		if sent := done.Probe != nil && done.Probe.Status == 204 && done.Probe.RequestID == "req_probe"; sent != (step.verb == "probe") {
			t.Errorf("%s sent %+v", step.verb, done.Probe)
		}
	}
	var one BreakersOfConnection
	w.get(path).decode(t, &one)
	o := one.Operations[0]
	if one.State != "held" || one.Hold == nil || !one.Hold.Until.Equal(until) || o.State != "forced_open" || o.Override == nil || o.Override.Actor != "API key deploy" || o.Override.Reason != "r" || o.LastCommand == nil || o.LastCommand.Command != "force-open" || o.LastCommand.Of != 20 {
		t.Errorf("%+v, %+v", one, o.LastCommand)
	}
	for _, tt := range []struct {
		verb, body string
		status     int
		code       string
		field      string
	}{
		{"trip", `{}`, 400, "REASON_REQUIRED", "reason"},
		{"trip", `{"reason":"r","for":"soon"}`, 400, "INVALID_END", "for"},
		{"trip", `{"reason":"r","for":"-1m"}`, 400, "INVALID_END", "for"},
		{"force-closed", `{"reason":"r","for":"25h"}`, 400, "INVALID_END", "for"},
		{"reset", `{"reason":"r","for":"1m"}`, 400, "INVALID_END", "for"},
		{"trip", `{"reason":"r","operation":"nothing"}`, 400, "UNKNOWN_OPERATION", "operation"},
		{"trip", `{"reason":"r","until":"x"}`, 400, "INVALID_FIELD", "until"},
		{"hold", `{"reason":"r","until":"2001-01-01T00:00:00Z"}`, 400, "INVALID_END", "until"},
		{"hold", `{"reason":"r","until":"2201-01-01T00:00:00Z"}`, 400, "INVALID_END", "until"},
		{"hold", `{"reason":"r","until":"2201-01-01T00:00:00Z","for":"1m"}`, 400, "INVALID_END", "for"},
		{"auto", `{"reason":"r","until":"2201-01-01T00:00:00Z"}`, 400, "INVALID_END", "until"},
		{"trip", `{"reason":"r","till":"x"}`, 400, "UNKNOWN_FIELD", "till"},
		{"auto", `{"reason":"r"}`, 409, "BREAKER_STATE", ""},
		{"explode", `{"reason":"r"}`, 404, "NOT_FOUND", ""},
	} {
		got := command(tt.verb, tt.body)
		if f := got.failure(t); got.status != tt.status || f.Code != tt.code || f.Details.Field != tt.field {
			t.Errorf("%s %s: %d %s", tt.verb, tt.body, got.status, got.body)
		}
	}
	if got := w.send(http.MethodPost, path+"/trip", w.read, `{"reason":"r"}`); got.status != http.StatusForbidden {
		t.Errorf("a key that reads: %d", got.status)
	}
	if got := w.send(http.MethodPost, path+"/trip", w.key("caller", access.ScopeCallAll), `{"reason":"r"}`); got.status != http.StatusForbidden {
		t.Errorf("a key that calls: %d", got.status)
	}
	// Repeated with the same key it happens once.
	first := w.do(http.MethodPost, path+"/reset", `{"reason":"r"}`, "Idempotency-Key", "once")
	again := w.do(http.MethodPost, path+"/reset", `{"reason":"r"}`, "Idempotency-Key", "once")
	if first.status != http.StatusOK || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d, %d %v", first.status, again.status, again.header)
	}
}

func TestBreakerHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withOperation("stripe")
	w.breakIt("stripe", "")
	if got := w.do(http.MethodPost, "/api/v1/connections/stripe/breaker/reset", `{"reason":"the vendor is back"}`); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if got := w.do(http.MethodPost, "/api/v1/connections/stripe/breaker/hold", `{"reason":"lunch","operation":"charge"}`); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_ = w.registry.Serve(ctx) // hands over what waits, and returns because its context has ended
	must(t, w.breakers.Save(t.Context()))
	const path = "/api/v1/connections/stripe/breaker/history"
	for query, want := range map[string]string{
		"":                                   "held closed open 3",
		"?sort=at&limit=1":                   "open 3",
		"?sort=-at&limit=1":                  "held 3",
		"?page=2&limit=2":                    "open 3",
		"?filter[cause]=reset":               "closed 1",
		"?filter[operation]=charge":          "held 1",
		"?filter[to]=2001-01-01T00:00:00Z":   "0",
		"?filter[from]=2001-01-01T00:00:00Z": "held closed open 3",
	} {
		var list struct {
			Data []BreakerChange
			Meta Meta
		}
		got := w.get(path + query)
		got.decode(t, &list)
		var b strings.Builder
		for _, c := range list.Data {
			b.WriteString(c.To + " ")
		}
		if text := fmt.Sprintf("%s%d", b.String(), list.Meta.Total); text != want {
			t.Errorf("%s: %s, want %s: %s", query, text, want, got.body)
		}
	}
	var list struct{ Data []BreakerChange }
	w.get(path+"?sort=at").decode(t, &list)
	if c := list.Data[0]; c.Cause != "auto" || c.Counts.Failures != 2 || len(c.Requests) != 2 || c.Version != 1 || c.LastOutcome != "server_error" || c.Until.IsZero() {
		t.Errorf("%+v", c)
	}
	if c := list.Data[1]; c.Cause != "reset" || c.Actor != "API key deploy" || c.Reason != "the vendor is back" {
		t.Errorf("%+v", c)
	}
	for query, field := range map[string]string{
		"?filter[cause]=weather": "filter[cause]", "?sort=to": "sort", "?filter[from]=2002-01-01T00:00:00Z&filter[to]=2001-01-01T00:00:00Z": "filter[to]",
	} {
		if got := w.get(path + query); got.status != http.StatusBadRequest || got.failure(t).Details.Field != field {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	if got := w.get("/api/v1/connections/nothing/breaker/history"); got.status != http.StatusNotFound {
		t.Errorf("%d", got.status)
	}
}
