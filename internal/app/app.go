// Package app is the composition root: it alone knows every other package, builds them in order, and
// owns their lifetime.
//
//	New    opens the data directory and the listeners, and builds every part; nothing runs yet
//	Run    serves until its context ends or a part fails for good, then stops
//	Stop   is what Run does at the end; safe to call on an App that never ran
//
// Invariants: teardown is registered when a part comes to exist (see cleanup); every goroutine is
// supervised or waited for; a process whose master key does not fit its database starts sealed, answers
// /livez and explains itself, and changes nothing.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/thejerf/suture/v4"

	"switchgear/internal/breakers"
	"switchgear/internal/config"
	"switchgear/internal/demo"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/live"
	"switchgear/internal/telemetry"
)

// Deps are what an App works with; all are required.
type Deps struct {
	Config config.Config
	Logger *slog.Logger
	// Notices receives what is meant for the person who started the process, such as the set-up link.
	Notices io.Writer
}

// App is one console process.
type App struct {
	cfg      config.Config
	logger   *slog.Logger
	notices  io.Writer
	core     *core
	demo     *demo.Service // nil while sealed
	hub      *live.Hub
	registry *prometheus.Registry
	metrics  *telemetry.HTTPMetrics
	started  time.Time
	stack    *cleanup
	draining atomic.Bool
	servers  []server
	stopped  chan struct{}
}

// server is an HTTP server on a listener that is already open, so that its address is known early.
type server struct {
	name     string
	address  string
	http     *http.Server
	listener net.Listener
}

// New builds the process: data directory, keys, features, routes and open listeners. When it fails,
// everything it had built is torn down again.
func New(ctx context.Context, deps Deps) (_ *App, err error) {
	a := &App{
		cfg: deps.Config, logger: deps.Logger, notices: deps.Notices, started: time.Now(),
		stack: &cleanup{logger: deps.Logger}, stopped: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.stack.unwind(context.WithoutCancel(ctx)))
		}
	}()

	a.hub = live.New(live.Deps{Logger: deps.Logger, Now: time.Now}, live.Config{})
	a.stack.add("live streams", func(context.Context) error { a.hub.Close(); return nil })
	publish := func(topic string) {
		if topic == "users" { // whoever made the first user, the set-up link is dead now
			a.removeSetupLink()
		}
		if topic == "connections" && a.core != nil && a.core.checklist != nil {
			a.core.checklist.Changed()
		}
		if (topic == "connections" || topic == breakers.Topic) && a.core != nil && a.core.health != nil {
			a.core.health.Wake()
		}
		if (topic == "connections" || topic == health.Topic) && a.core != nil && a.core.alerts != nil {
			a.core.alerts.Wake()
		}
		a.hub.Publish(topic)
	}
	if a.core, err = openCore(ctx, deps.Config, deps.Logger, publish, a.stack); err != nil {
		return nil, err
	}
	a.core.serving = true
	if a.core.sealed == nil {
		if err := a.core.breakers.Restore(ctx); err != nil {
			return nil, err
		}
	}
	if err := a.openDemo(ctx); err != nil {
		return nil, err
	}
	a.registry = telemetry.NewRegistry()
	a.metrics = telemetry.NewHTTPMetrics(a.registry)
	if err := a.registerMetrics(); err != nil {
		return nil, err
	}
	routes, err := a.routes()
	if err != nil {
		return nil, err
	}
	if err := a.listen(ctx, routes); err != nil {
		return nil, err
	}
	return a, nil
}

