// Package api is HTTP for machines: health, metrics, the gateway and the machine API.
//
// The machine API has versions, each with its own operations on the use cases that the pages use too
// (see version). Invariants:
//
//   - no route here accepts a cookie;
//   - every error is the envelope of package fault (or problem+json), written by fail and nowhere else;
//   - a route needs an API key with a scope, except health and the description of the API;
//   - no answer, error or description holds a secret: credentials go in and never come out.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// Check is one condition of readiness.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Reason says why it is not OK, for the operator; it holds no secret.
	Reason string `json:"reason,omitempty"`
}

// keys finds the API key that a request presents.
type keys interface {
	AuthenticateKey(ctx context.Context, presented string) (access.Key, error)
}

// Deps are what the machine routes work with; all are required.
type Deps struct {
	Keys        keys
	Targets     targets
	Proxy       proxy
	Connections *connections.Service
	Providers   catalog
	Calls       callLog
	Breakers    circuitBreakers
	Limiters    limiters
	Checklists  readiness
	WhatIf      replays
	OAuth       discovery
	Alerts      *alerts.Service
	Health      conditions
	Connect     connectLinks
	Requests    requests
	Assets      assets
	Metrics     http.Handler
	Ready       func(ctx context.Context) []Check
	Logger      *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

type handler func(w http.ResponseWriter, r *http.Request) error

// Health answers /livez and /readyz. Both are public: they name conditions, never data.
func Health(ready func(ctx context.Context) []Check, logger *slog.Logger) http.Handler {
	r := newRouter(logger)
	mountHealth(r, ready)
	return r
}

// Sealed answers in place of every machine route while the master key does not fit the database: health as
// it is, and everything else 503, because nothing can be said about what is sealed.
func Sealed(ready func(ctx context.Context) []Check, logger *slog.Logger) http.Handler {
	r := newRouter(logger)
	sealed := handle(logger, func(w http.ResponseWriter, _ *http.Request) error {
		err := fault.New(fault.Unavailable, "SEALED", "The master key does not fit the database, so nothing can be called or read until an operator brings it back.")
		runtime.SetErrorHeader(w.Header(), err)
		return err
	})
	r.NotFound(sealed)
	r.MethodNotAllowed(sealed)
	mountHealth(r, ready)
	return r
}

// New returns the handler of every machine route, health included. It fails when the API cannot be
// described.
func New(deps Deps, cfg Config) (http.Handler, error) {
	r := newRouter(deps.Logger)
	mountHealth(r, deps.Ready)
	read := r.With(requireScope(deps.Keys, "api:read", deps.Logger))
	read.Method(http.MethodGet, "/metrics", deps.Metrics)
	read.Method(http.MethodHead, "/metrics", deps.Metrics)
	handler := mountGateway(r, deps)
	cfg = cfg.withDefaults()
	limits := &limits{
		keys: newLimiter("key", cfg.KeyLimits, deps.Now), clients: newLimiter("client", cfg.ClientLimits, deps.Now), now: deps.Now,
		refuse: func(w http.ResponseWriter, r *http.Request, err error) { fail(w, r, deps.Logger, err) },
	}
	one := newVersion(1, deps, limits, "Connections and what belongs to them. Lists have pages, sorts and filters; changes may depend on an ETag; requests with an Idempotency-Key may be repeated.")
	one.connectionRoutes()
	one.accountRoutes()
	one.versionRoutes()
	one.providerRoutes()
	one.callRoutes()
	one.breakerRoutes()
	one.rateLimitRoutes()
	one.checklistRoutes()
	one.whatIfRoutes()
	one.oauthRoutes()
	one.alertRoutes()
	one.healthRoutes()
	one.connectSessionRoutes()
	if err := one.close(); err != nil {
		return nil, err
	}
	page := handle(deps.Logger, one.docs())
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.MethodFunc(method, "/api/docs", page)
		r.Method(method, "/static/*", deps.Assets) // for the page, where the console listens elsewhere
	}
	r.Mount("/api/v1", one.router)
	r.Handle("/api/*", handle(deps.Logger, versioned([]*version{one})))
	return handler, nil
}

func newRouter(logger *slog.Logger) *chi.Mux {
	r := chi.NewRouter()
	r.Use(middlewareRecover(logger))
	r.NotFound(handle(logger, func(_ http.ResponseWriter, r *http.Request) error {
		return fault.Newf(fault.NotFound, "no such path: %s", r.URL.Path)
	}))
	r.MethodNotAllowed(handle(logger, func(w http.ResponseWriter, req *http.Request) error {
		w.Header().Set("Allow", allowedMethods(r, req.URL.Path))
		return fault.Newf(fault.MethodNotAllowed, "%s is not possible on %s", req.Method, req.URL.Path)
	}))
	return r
}

func mountHealth(r chi.Router, ready func(ctx context.Context) []Check) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.MethodFunc(method, "/livez", func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
		})
		r.MethodFunc(method, "/readyz", func(w http.ResponseWriter, r *http.Request) {
			checks := ready(r.Context())
			status, word := http.StatusOK, "ready"
			for _, c := range checks {
				if !c.OK {
					status, word = http.StatusServiceUnavailable, "not ready"
				}
			}
			if status != http.StatusOK {
				w.Header().Set("Retry-After", "5")
			}
			writeJSON(w, status, map[string]any{"status": word, "checks": checks})
		})
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone if this fails
}

// requireScope lets a request pass that presents an API key with the scope, in Authorization: Bearer or
// X-API-Key.
func requireScope(k keys, scope access.Scope, logger *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return handle(logger, func(w http.ResponseWriter, r *http.Request) error {
			presented, err := presentedKey(r)
			if err != nil {
				return err
			}
			key, err := k.AuthenticateKey(r.Context(), presented)
			if err != nil {
				return err
			}
			if !key.Allows(scope) {
				return fault.Newf(fault.Forbidden, "the API key %q lacks the scope %s", key.Name, scope)
			}
			next.ServeHTTP(w, r)
			return nil
		})
	}
}

func presentedKey(r *http.Request) (string, error) {
	if key := r.Header.Get("X-API-Key"); key != "" {
		return key, nil
	}
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(key) != "" {
		return strings.TrimSpace(key), nil
	}
	return "", fault.New(fault.Unauthenticated, "API_KEY_MISSING",
		"send an API key as Authorization: Bearer sg_… or X-API-Key")
}

// handle turns a handler that returns its error into an http.HandlerFunc. It is the one place of this
// package where an error becomes a response, and where one that is ours to fix is logged.
func handle(logger *slog.Logger, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			fail(w, r, logger, err)
		}
	}
}

func fail(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) {
	id := telemetry.RequestID(r.Context())
	if fault.KindOf(err).Status() >= http.StatusInternalServerError {
		logger.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("request_id", id),
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	fault.WriteJSON(w, r, err, id)
}

// middlewareRecover turns a panic into a 500 with our envelope and logs it with its stack.
func middlewareRecover(logger *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer telemetry.RecoverPanic(func(err error) { fail(w, r, logger, err) })
			next.ServeHTTP(w, r)
		})
	}
}
