package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

// The steps of a script are played in order, each as often as it says, and then the provider is itself again.
func TestScriptPlaysItsStepsInOrder(t *testing.T) {
	t.Parallel()
	p := serve(t, Config{APIs: []API{shop("")}, Scripts: []Script{
		{Path: "/shop/orders", Steps: []Step{{Status: 500, Repeat: 2}, {}, {Status: 503, Headers: map[string]string{"Retry-After": "7"}}}},
		{Method: http.MethodPost, Path: "/shop/*", Loop: true, Steps: []Step{{Status: 418}, {Status: 409}}},
	}})
	got := make([]int, 0, 6)
	for range 6 {
		got = append(got, p.get("/shop/orders").status)
	}
	if diff := cmp.Diff([]int{500, 500, 200, 503, 200, 200}, got); diff != "" {
		t.Error(diff)
	}
	// Where the first script is over, the next one that matches speaks; a loop begins again.
	got = nil
	for range 3 {
		got = append(got, p.do(http.MethodPost, "/shop/orders", `{}`).status)
	}
	if diff := cmp.Diff([]int{418, 409, 418}, got); diff != "" {
		t.Error(diff)
	}
	states := p.Scripts()
	if len(states) != 2 || states[0].Served != 4 || !states[0].Over || states[1].Served != 3 || states[1].Over {
		t.Errorf("states: %+v", states)
	}
	p.Reset()
	if got := p.get("/shop/orders").status; got != 500 {
		t.Errorf("after a reset: %d", got)
	}
}

func TestStepChangesTheAnswer(t *testing.T) {
	t.Parallel()
	p := serve(t, Config{APIs: []API{shop("")}})
	for name, c := range map[string]struct {
		step Step
		want func(reply) bool
	}{
		"status alone is JSON": {Step{Status: 502}, func(r reply) bool { return r.status == 502 && strings.Contains(r.body, "Bad Gateway") }},
		"headers set and removed": {Step{Headers: map[string]string{"X-A": "b", "Content-Type": ""}}, func(r reply) bool {
			return r.status == 200 && r.header.Get("X-A") == "b" && !strings.Contains(r.header.Get("Content-Type"), "json")
		}},
		"HTML instead of JSON": {Step{Body: new("<html>"), Headers: map[string]string{"Content-Type": "text/html"}}, func(r reply) bool {
			return r.status == 200 && r.body == "<html>" && r.header.Get("Content-Type") == "text/html"
		}},
		"an empty body":  {Step{Status: 200, Body: new("")}, func(r reply) bool { return r.status == 200 && r.body == "" }},
		"a large body":   {Step{PadTo: 1 << 20}, func(r reply) bool { return len(r.body) == 1<<20 && strings.HasPrefix(r.body, "{") }},
		"members merged": {Step{Merge: map[string]json.RawMessage{"data": json.RawMessage(`"gone"`), "meta": json.RawMessage("null")}}, func(r reply) bool { return r.body == `{"data":"gone"}` }},
	} {
		if err := p.SetScripts(Script{Path: "/shop/orders", Steps: []Step{c.step}}); err != nil {
			t.Fatal(err)
		}
		if got := p.get("/shop/orders"); !c.want(got) {
			t.Errorf("%s: %d %v %.80q", name, got.status, got.header, got.body)
		}
	}
}

// A client sees each way in which a connection can break, as it would with a real provider.
func TestConnectionsBreakAsScripted(t *testing.T) {
	t.Parallel()
	p := serve(t, Config{APIs: []API{shop("")}})
	for name, c := range map[string]struct {
		step Step
		want error
	}{
		"reset before the answer":  {Step{Reset: ResetRequest}, syscall.ECONNRESET},
		"reset after the headers":  {Step{Reset: ResetHeaders}, syscall.ECONNRESET},
		"reset in the body":        {Step{Reset: ResetBody}, syscall.ECONNRESET},
		"truncated":                {Step{TruncateAt: new(10)}, io.ErrUnexpectedEOF},
		"truncated to nothing":     {Step{TruncateAt: new(0)}, io.ErrUnexpectedEOF},
		"longer than it announces": {Step{TruncateAt: new(1 << 20)}, nil}, // a length beyond the body cuts nothing
	} {
		p.ForgetReceived()
		if err := p.SetScripts(Script{Path: "/shop/orders", Steps: []Step{c.step}}); err != nil {
			t.Fatal(err)
		}
		// A POST is not sent again by the transport when its connection breaks.
		_, err := p.try(http.MethodPost, "/shop/orders", `{"a":1}`)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if got := p.Received(ReceivedQuery{}); len(got) != 1 || !got[0].Scripted {
			t.Errorf("%s: received %+v", name, got)
		}
	}
}