// listen opens every listener; a port that is taken is found here, before anything runs.
func (a *App) listen(ctx context.Context, routes routes) error {
	for _, l := range []struct {
		name, setting, addr string
		handler             http.Handler
	}{
		{"console", "ADDR", a.cfg.Addr, routes.main},
		{"gateway", "GATEWAY_ADDR", a.cfg.GatewayAddr, routes.gateway},
		{"metrics", "METRICS_ADDR", a.cfg.MetricsAddr, routes.metrics},
	} {
		if l.addr == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fault.Wrap(err, fault.Conflict, "ADDRESS_IN_USE", "another program already listens on "+l.addr).
				WithSuggestion("Choose another address: SWITCHGEAR_" + l.setting + ", or make run ARGS=\"--addr 127.0.0.1:8081\".")
		}
		if err != nil {
			return fmt.Errorf("listen for %s: %w", l.name, err)
		}
		a.addServer(ctx, l.name, listener.Addr().String(), newHTTPServer(l.handler, a.logger), listener)
	}
	listener, err := listenAdmin(ctx, a.cfg.Data)
	if err != nil {
		return fmt.Errorf("listen for admin socket: %w", err)
	}
	socketFile := filepath.Join(a.cfg.Data, adminSocketName)
	a.stack.addCloser("admin socket file", func() error { return ignoreNotExist(os.Remove(socketFile)) })
	a.core.listeners.set(a.servers)
	a.addServer(ctx, "admin", socketFile, newAdminServer(a.core, a.logger), listener)
	return nil
}

func (a *App) addServer(ctx context.Context, name, address string, srv *http.Server, l net.Listener) {
	// Streams end when the server begins to shut down, or Shutdown would wait for them in vain.
	srv.RegisterOnShutdown(a.hub.Close)
	a.servers = append(a.servers, server{name: name, address: address, http: srv, listener: l})
	a.stack.addCloser(name+" listener", func() error { return ignoreClosed(l.Close()) })
	a.logger.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("listener", name), slog.String("addr", address))
}

// newHTTPServer makes a server of HTTP/1.1 and, for clients that begin with it, HTTP/2 without TLS: that is
// what a reverse proxy in front may speak to us.
func newHTTPServer(h http.Handler, logger *slog.Logger) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 5 * time.Second,
		// For pages and forms; what streams clears them for itself (live, and later the gateway).
		ReadTimeout:    30 * time.Second,
		WriteTimeout:   60 * time.Second,
		IdleTimeout:    60 * time.Second,
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnContext:    withPeer,
	}
}

// Addr is the address of the console listener, with the port the system chose if it was asked to.
func (a *App) Addr() string { return a.addr("console") }

// GatewayAddr is the address of the gateway listener, empty when the console serves it too.
func (a *App) GatewayAddr() string { return a.addr("gateway") }

// MetricsAddr is the address of the metrics listener, empty when the console serves it too.
func (a *App) MetricsAddr() string { return a.addr("metrics") }

func (a *App) addr(name string) string {
	for _, s := range a.servers {
		if s.name == name {
			return s.address
		}
	}
	return ""
}

// Run serves until ctx ends or a listener fails, then stops within the drain timeout. It returns nil
// after a clean stop. Run may be called once.
func (a *App) Run(ctx context.Context) error {
	workers, stopWorkers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorkers()
	workersDone := a.supervise(workers)

	failed := make(chan error, len(a.servers))
	for _, s := range a.servers {
		go func() {
			if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s listener: %w", s.name, err)
			}
		}()
	}
	if a.cfg.SecureCookies() && a.cfg.TrustedProxies == 0 {
		a.logger.LogAttrs(ctx, slog.LevelWarn, "the public URL is https, so a reverse proxy stands in front, but SWITCHGEAR_TRUSTED_PROXIES is 0: every visitor seems to come from the proxy's address")
	}
	if err := a.announce(ctx); err != nil {
		a.logger.LogAttrs(ctx, slog.LevelError, "set-up link not printed", slog.Any("error", err))
	}
	facts := []slog.Attr{slog.Int64("start_ms", time.Since(a.started).Milliseconds()), slog.String("version", telemetry.Version())}
	if a.core.sealed != nil {
		a.logger.LogAttrs(ctx, slog.LevelWarn, "sealed", facts...)
	} else {
		a.logger.LogAttrs(ctx, slog.LevelInfo, "ready", facts...)
	}

	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	return errors.Join(cause, a.stop(context.WithoutCancel(ctx), stopWorkers, workersDone))
}

