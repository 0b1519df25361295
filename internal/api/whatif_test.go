package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime"
)

// past stores calls that began a second after each other: f failed, s succeeded, u was refused by a breaker.
func (w *world) past(slug string, from time.Time, letters string) {
	w.t.Helper()
	c, ok := w.connections.Peek(slug)
	if !ok {
		w.t.Fatalf("there is no connection %s", slug)
	}
	for i, l := range letters {
		r := runtime.Record{
			ID: "req_" + slug + strconv.Itoa(i), ConnectionID: c.ID, Slug: slug, Account: "default", Version: 1, Method: "GET", Host: "api.stripe.com",
			Path: "/v1/charges", Status: 200, Outcome: runtime.OutcomeSuccess, Attempts: 1, StartedAt: from.Add(time.Duration(i) * time.Second),
			Duration: 100 * time.Millisecond, FirstByte: 90 * time.Millisecond,
		}
		switch l {
		case 'f':
			r.Status, r.Outcome = 503, runtime.OutcomeUnavailable
		case 'u':
			r.Status, r.Outcome, r.Attempts, r.ErrorCode = 503, runtime.OutcomeRejectedLocal, 0, "BREAKER_OPEN"
		}
		w.calls.Record(r)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	_ = w.calls.Serve(ctx) // stores what waits, and returns because its context has ended
}

func TestWhatIf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	from := time.Now().Add(-time.Hour).Truncate(time.Second).UTC()
	w.past("stripe", from, strings.Repeat("f", 10)+strings.Repeat("s", 9)+"u")
	const path = "/api/v1/connections/stripe/policy/what-if"
	// A key that may read is enough, and nothing is saved.
	got := w.send(http.MethodPost, path, w.read,
		`{"policy":{"breaker":{"min_calls":4,"failure_ratio":1,"open_for":"10s","half_open_calls":1,"ramp":"0s"}},"since":"3h"}`)
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var is WhatIf
	got.decode(t, &is)
	want := WhatIf{
		Connection: "stripe", Version: 1, Since: is.Since, From: is.Since, Until: is.Until,
		Summary: "The edited settings would have opened once for 10 s, saved 6 failing calls, rejected 4 good ones. Those in force would never have opened.",
		Sample:  WhatIfSample{Calls: 20, Attempts: 19, Failing: 10, Good: 9, Unknown: 1},
		Present: WhatIfFigures{Sent: 20, Openings: []WhatIfOpening{}},
		Edited: WhatIfFigures{
			Opened: 1, OpenMS: 10_000, RefusedBreaker: WhatIfRefusals{Failing: 6, Good: 4}, Sent: 10,
			Openings: []WhatIfOpening{{At: from.Add(3100 * time.Millisecond), OpenMS: 10_000, Reason: "4 of 4 calls failed: 100 %, trips at 100 %"}},
		},
		Caveats: []string{
			"Nobody knows what the callers of refused calls would have done instead, nor whether the upstream would have recovered sooner with fewer calls.",
			"1 of these calls was refused at the time and never sent; nobody knows how that would have ended, so none of them counts as saved or as good.",
			"The call log begins " + from.Format("2006-01-02 15:04") + " UTC; what happened before is not in it.",
		},
	}
	if diff := cmp.Diff(want, is); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d := is.Until.Sub(is.Since); d != 3*time.Hour {
		t.Errorf("looked back %s", d)
	}
	if c := w.get("/api/v1/connections/stripe"); c.header.Get("ETag") != `"1"` {
		t.Errorf("the connection changed: %s", c.body)
	}
	// Nothing is edited: both are the same.
	got = w.send(http.MethodPost, path, w.read, `{}`)
	is = WhatIf{}
	if got.decode(t, &is); got.status != http.StatusOK || !is.Same || is.Until.Sub(is.Since) != 168*time.Hour {
		t.Errorf("%d %s", got.status, got.body)
	}
	// Nothing was called in this minute.
	got = w.send(http.MethodPost, path, w.read, `{"since":"1m"}`)
	is = WhatIf{}
	if got.decode(t, &is); got.status != http.StatusOK || is.Sample.Calls != 0 || !strings.HasPrefix(is.Summary, "No calls were recorded") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestWhatIfErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	other := w.key("caller", "call:*")
	const path = "/api/v1/connections/stripe/policy/what-if"
	for name, tt := range map[string]struct {
		path, key, body string
		status          int
		code, field     string
	}{
		"no such field":      {path, w.read, `{"policy":{"breaker":{"min_call":4}}}`, 400, "UNKNOWN_FIELD", "policy.breaker.min_call"},
		"no such ratio":      {path, w.read, `{"policy":{"breaker":{"failure_ratio":7}}}`, 400, "INVALID_POLICY", "policy.breaker.failure_ratio"},
		"no duration":        {path, w.read, `{"since":"a week"}`, 400, "INVALID_SINCE", "since"},
		"too far back":       {path, w.read, `{"since":"9999h"}`, 400, "INVALID_SINCE", "since"},
		"foreign name":       {path, w.read, `{"polcy":{}}`, 400, "UNKNOWN_FIELD", "polcy"},
		"no such connection": {"/api/v1/connections/nobody/policy/what-if", w.read, `{}`, 404, "CONNECTION_NOT_FOUND", ""},
		"no right to read":   {path, other, `{}`, 403, "FORBIDDEN", ""},
		"nobody":             {path, "", `{}`, 401, "API_KEY_MISSING", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := w.send(http.MethodPost, tt.path, tt.key, tt.body)
			e := got.failure(t)
			if got.status != tt.status || e.Code != tt.code || tt.field != "" && e.Details.Field != tt.field {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}
