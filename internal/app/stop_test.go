package app

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/telemetry"
)

func TestCleanupRunsLastFirstAndOnce(t *testing.T) {
	t.Parallel()
	var order []string
	stack := &cleanup{logger: telemetry.Discard()}
	for _, name := range []string{"first", "second", "third"} {
		stack.addCloser(name, func() error {
			order = append(order, name)
			if name == "second" {
				return os.ErrInvalid
			}
			return nil
		})
	}
	err := stack.unwind(t.Context())
	if err == nil || !strings.Contains(err.Error(), "stop second") {
		t.Errorf("error = %v", err)
	}
	if diff := cmp.Diff([]string{"third", "second", "first"}, order); diff != "" {
		t.Error(diff)
	}
	if err := stack.unwind(t.Context()); err != nil || len(order) != 3 {
		t.Errorf("a second unwind ran steps again: %v %v", order, err)
	}
}

// Stopping ends the streams of open pages instead of waiting for them, and answers what is running.
func TestStopEndsStreamsAndDrains(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	owner := p.owner(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url("/live?topics=users,keys"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := owner.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Encoding") != "" {
		t.Fatalf("stream: %s, encoding %q", resp.Status, resp.Header.Get("Content-Encoding"))
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		for lines.Scan() {
			if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				return event
			}
		}
		return "end"
	}
	if got := next(); got != "connected" {
		t.Fatalf("first event = %q", got)
	}
	// A change by the command line reaches the page that shows it.
	if _, err := Administer(ctx, p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "k", Scopes: []string{"api:read"}}); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "keys" {
		t.Fatalf("event after a key was made = %q", got)
	}
	p.stop(t)
	if got := next(); got != "end" {
		t.Fatalf("after stop the stream said %q", got)
	}
	if !strings.Contains(p.logs.String(), `"clean":true`) {
		t.Errorf("the stop was not clean:\n%s", p.logs.String())
	}
}

// Behind a load balancer /readyz says 503 while requests are still answered.
func TestDrainDelayShowsNotReady(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"DRAIN_DELAY": "15s", "DRAIN_TIMEOUT": "20s"}) // More than a request takes on the busiest machine.
	b := p.browser(t)
	p.cancel()
	p.waitFor(t, p.logs, func(text string) string { // the log says so after the state has changed
		if strings.Contains(text, `"msg":"stopping"`) {
			return "stopping"
		}
		return ""
	})
	if got := b.get("/readyz"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "stopping") {
		t.Errorf("while draining: %d %s", got.status, got.body)
	}
}