// worker has a name. Without one, the supervisor prints the whole value to call it something, and reads
// what others are writing.
type worker struct {
	name string
	suture.Service
}

// String implements fmt.Stringer.
func (w worker) String() string { return w.name }

// supervise starts the background workers; the channel closes when all have ended.
func (a *App) supervise(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	if a.core.sealed != nil {
		close(done)
		return done
	}
	root := suture.New("switchgear", suture.Spec{
		EventHook: func(e suture.Event) {
			a.logger.LogAttrs(ctx, slog.LevelWarn, "worker event", slog.String("event", e.String()))
		},
		FailureBackoff: 2 * time.Second,
		Timeout:        10 * time.Second,
	})
	workers := []worker{
		{"access", a.core.access},
		{"breaker history", a.core.breakers},
		{"connections", a.core.connections},
		{"credentials", a.core.vault},
		{"consents", a.core.connect},
		{"key rotation", a.core.rotation},
		{"call log", a.core.calls},
		{"health", a.core.health},
		{"health checks", a.core.health.Checker()},
		{"alerts", a.core.alerts},
		{"alert notifications", a.core.sender},
		{"demonstration", a.demo},
		{"known good versions", a.core.judge},
		{"checklist", a.core.checklist},
		{"what-if", a.core.whatif},
		{"idempotency", a.core.requests},
		{"audit anchors", anchorLogger{audit: a.core.audit, logger: a.logger}},
	}
	for i, w := range a.core.protections.Workers() {
		workers = append(workers, worker{"protections " + strconv.Itoa(i+1), w})
	}
	if a.core.tracer != nil {
		workers = append(workers, worker{"traces", a.core.tracer})
	}
	for _, w := range workers {
		root.Add(w)
	}
	go func() {
		defer close(done)
		if err := root.Serve(ctx); err != nil && !errors.Is(err, context.Canceled) {
			a.logger.LogAttrs(ctx, slog.LevelError, "supervisor ended", slog.Any("error", err))
		}
	}()
	return done
}

// stop drains: not ready → no new connections → running requests end → workers end → teardown.
func (a *App) stop(ctx context.Context, stopWorkers context.CancelFunc, workersDone <-chan struct{}) error {
	a.draining.Store(true)
	ctx, cancel := context.WithTimeout(ctx, a.cfg.DrainTimeout)
	defer cancel()
	a.logger.LogAttrs(ctx, slog.LevelInfo, "stopping", slog.String("drain_timeout", a.cfg.DrainTimeout.String()))

	if a.cfg.DrainDelay > 0 { // load balancers learn from /readyz before the listeners close
		delay := time.NewTimer(a.cfg.DrainDelay)
		defer delay.Stop()
		<-delay.C
	}
	results := make(chan error, len(a.servers))
	for _, s := range a.servers {
		go func() {
			if err := s.http.Shutdown(ctx); err != nil {
				// Not a failure of ours: a client that never finishes must not decide how we exit.
				a.logger.LogAttrs(ctx, slog.LevelWarn, "requests cut after the drain timeout", slog.String("listener", s.name))
				results <- ignoreClosed(s.http.Close())
				return
			}
			results <- nil
		}()
	}
	errs := make([]error, 0, len(a.servers)+1)
	for range a.servers {
		errs = append(errs, <-results)
	}
	stopWorkers()
	<-workersDone
	errs = append(errs, a.stack.unwind(context.WithoutCancel(ctx)))
	err := errors.Join(errs...)
	a.logger.LogAttrs(ctx, slog.LevelInfo, "stopped", slog.Bool("clean", err == nil))
	return err
}

// Close tears down an App that never ran.
func (a *App) Close(ctx context.Context) error { return a.stack.unwind(ctx) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func ignoreNotExist(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
