package app

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"switchgear/internal/telemetry"
)

// BenchmarkGateway is small calls through the whole console, 32 callers at a time, with caller and upstream
// in the same process. Its profile is what the console is optimised with: see docs/benchmarks.md.
func BenchmarkGateway(b *testing.B) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"ch_3PqLwT2eZvKYlo2C","object":"charge","amount":2000,"currency":"eur","captured":true}`)
	}))
	b.Cleanup(up.Close)
	_, port, err := net.SplitHostPort(up.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	p := start(b, map[string]string{"LOG_LEVEL": "info", "EGRESS_ALLOW": "127.0.0.1=127.0.0.0/8:" + port})
	made := p.owner(b).post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Bench"}, "slug": {"bench"}, "environment": {"development"}, "kind": {"rest"},
		"base_url": {up.URL}, "auth_type": {"bearer"}, "auth.token": {"upstream-token"},
	})
	if made.path != "/connections/bench" {
		b.Fatalf("create: %d at %s", made.status, made.path)
	}
	key, err := Administer(b.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "bench", Scopes: []string{"call:bench"}})
	if err != nil {
		b.Fatal(err)
	}
	request := []byte("GET /proxy/bench/v1/charges?limit=3 HTTP/1.1\r\nHost: " + p.Addr() + "\r\nUser-Agent: bench\r\n" +
		"Accept: application/json\r\nAuthorization: Bearer " + key.Key + "\r\n\r\n")
	b.SetParallelism(16)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", p.Addr())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		reader := bufio.NewReader(conn)
		for pb.Next() {
			if _, err := conn.Write(request); err != nil {
				b.Error(err)
				return
			}
			resp, err := http.ReadResponse(reader, nil)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Errorf("answered %s", resp.Status)
				return
			}
		}
	})
}
