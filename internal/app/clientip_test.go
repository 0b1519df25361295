package app

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"switchgear/internal/config"
	"switchgear/internal/telemetry"
)

// The address of a client is that of its connection, or what the proxies say that are configured; over HTTP/1 and
// HTTP/2, and for every request of a connection.
func TestClientAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		proxies int
		forward []string
		want    string
	}{
		"direct":               {0, nil, "127.0.0.1"},
		"direct, and it lies":  {0, []string{"203.0.113.9"}, "127.0.0.1"},
		"behind a proxy":       {1, []string{"203.0.113.9"}, "203.0.113.9"},
		"it lies to the proxy": {1, []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		"behind two":           {2, []string{"203.0.113.9, 10.0.0.1"}, "203.0.113.9"},
		"past the proxy":       {1, nil, "127.0.0.1"},
		"nothing usable":       {1, []string{"unknown"}, "127.0.0.1"},
	} {
		a := &App{cfg: config.Config{TrustedProxies: c.proxies}, metrics: telemetry.NewHTTPMetrics(prometheus.NewRegistry())}
		var got []string
		h := a.wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, middleware.GetClientIP(r.Context())) }))
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &httptest.Server{Listener: l, Config: newHTTPServer(h, telemetry.Discard())}
		server.Start()
		for _, second := range []bool{false, true} {
			protocols := &http.Protocols{}
			protocols.SetHTTP1(!second)
			protocols.SetUnencryptedHTTP2(second)
			client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
			for range 2 {
				r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header["X-Forwarded-For"] = c.forward
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}
			client.CloseIdleConnections()
		}
		server.Close()
		if len(got) != 4 {
			t.Errorf("%s: %d requests", name, len(got))
		}
		for _, ip := range got {
			if ip != c.want {
				t.Errorf("%s: %q, want %q", name, ip, c.want)
			}
		}
	}
}
