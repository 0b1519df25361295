package sandbox

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/telemetry"
)

// The calls come round in their order, with the key, however they are answered; Run ends with its context.
func TestApplicationCallsInTurn(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 6)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Method + " " + r.RequestURI + " " + r.Header.Get("Authorization") + " " + r.Header.Get("Idempotency-Key") +
			" " + strconv.FormatInt(r.ContentLength, 10)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	app, err := NewApplication(telemetry.Discard(), ApplicationConfig{
		BaseURL: func() string { return server.URL }, Key: telemetry.NewSecret("k"), Pace: time.Millisecond,
		Calls: []Call{
			{Method: http.MethodGet, Path: "/proxy/a?x=1"},
			{Method: http.MethodPost, Path: "/proxy/b", Body: "{}", IdempotencyKey: "i"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		app.Run(ctx)
	}()
	got := map[string]bool{}
	for range 4 {
		got[<-seen] = true
	}
	cancel()
	for open := true; open; { // what was under way may still arrive
		select {
		case <-seen:
		case <-ended:
			open = false
		}
	}
	want := map[string]bool{"GET /proxy/a?x=1 Bearer k  0": true, "POST /proxy/b Bearer k i 2": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := NewApplication(telemetry.Discard(), ApplicationConfig{}); err == nil {
		t.Error("an application without anything to call")
	}
}