func TestHangEndsWithTheClientOrTheSandbox(t *testing.T) {
	t.Parallel()
	p := serve(t, Config{Scripts: []Script{{Path: "/x", Loop: true, Steps: []Step{{Hang: true}}}}})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.server.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	hang := func(r *http.Request) {
		resp, err := p.client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		ended <- err
	}
	go hang(r)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	arrived := func(n int) {
		for len(p.Received(ReceivedQuery{Path: "/x"})) < n {
			<-tick.C
		}
	}
	arrived(1)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the client's end: %v", err)
	}
	go hang(r.Clone(t.Context()))
	arrived(2)
	p.Close()
	if err := <-ended; err == nil {
		t.Error("a request that hung was answered")
	}
	if got := p.Received(ReceivedQuery{Path: "/x"}); got[0].Status != 0 || got[1].Status != 0 {
		t.Errorf("answered: %+v", got)
	}
}

// The clock of the bubble shows how long a step waits.
func TestDelayAndDripTakeTheirTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step Step
		want time.Duration
	}{
		"delay":          {Step{Delay: Duration(250 * time.Millisecond)}, 250 * time.Millisecond},
		"drip":           {Step{Body: new("0123456789"), Drip: &Drip{Bytes: 3, Every: Duration(time.Second)}}, 3 * time.Second},
		"delay and drip": {Step{Body: new("01"), Delay: Duration(time.Second), Drip: &Drip{Bytes: 1, Every: Duration(time.Second)}}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := open(t, Config{Scripts: []Script{{Path: "/x", Steps: []Step{c.step}}}}, time.Now)
				w, began := httptest.NewRecorder(), time.Now()
				s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil))
				if took := time.Since(began); took != c.want {
					t.Errorf("took %v, want %v", took, c.want)
				}
				if want := w.Header().Get("Content-Length"); want != strconv.Itoa(w.Body.Len()) {
					t.Errorf("%d bytes of %s", w.Body.Len(), want)
				}
			})
		})
	}
}

// A client that gives up during a delay leaves no answer, but it was noted.
func TestDelayEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Config{Scripts: []Script{{Path: "/x", Steps: []Step{{Delay: Duration(time.Hour)}}}}}, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/x", nil))
		got := s.Received(ReceivedQuery{})
		if len(got) != 1 || got[0].Status != 0 || w.Body.Len() != 0 {
			t.Errorf("%+v, %d bytes", got, w.Body.Len())
		}
	})
}

func TestScriptsAreChecked(t *testing.T) {
	t.Parallel()
	s := open(t, Config{}, time.Now)
	for field, script := range map[string]Script{
		"scripts[0].path":                 {Path: "shop", Steps: []Step{{}}},
		"scripts[0].steps":                {Path: "/shop"},
		"scripts[0].steps[0].repeat":      {Path: "/", Steps: []Step{{Repeat: -1}}},
		"scripts[0].steps[1].status":      {Path: "/", Steps: []Step{{}, {Status: 99}}},
		"scripts[0].steps[0].reset":       {Path: "/", Steps: []Step{{Reset: "later"}}},
		"scripts[0].steps[0].pad_to":      {Path: "/", Steps: []Step{{PadTo: 1 << 30}}},
		"scripts[0].steps[0].truncate_at": {Path: "/", Steps: []Step{{TruncateAt: new(-1)}}},
		"scripts[0].steps[0].drip":        {Path: "/", Steps: []Step{{Drip: &Drip{}}}},
		"scripts[0].steps[0].delay":       {Path: "/", Steps: []Step{{Delay: -1}}},
	} {
		err := s.SetScripts(script)
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Invalid || e.Details.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
