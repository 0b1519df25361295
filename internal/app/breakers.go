package app

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"switchgear/internal/breakers"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// openBreakers builds what stores, shows and commands the breakers of the protections.
func (c *core) openBreakers(inbox *breakers.Inbox, logger *slog.Logger, notify func(topic string), stack *cleanup) error {
	var err error
	c.breakers, err = breakers.New(breakers.Deps{
		DB: c.db, Audit: c.audit, Connections: c.connections, Inbox: inbox, Breakers: c.protections.Breakers(), Limiters: c.protections.Limiters(),
		Prober: prober{
			connections: c.connections,
			proxy:       c.newProxy(),
		},
		Notify: notify, Logger: logger, Now: time.Now,
	}, breakers.Config{})
	if err != nil {
		return err
	}
	// The workers have ended by then, and the breakers have handed over their last events.
	stack.add("state of breakers", c.breakers.Save)
	return nil
}

// recorders are all told of a call.
type recorders []runtime.Recorder

// Record implements runtime.Recorder.
func (all recorders) Record(r runtime.Record) {
	for _, one := range all {
		one.Record(r)
	}
}

// prober sends the request of a probe as any call is sent: through the protections, into the call log.
type prober struct {
	connections *connections.Service
	proxy       *runtime.Proxy
}

// Probe implements breakers.Prober. An upstream that does not answer is a result, not an error.
func (p prober) Probe(ctx context.Context, slug, operation string) (result breakers.ProbeResult, err error) {
	target, err := p.connections.Target(slug, "")
	if err != nil {
		return result, err
	}
	check := target.Policy.HealthCheck // Its path is the provider's where the policy names none.
	if check.Path == "" {
		return result, fault.New(fault.Conflict, "NO_HEALTH_PATH",
			"Neither the policy nor the provider names a health path, so no request was sent. The next calls are the probes.")
	}
	method := cmp.Or(check.Method, http.MethodGet)
	path, query, _ := strings.Cut(strings.TrimPrefix(check.Path, "/"), "?")
	if op := runtime.MatchOperation(target.Operations, method, path); operation != "" && (op == nil || op.ID != operation) {
		return result, fault.New(fault.Conflict, "NO_HEALTH_PATH",
			"The health path does not belong to this operation, so no request was sent. The next calls are the probes.")
	}
	result.RequestID, result.Method, result.Path = telemetry.NewRequestID(), method, "/"+path
	watch := &runtime.Watch{}
	ctx = runtime.WithCaller(telemetry.WithRequestID(ctx, result.RequestID), runtime.Caller{UserName: "probe", Watch: watch, Plain: true})
	r := (&http.Request{
		Method: method, URL: &url.URL{Path: "/" + path, RawQuery: query}, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		// What a cache would answer says nothing about the upstream.
		Header: http.Header{"User-Agent": {"switchgear"}, "Accept": {"application/json, */*;q=0.5"}, "Cache-Control": {"no-cache"}},
	}).WithContext(ctx)
	whole, err := p.proxy.Call(nil, r, target, path)
	rec := watch.Record
	result.Status, result.Outcome, result.Duration = rec.Status, rec.Outcome, rec.Duration
	switch {
	case err != nil:
		result.Error = fault.PublicMessage(err)
	case !whole:
		result.Error = "The answer broke off."
	}
	return result, nil
}
