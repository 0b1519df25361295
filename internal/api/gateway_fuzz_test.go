package api

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/telemetry"
)

// dials is a transport that remembers where it was sent, and a target that it belongs to.
type dials struct {
	base *url.URL
	sent []*http.Request
}

func (d *dials) RoundTrip(r *http.Request) (*http.Response, error) {
	d.sent = append(d.sent, r)
	return nil, errors.New("nobody is there")
}

func (d *dials) Target(string, string) (runtime.Target, error) {
	policy := runtime.DefaultPolicy()
	policy.Retry.MaxAttempts = 1
	return runtime.Target{
		Slug: "up", BaseURL: d.base, Policy: policy, Transport: d,
		Authorize: func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer upstream")
			return nil
		},
	}, nil
}

func (*dials) Record(runtime.Record) {}

// gateway is the machine router with the gateway's routes alone.
func (d *dials) gateway(t *testing.T) http.Handler {
	t.Helper()
	protections, err := runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: telemetry.Discard(), Now: time.Now, Changed: func(context.Context, []breaker.Event) {},
	}, runtime.ProtectionsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	router := newRouter(telemetry.Discard())
	mountGateway(router, Deps{
		Keys: keyRing{"caller": {Name: "caller", Scopes: []access.Scope{"call:*"}}}, Targets: d, Logger: telemetry.Discard(),
		Proxy: runtime.NewProxy(runtime.ProxyDeps{Logger: telemetry.Discard(), Now: time.Now, Recorder: d, Protections: protections}, runtime.ProxyConfig{}),
	})
	return router
}

// FuzzGatewayHost sends whole request targets, in every form that HTTP knows, through the server's parser
// and the gateway: what is dialled is the stored host, whatever was asked for.
func FuzzGatewayHost(f *testing.F) {
	for _, rest := range []string{
		"", "/", "/v1/charges?limit=3", "//evil.test", `/\evil.test`, "/..;/", "/%2e%2e", "/%2e%2e%2f%2e%2e/", "/@evil.test", "/:80@evil.test/", "@evil.test",
		"/http://evil.test/", "/%0d%0aHost:%20evil.test", "/a%00b", "/%252e%252e%252fx", "?url=http://evil.test", "/#@evil.test", ".evil.test", "/..", "/../../x", "%2f%2fevil.test",
	} {
		for _, form := range []string{"/proxy/up", "http://evil.test/proxy/up", "//evil.test/proxy/up", "http://user@evil.test:1/proxy/up"} {
			f.Add(form+rest, "evil.test")
		}
	}
	for _, target := range []string{"*", "evil.test:443", "http://evil.test", "/proxy/", "/proxy", "//proxy/up", "/proxy/../up", "/PROXY/up", "/%70roxy/up/x", "/proxy/up HTTP/1.1\r\nX: y"} {
		f.Add(target, "evil.test\r\nHost: other.test")
	}
	ups := []*dials{{base: &url.URL{Scheme: "https", Host: "api.test"}}, {base: &url.URL{Scheme: "http", Host: "api.test:8080", Path: "/v1/a b", RawQuery: "k=v"}}}
	f.Fuzz(func(t *testing.T, target, host string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nX-Api-Key: caller\r\nX-Forwarded-Host: evil.test\r\n\r\n")))
		if err != nil {
			return // The server does not take it.
		}
		for _, up := range ups {
			up.sent = nil
			up.gateway(t).ServeHTTP(deadlines{httptest.NewRecorder()}, r.WithContext(t.Context()))
			for _, sent := range up.sent {
				if sent.URL.Scheme != up.base.Scheme || sent.URL.Host != up.base.Host || sent.Host != up.base.Host || sent.URL.User != nil || sent.URL.Opaque != "" {
					t.Errorf("%q went to %s, Host %q", target, sent.URL, sent.Host)
				}
				if !strings.HasPrefix(sent.URL.EscapedPath(), up.base.EscapedPath()) || sent.Header.Get("X-Api-Key") != "" || sent.Header.Get("X-Forwarded-Host") != "" {
					t.Errorf("%q was sent as %s %v", target, sent.URL.EscapedPath(), sent.Header)
				}
			}
		}
	})
}

// What is in the seeds does reach a transport, or the fuzz target would look at nothing.
func TestGatewayHostSeedsAreSent(t *testing.T) {
	t.Parallel()
	up := &dials{base: &url.URL{Scheme: "https", Host: "api.test"}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://evil.test/proxy/up//evil.test", nil)
	r.Header.Set("X-Api-Key", "caller")
	up.gateway(t).ServeHTTP(deadlines{httptest.NewRecorder()}, r)
	if len(up.sent) != 1 || up.sent[0].URL.Host != "api.test" || up.sent[0].Header.Get("Authorization") != "Bearer upstream" {
		t.Errorf("sent %v", up.sent)
	}
}

// deadlines is a recorder whose deadlines can be set, as those of a server's writer can.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetReadDeadline(time.Time) error  { return nil }
func (deadlines) SetWriteDeadline(time.Time) error { return nil }
