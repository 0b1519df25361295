package cache

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// BenchmarkCache shows what a call pays: with the policy off, answered from the cache, and let through.
func BenchmarkCache(b *testing.B) {
	u, err := url.Parse("https://api.example.com/v1/charges?limit=10")
	if err != nil {
		b.Fatal(err)
	}
	h := header("Accept: application/json", "Accept-Encoding: gzip", "User-Agent: bench", "Traceparent: 00-1-1-01")
	page := func() *reply {
		return answers(200, string(make([]byte, 2000)), "Content-Type: application/json")
	}
	for name, p := range map[string]*Policy{"off": nil, "hit": {Mode: ModeOverride, TTL: time.Hour}, "miss": {Mode: ModeFallback, StaleIfError: time.Hour}} {
		b.Run(name, func(b *testing.B) {
			c := newCache(b, Config{})
			r := Request{Scope: Scope{Connection: "con_1", Account: "default", Credential: "cred_1", CredentialVersion: 1}, Method: "GET", URL: u, Header: h, Policy: p}
			fill := func(call *Call) {
				answer := page().response()
				if call.Answered(answer) == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
				}
				_ = answer.Body.Close()
				call.Close()
			}
			if name != "off" {
				fill(c.Open(b.Context(), r))
			}
			b.ReportAllocs()
			for b.Loop() {
				call := c.Open(b.Context(), r)
				switch name {
				case "hit":
					call.Hit().SetHeader(http.Header{})
				case "miss":
					fill(call)
				default:
					call.Mark(nil)
					call.Close()
				}
			}
		})
	}
}
