package app

import (
	"context"
	"time"

	"switchgear/internal/observability"
	"switchgear/internal/runtime"
)

// registerMetrics puts on the registry what the features say about themselves.
func (a *App) registerMetrics() error {
	c := a.core
	if c.sealed != nil {
		return nil
	}
	all := append(observability.NewCallLog(c.calls),
		c.counted,
		observability.NewAlerts(observability.AlertsDeps{Firing: c.firing, Sent: func(each func(channelKind, result string, n int64)) {
			for s, n := range c.sender.Counts() {
				each(s.ChannelKind, s.Result, n)
			}
		}}),
		observability.NewProtections(observability.ProtectionsDeps{
			Protections: c.protections, Transitions: c.transitions, Slugs: c.connections.Slugs,
		}),
	)
	if c.tracer != nil {
		all = append(all, c.tracer.Collectors()...)
	}
	for _, collector := range all {
		if err := a.registry.Register(collector); err != nil {
			return err
		}
	}
	return nil
}

// openTracer makes what exports traces, if there is a collector.
func (c *core) openTracer(ctx context.Context) error {
	if c.cfg.OTLPEndpoint == "" {
		return nil
	}
	var err error
	c.tracer, err = observability.NewTracer(ctx, observability.TracerDeps{Logger: c.logger}, observability.TracerConfig{
		Endpoint: c.cfg.OTLPEndpoint, Headers: c.cfg.TraceHeaders(), Ratio: c.cfg.TraceRatio, Flush: min(3*time.Second, c.cfg.DrainTimeout/2),
	})
	return err
}

// newProxy makes a proxy whose calls are logged, counted and traced; more recorders are told as well.
func (c *core) newProxy(more ...runtime.Recorder) *runtime.Proxy {
	cfg := runtime.ProxyConfig{Lines: runtime.Lines(c.cfg.LogCalls)}
	all := append(recorders{c.calls, c.counted}, more...)
	if c.tracer != nil {
		cfg.Trace, all = c.tracer.Begin, append(all, c.tracer)
	}
	return runtime.NewProxy(runtime.ProxyDeps{Logger: c.logger, Now: time.Now, Recorder: all, Protections: c.protections}, cfg)
}
