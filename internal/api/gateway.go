package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// gatewayPrefix is where applications call connections: /proxy/{connection}/{path…}.
const gatewayPrefix = "/proxy/"

// targets finds what a connection calls. It reads memory only: a call never waits for the database. With an
// error about a connection that exists comes a target that names it.
type targets interface {
	Target(slug, account string) (runtime.Target, error)
}

// proxy carries one call out and its answer back.
type proxy interface {
	Serve(w http.ResponseWriter, r *http.Request, t runtime.Target, path string) error
	// Refused records a call that cannot be made.
	Refused(r *http.Request, t runtime.Target, path string, err error)
}

// mountGateway serves every method on /proxy/{connection}/…: the caller shows a key of ours and never
// sees the credential that goes upstream. An error of ours carries Switchgear-Error, so that it cannot
// be taken for the upstream's.
//
// It returns the whole router with a short cut for these routes: what every call pays is kept small, and
// there is nothing to find out about them.
func mountGateway(r *chi.Mux, deps Deps) http.Handler {
	call := func(w http.ResponseWriter, r *http.Request) {
		if err := gatewayCall(w, r, deps); err != nil {
			w.Header().Set("Switchgear-Error", fault.CodeOf(err))
			fail(w, r, deps.Logger, err)
		}
	}
	r.HandleFunc(gatewayPattern, call)
	r.HandleFunc(gatewayPattern+"/*", call)
	// The router sorts out methods that it does not know before it looks at the path. Upstreams may know them.
	others := r.MethodNotAllowedHandler()
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix(req.URL.Path, gatewayPrefix) {
			others(w, req)
			return
		}
		routed := chi.RouteContext(req.Context())
		routed.RoutePatterns = append(routed.RoutePatterns, gatewayPattern+"/*")
		call(w, req)
	})
	recovering := middlewareRecover(deps.Logger)(http.HandlerFunc(call))
	whole, below := []string{gatewayPattern}, []string{gatewayPattern + "/*"}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		pattern := whole
		switch routed, sub := gatewayRoute(req); {
		case !routed:
			r.ServeHTTP(w, req)
			return
		case sub:
			pattern = below
		}
		req.Pattern = pattern[0]
		if route := chi.RouteContext(req.Context()); route != nil {
			route.RoutePatterns = pattern
		}
		recovering.ServeHTTP(w, req)
	})
}

const gatewayPattern = gatewayPrefix + "{connection}"

// gatewayRoute reports whether the router would take r to the gateway, and whether by the route with a path
// below the connection. What is unusual is left to the router.
func gatewayRoute(r *http.Request) (routed, sub bool) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return false, false
	}
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	rest, ok := strings.CutPrefix(path, gatewayPrefix)
	if !ok {
		return false, false
	}
	connection, _, sub := strings.Cut(rest, "/")
	return connection != "", sub
}

// alternates finds connections that stand in for the one that is called. The key has to allow the call of each:
// a fallback opens nothing that is closed to the application.
func alternates(t targets, key access.Key) func(slug, account string) (runtime.Target, error) {
	return func(slug, account string) (runtime.Target, error) {
		if !key.Allows(access.Scope("call:" + slug)) {
			return runtime.Target{}, fault.Newf(fault.Forbidden, "the API key lacks the scope call:%s", slug)
		}
		return t.Target(slug, account)
	}
}

func gatewayCall(w http.ResponseWriter, r *http.Request, deps Deps) error {
	slug, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), gatewayPrefix), "/")
	presented, err := presentedKey(r)
	if err != nil {
		return err
	}
	key, err := deps.Keys.AuthenticateKey(r.Context(), presented)
	if err != nil {
		return err
	}
	// Without the scope the answer is the same whether the connection exists or not.
	if !key.Allows(access.Scope("call:" + slug)) {
		return fault.Newf(fault.Forbidden, "the API key %q may not call %q; it needs the scope call:%s", key.Name, slug, slug)
	}
	account := r.Header.Get("Switchgear-Account")
	if account == "" {
		account = "default"
	}
	caller := runtime.Caller{KeyID: key.ID, KeyName: key.Name, ClientIP: middleware.GetClientIP(r.Context())}
	target, err := deps.Targets.Target(slug, account)
	if target.HasAlternate() {
		caller.Alternate = alternates(deps.Targets, key)
	}
	call := r.WithContext(runtime.WithCaller(r.Context(), caller))
	if err != nil {
		if target.ConnectionID != "" {
			deps.Proxy.Refused(call, target, rest, err)
		}
		return err
	}
	// The server's time limits are meant for pages; a call is bounded by the policy of its connection.
	rc := http.NewResponseController(w)
	if err := errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{})); err != nil {
		return err
	}
	err = deps.Proxy.Serve(w, call, target, rest)
	if err == nil || fault.Is(err, fault.Internal) {
		return err
	}
	// The call log knows of it. An upstream that is down would otherwise fill the log of the process with
	// errors that are none of ours.
	fault.WriteJSON(w, r, err, telemetry.RequestID(r.Context()))
	return nil
}
