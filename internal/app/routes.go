package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"switchgear/internal/api"
	"switchgear/internal/config"
	"switchgear/internal/console"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	"switchgear/web/static"
	aboutview "switchgear/web/templates/about"
)

// routes are the handlers of the three listeners. metrics is served only when it has a listener of its
// own, which is why it asks for no key; gateway takes the machine routes off main the same way.
type routes struct {
	main, gateway, metrics http.Handler
}

func (a *App) routes() (routes, error) {
	assets, err := static.New()
	if err != nil {
		return routes{}, err
	}
	health := api.Health(a.checks, a.logger)
	if a.core.sealed != nil {
		machine := api.Sealed(a.checks, a.logger) // a program gets JSON, also about what is sealed
		sealed := a.wrap(splitPaths(machine, console.NewSealed(console.SealedDeps{
			Assets: assets, Sealed: *a.core.sealed, KeyFile: absolute(a.cfg.EffectiveKeyFile()), Now: time.Now, Logger: a.logger,
		}), "/livez", "/readyz", "/metrics", "/api/", "/proxy/"))
		return routes{main: sealed, gateway: a.wrap(machine), metrics: a.wrap(machine)}, nil
	}
	exposition := promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{Registry: a.registry})
	proxy := a.core.newProxy(a.core.breakers)
	machine, err := api.New(api.Deps{
		Keys: a.core.access, Targets: a.core.connections, Proxy: proxy, Connections: a.core.connections, Providers: a.core.providers,
		Calls: a.core.calls, Breakers: a.core.breakers, Limiters: a.core.protections.Limiters(), Checklists: a.core.checklist, Health: a.core.health, Alerts: a.core.alerts, WhatIf: a.core.whatif, Connect: a.core.connect, OAuth: a.core.connect, Requests: a.core.requests, Assets: assets, Metrics: exposition, Ready: a.checks, Logger: a.logger, Now: time.Now,
	}, api.Config{KeyLimits: apiLimits(a.cfg.APIKeyLimits), ClientLimits: apiLimits(a.cfg.APIClientLimits)})
	if err != nil {
		return routes{}, err
	}
	pages, err := console.New(console.Deps{
		Access: a.core.access, Audit: a.core.audit, Live: a.hub, Assets: assets, Logger: a.logger, Now: time.Now,
		Connections: a.core.connections, Connect: a.core.connect, Providers: a.core.providers, Calls: a.core.calls, Checklist: a.core.checklist, Proxy: proxy,
		Breakers: a.core.breakers, Protections: a.core.protections, Health: a.core.health, Alerts: a.core.alerts,
		WhatIf: a.core.whatif, Rotation: a.core.rotation, Demo: a.demo, About: a.about, SetupDone: a.removeSetupLink,
	}, console.Config{
		Origin: a.cfg.Origin(), Secure: a.cfg.SecureCookies(), Dev: a.cfg.Dev, Version: telemetry.Version(),
		KeyFile: a.keyFile(), Fingerprint: a.core.keyring.Fingerprint(), LinkFile: a.setupLinkFile(), BaseURL: a.baseURL, GatewayURL: a.callURL,
	})
	if err != nil {
		return routes{}, err
	}
	metrics := http.NewServeMux()
	metrics.Handle("GET /metrics", exposition)
	metrics.Handle("/", health)

	out := routes{gateway: a.wrap(machine), metrics: a.wrap(metrics)}
	if a.cfg.GatewayAddr != "" {
		out.main = a.wrap(splitPaths(health, pages, "/livez", "/readyz"))
	} else {
		out.main = a.wrap(splitPaths(machine, pages, "/livez", "/readyz", "/metrics", "/api/", "/proxy/"))
	}
	return out, nil
}

// apiLimits are the limits of a setting, which were checked when it was read.
func apiLimits(rates config.Rates) []api.Limit {
	out := make([]api.Limit, len(rates))
	for i, r := range rates {
		out[i] = api.Limit{Requests: r.Requests, Per: r.Per}
	}
	return out
}

// splitPaths sends the named paths to machine and the rest to people. The two never share a cookie. A name
// that ends in a slash stands for everything below it. The path is not cleaned, as http.ServeMux would:
// what follows /proxy/{connection}/ is the upstream's to understand, empty segments and dots included.
func splitPaths(machine, people http.Handler, paths ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range paths {
			folder := strings.TrimSuffix(p, "/")
			if r.URL.Path == folder || folder != p && strings.HasPrefix(r.URL.Path, p) {
				machine.ServeHTTP(w, r)
				return
			}
		}
		people.ServeHTTP(w, r)
	})
}

