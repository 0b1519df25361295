package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
)

// The short cut to the gateway takes what the router would take there, and nothing else.
func TestGatewayRouteIsThatOfTheRouter(t *testing.T) {
	t.Parallel()
	nothing := func(http.ResponseWriter, *http.Request) {}
	router := chi.NewRouter()
	router.HandleFunc(gatewayPattern, nothing)
	router.HandleFunc(gatewayPattern+"/*", nothing)
	router.HandleFunc("/api/*", nothing)
	taken := 0
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
		for _, path := range []string{
			"/", "/proxy", "/proxy/", "/proxy//", "/proxy//v1", "/proxy/a", "/proxy/a/", "/proxy/a//", "/proxy/a/v1/x", "/proxy/a/../b",
			"/proxy/a%2Fb", "/proxy/a%2Fb/c", "/proxy/%61/c", "/%70roxy/a/b", "/proxy%2Fa/b", "/proxy/a/%2F", "/PROXY/a", "/proxyx/a", "/api/v1",
		} {
			r := httptest.NewRequest(method, path, nil)
			routed, sub := gatewayRoute(r)
			if !routed {
				continue
			}
			taken++
			want := gatewayPattern
			if sub {
				want += "/*"
			}
			path := r.URL.RawPath
			if path == "" {
				path = r.URL.Path
			}
			if got := router.Find(chi.NewRouteContext(), method, path); got != want {
				t.Errorf("%s %s: the router says %q, the short cut %q", method, r.URL, got, want)
			}
		}
	}
	if taken < 50 {
		t.Errorf("the short cut took %d requests", taken)
	}
}
