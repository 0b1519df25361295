package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// keyRing knows keys by what is presented.
type keyRing map[string]access.Key

func (k keyRing) AuthenticateKey(_ context.Context, presented string) (access.Key, error) {
	key, ok := k[presented]
	if !ok {
		return access.Key{}, fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid.")
	}
	return key, nil
}

func serve(t *testing.T, ready func(context.Context) []Check, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := New(Deps{
		Keys: keyRing{"reader": {Name: "reader", Scopes: []access.Scope{"api:read"}}, "caller": {Name: "caller", Scopes: []access.Scope{"call:*"}}},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "panic" {
				panic("a secret in a panic")
			}
			_, _ = w.Write([]byte("metric 1\n"))
		}),
		Targets: noTargets{}, Proxy: noTargets{},
		Ready: ready, Logger: telemetry.Discard(), Connections: nil, Providers: nil, Calls: nil, Requests: nil, Assets: noAssets{}, Now: time.Now,
	}, Config{})
	must(t, err)
	r := httptest.NewRequestWithContext(telemetry.WithRequestID(t.Context(), "req_test"), method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// noTargets knows no connection and carries nothing.
type noTargets struct{}

func (noTargets) Target(slug, _ string) (runtime.Target, error) {
	return runtime.Target{}, fault.Newf(fault.NotFound, "no connection %q", slug)
}

func (noTargets) Refused(*http.Request, runtime.Target, string, error) {}

func (noTargets) Serve(http.ResponseWriter, *http.Request, runtime.Target, string) error {
	return fault.New(fault.Internal, "", "nothing to serve")
}

func allGood(context.Context) []Check { return []Check{{Name: "database", OK: true}} }

func TestRoutes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, path string
		header       []string
		status       int
		body         string
	}{
		"alive":              {http.MethodGet, "/livez", nil, 200, `"alive"`},
		"alive, head":        {http.MethodHead, "/livez", nil, 200, ""},
		"ready":              {http.MethodGet, "/readyz", nil, 200, `"ready"`},
		"no key":             {http.MethodGet, "/metrics", nil, 401, "API_KEY_MISSING"},
		"empty bearer":       {http.MethodGet, "/metrics", []string{"Authorization", "Bearer "}, 401, "API_KEY_MISSING"},
		"other scheme":       {http.MethodGet, "/metrics", []string{"Authorization", "Basic reader"}, 401, "API_KEY_MISSING"},
		"unknown key":        {http.MethodGet, "/metrics", []string{"Authorization", "Bearer nobody"}, 401, "INVALID_API_KEY"},
		"other scope":        {http.MethodGet, "/metrics", []string{"X-API-Key", "caller"}, 403, "api:read"},
		"scheme in any case": {http.MethodGet, "/metrics", []string{"Authorization", "bearer reader"}, 200, "metric 1"},
		"own header":         {http.MethodGet, "/metrics", []string{"X-API-Key", "reader"}, 200, "metric 1"},
		"a cookie is no key": {http.MethodGet, "/metrics", []string{"Cookie", "switchgear=reader"}, 401, "API_KEY_MISSING"},
		"gateway, no key":    {http.MethodDelete, "/proxy/stripe/v1", nil, 401, "API_KEY_MISSING"},
		"gateway, no scope":  {http.MethodGet, "/proxy/stripe/v1", []string{"X-API-Key", "reader"}, 403, "call:stripe"},
		"gateway, unknown":   {http.MethodGet, "/proxy/stripe", []string{"X-API-Key", "caller"}, 404, "stripe"},
		"gateway, WebDAV":    {"PROPFIND", "/proxy/stripe/v1", []string{"X-API-Key", "caller"}, 404, "stripe"},
		"gateway, made up":   {"BREW", "/proxy/stripe", nil, 401, "API_KEY_MISSING"},
		"made up elsewhere":  {"BREW", "/livez", nil, 405, "METHOD_NOT_ALLOWED"},
		"unknown path":       {http.MethodGet, "/api/v1/nothing", nil, 404, "NOT_FOUND"},
		"other method":       {http.MethodPost, "/livez", nil, 405, "METHOD_NOT_ALLOWED"},
		"panic":              {http.MethodGet, "/metrics?panic", []string{"X-API-Key", "reader"}, 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, allGood, tt.method, tt.path, tt.header...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if strings.Contains(w.Body.String(), "a secret") {
				t.Error("a panic is shown to the client")
			}
			if w.Code < 400 {
				return
			}
			var e fault.Envelope
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.RequestID != "req_test" || e.Timestamp.IsZero() {
				t.Errorf("envelope %+v, %v", e, err)
			}
			if w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestNotReadySaysWhy(t *testing.T) {
	t.Parallel()
	w := serve(t, func(context.Context) []Check {
		return []Check{{Name: "database", OK: true}, {Name: "master key", Reason: "sealed: it is missing"}}
	}, http.MethodGet, "/readyz")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "sealed: it is missing") || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// noAssets has no files.
type noAssets struct{}

func (noAssets) URL(name string) string { return "/static/" + name }

func (noAssets) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
