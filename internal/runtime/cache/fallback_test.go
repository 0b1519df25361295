package cache

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	static := &Static{Status: 200}
	for name, tt := range map[string]struct {
		method   string
		cause    Cause
		stale    Stale
		fallback Fallback
		want     string
	}{
		"all":                                 {"GET", CauseTimeout, Stale{Usable: true}, Fallback{static, "b"}, "stale static alternate error"},
		"nothing":                             {"GET", CauseTimeout, Stale{Why: "no answer is kept"}, Fallback{}, "error"},
		"static":                              {"HEAD", CauseThrottled, Stale{}, Fallback{Static: static}, "static error"},
		"alternate":                           {"GET", CauseBreakerOpen, Stale{}, Fallback{Alternate: "b"}, "alternate error"},
		"never for a write":                   {"POST", CauseTimeout, Stale{Usable: true}, Fallback{static, "b"}, "error"},
		"a write that is declared idempotent": {"POST", CauseTimeout, Stale{Why: "it is a write"}, Fallback{static, "b"}, "static alternate error"},
		"unknown failure":                     {"GET", "reset", Stale{Usable: true}, Fallback{static, "b"}, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := PlanFor(tt.method, name == "a write that is declared idempotent", tt.cause, tt.stale, tt.fallback)
			steps := make([]string, 0, len(p.Steps))
			for _, s := range p.Steps {
				steps = append(steps, string(s))
			}
			if got := strings.Join(steps, " "); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if len(p.Steps)+len(p.Skipped) != 4 {
				t.Errorf("not every step is accounted for: %+v", p)
			}
		})
	}
	p := PlanFor("GET", false, CauseTimeout, Stale{Why: "no answer is kept"}, Fallback{})
	if diff := cmp.Diff(Skipped{StepStale, "no answer is kept"}, p.Skipped[0]); diff != "" {
		t.Error(diff)
	}
}

func TestStaticAnswer(t *testing.T) {
	t.Parallel()
	c := newCaller(t, &Policy{Mode: ModeFallback, StaleIfError: time.Hour}, func(*http.Request) (*reply, error) { return nil, errors.New("refused") })
	c.fallback.Static = &Static{Status: 203, Header: header("Content-Type: application/json"), Body: []byte("[]")}
	w := c.call(t, "GET", "/a")
	expect(t, w, "[]", "static", "switchgear; fwd=miss; detail=connect_failed")
	if w.Code != 203 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Age") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := c.call(t, "POST", "/a"); w.Code != http.StatusBadGateway {
		t.Errorf("a write was answered with %d", w.Code)
	}
}

func TestStaticValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		static Static
		field  string
	}{
		"good":           {Static{Status: 200, Header: header("X-A: b"), Body: []byte("x")}, ""},
		"status":         {Static{Status: 100}, "static.status"},
		"long":           {Static{Status: 200, Body: make([]byte, maxStatic+1)}, "static.body"},
		"body of 204":    {Static{Status: 204, Body: []byte("x")}, "static.body"},
		"name":           {Static{Status: 200, Header: http.Header{"X A": {"b"}}}, "static.header"},
		"not canonical":  {Static{Status: 200, Header: http.Header{"x-a": {"b"}}}, "static.header"},
		"value":          {Static{Status: 200, Header: http.Header{"X-A": {"b\r\nc: d"}}}, "static.header"},
		"hop by hop":     {Static{Status: 200, Header: header("Transfer-Encoding: chunked")}, "static.header"},
		"our own":        {Static{Status: 200, Header: header("Switchgear-Cache: hit")}, "static.header"},
		"content length": {Static{Status: 200, Header: header("Content-Length: 7")}, "static.header"},
	} {
		var got string
		if e, ok := errors.AsType[*fault.Error](tt.static.Validate()); ok {
			got = e.Details.Field
		}
		if got != tt.field {
			t.Errorf("%s: %q, want %q", name, got, tt.field)
		}
	}
}

func TestPolicyValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		policy Policy
		field  string
	}{
		"off":           {Policy{}, ""},
		"respect":       {Policy{Mode: ModeRespect, StaleIfError: time.Hour}, ""},
		"override":      {Policy{Mode: ModeOverride, TTL: time.Hour}, ""},
		"without TTL":   {Policy{Mode: ModeOverride}, "policy.cache.ttl"},
		"unknown mode":  {Policy{Mode: "always"}, "policy.cache.mode"},
		"negative":      {Policy{Mode: ModeRespect, MaxStale: -1}, "policy.cache.max_stale"},
		"entry":         {Policy{Mode: ModeRespect, MaxEntry: -1}, "policy.cache.max_entry"},
		"header":        {Policy{Mode: ModeRespect, IgnoreHeaders: []string{"x-trace"}}, "policy.cache.ignore_headers"},
		"negative wait": {Policy{Mode: ModeRespect, Wait: -1}, ""},
	} {
		var got string
		if e, ok := errors.AsType[*fault.Error](tt.policy.Validate()); ok {
			got = e.Details.Field
		}
		if got != tt.field {
			t.Errorf("%s: %q, want %q", name, got, tt.field)
		}
	}
}