// wrap puts around every listener what all requests share: a request id, metrics, and the client's
// address past the reverse proxies that are configured.
func (a *App) wrap(h http.Handler) http.Handler {
	h = a.metrics.Middleware(routePattern)(h)
	if n := a.cfg.TrustedProxies; n > 0 {
		// A request that came past the proxies, or of which they say nothing usable, keeps the address of its connection.
		h = middleware.ClientIPFromXFFTrustedProxies(n)(h)
	}
	noSniff := []string{"nosniff"}
	return telemetry.AssignRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Content-Type-Options"] = noSniff
		h.ServeHTTP(w, r)
	}), func(ctx context.Context) context.Context {
		// The routers further in fill this in, so that the metrics know the pattern afterwards.
		return &routeContext{Context: ctx}
	})
}

// withPeer notes the address of who connected as that of the client. It is the same for all requests of the
// connection.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	noted := ctx
	note := middleware.ClientIPFromRemoteAddr(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		noted = r.Context() //nolint:fatcontext // Once.
	}))
	note.ServeHTTP(nil, (&http.Request{RemoteAddr: conn.RemoteAddr().String()}).WithContext(ctx))
	return noted
}

// routeContext carries what the routers find out about a request.
type routeContext struct {
	context.Context //nolint:containedctx // It is one.

	route chi.Context
}

// Value implements context.Context.
func (c *routeContext) Value(key any) any {
	if key == chi.RouteCtxKey {
		return &c.route
	}
	return c.Context.Value(key)
}

func routePattern(r *http.Request) string { return chi.RouteContext(r.Context()).RoutePattern() }

// keyFile is the file that has to be backed up; empty when the master key comes from the environment.
func (a *App) keyFile() string {
	if !a.cfg.Key.IsZero() {
		return ""
	}
	return absolute(a.cfg.EffectiveKeyFile())
}

// absolute is the path as it can be copied to another shell.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// checks are the conditions of readiness.
func (a *App) checks(ctx context.Context) []api.Check {
	sealed := api.Check{Name: "master key", OK: a.core.sealed == nil}
	if !sealed.OK {
		sealed.Reason = "sealed: " + a.core.sealed.Reason
	}
	draining := api.Check{Name: "accepting", OK: !a.draining.Load()}
	if !draining.OK {
		draining.Reason = "the process is stopping"
	}
	store := api.Check{Name: "database", OK: true}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var one int
	if err := a.core.db.QueryRow(ctx, `SELECT 1`).Scan(&one); err != nil {
		store.OK, store.Reason = false, "the database does not answer"
	} else if problem := a.core.db.WriteProblem(); problem != nil {
		store.OK, store.Reason = false, "the last write failed: "+fault.PublicMessage(problem)
	}
	return []api.Check{store, sealed, draining}
}

// about describes the process for its page.
func (a *App) about(ctx context.Context) (aboutview.View, error) {
	info, err := a.core.db.Info(ctx)
	if err != nil {
		return aboutview.View{}, fmt.Errorf("about: %w", err)
	}
	v := aboutview.View{
		Version: telemetry.Version(), GoVersion: goruntime.Version(), StartedAt: a.started, PublicURL: a.baseURL(),
		KeyFile: a.keyFile(), KeyFingerprint: a.core.keyring.Fingerprint(), ProcessID: os.Getpid(),
		Database: aboutview.Database{
			Path: info.Path, SizeBytes: info.SizeBytes, WALBytes: info.WALBytes,
			SQLiteVersion: info.SQLiteVersion, SchemaVersion: info.SchemaVersion,
		},
	}
	if a.cfg.GatewayAddr == "" {
		v.APIDocs = "/api/docs"
	}
	for name, value := range info.Pragmas {
		v.Database.Pragmas = append(v.Database.Pragmas, aboutview.Pragma{Name: name, Value: value})
	}
	slices.SortFunc(v.Database.Pragmas, func(x, y aboutview.Pragma) int { return strings.Compare(x.Name, y.Name) })
	for _, s := range a.servers {
		v.Listeners = append(v.Listeners, aboutview.Listener{Name: s.name, Address: s.address, Serves: a.serves(s.name)})
	}
	if address := a.core.admitted.get(); address.IsValid() {
		v.Listeners = append(v.Listeners, aboutview.Listener{Name: "demonstration", Address: address.String(), Serves: "the pretend provider"})
	}
	for _, l := range static.Vendored() {
		v.Licences = append(v.Licences, aboutview.Licence{Name: l.Name, Version: l.Version, Licence: l.Licence})
	}
	return v, nil
}

func (a *App) serves(listener string) string {
	switch {
	case listener == "gateway":
		return "machine API, gateway, health"
	case listener == "metrics":
		return "metrics without a key, health"
	case listener == "admin":
		return "administrative commands of this machine"
	case a.cfg.GatewayAddr != "":
		return "console, health"
	}
	return "console, gateway, machine API, metrics for API keys, health"
}
