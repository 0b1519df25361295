package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// A provider that fails twice and then recovers, and what it saw of its caller.
func Example() {
	provider, err := sandbox.New(sandbox.Deps{Logger: telemetry.Discard(), Now: time.Now}, sandbox.Config{
		APIs: []sandbox.API{{
			Prefix: "/shop", Collections: map[string]int{"orders": 3},
			Auth: sandbox.Auth{Kind: sandbox.AuthBearer, Secret: telemetry.NewSecret("token")},
		}},
		Scripts: []sandbox.Script{{Path: "/shop/*", Steps: []sandbox.Step{
			{Status: http.StatusServiceUnavailable, Headers: map[string]string{"Retry-After": "1"}},
			{Reset: sandbox.ResetRequest},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(provider)
	defer server.Close()
	defer provider.Close()

	for range 3 {
		r, err := http.NewRequest(http.MethodPost, server.URL+"/shop/orders", strings.NewReader("{}"))
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Header.Set("Authorization", "Bearer token")
		resp, err := server.Client().Do(r)
		if err != nil {
			fmt.Println("broken off")
			continue
		}
		fmt.Println(resp.Status)
		_ = resp.Body.Close()
	}
	for _, seen := range provider.Received(sandbox.ReceivedQuery{Path: "/shop/*"}) {
		fmt.Println(seen.Seq, seen.Method, seen.Path, seen.Status, seen.Scripted)
	}
	// Output:
	// 503 Service Unavailable
	// broken off
	// 201 Created
	// 1 POST /shop/orders 503 true
	// 2 POST /shop/orders 0 true
	// 3 POST /shop/orders 201 false
}
