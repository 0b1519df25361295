package retry_test

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/retry"
)

// What a connection has by default.
const base, longest = 200 * time.Millisecond, 10 * time.Second

func usual() retry.Config { return retry.Config{Base: base, Cap: longest} }

func newPolicy(tb testing.TB, cfg retry.Config) *retry.Policy {
	tb.Helper()
	p, err := retry.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func newBudget(tb testing.TB, cfg retry.BudgetConfig) *retry.Budget {
	tb.Helper()
	b, err := retry.NewBudget(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const s = time.Second
	get := retry.Attempt{Number: 1, Rule: retry.Safe, Method: "GET", Sent: true, Remaining: 20 * s}
	with := func(change func(*retry.Attempt)) retry.Attempt {
		a := get
		change(&a)
		return a
	}
	post := with(func(a *retry.Attempt) { a.Method = "POST" })
	for name, c := range map[string]struct {
		attempt    retry.Attempt
		reason     retry.Reason
		wait       time.Duration
		retryAfter time.Duration
		text       string
	}{
		"safe":                    {get, retry.Repeat, 100 * time.Millisecond, 0, "repeated after 100 ms: attempt 2 of 3"},
		"the second wait":         {with(func(a *retry.Attempt) { a.Number = 2 }), retry.Repeat, 200 * time.Millisecond, 0, "repeated after 200 ms: attempt 3 of 3"},
		"the last":                {with(func(a *retry.Attempt) { a.Number = 3 }), retry.AttemptsUsed, 0, 0, "not repeated: it was attempt 3 of 3"},
		"never":                   {with(func(a *retry.Attempt) { a.Rule = retry.Never }), retry.NotEligible, 0, 0, "not repeated: this outcome is final"},
		"an unknown rule":         {with(func(a *retry.Attempt) { a.Rule = "perhaps" }), retry.NotEligible, 0, 0, `not repeated: there is no rule "perhaps"`},
		"PUT":                     {with(func(a *retry.Attempt) { a.Method = "PUT" }), retry.Repeat, 100 * time.Millisecond, 0, "repeated after 100 ms: attempt 2 of 3"},
		"POST":                    {post, retry.NotIdempotent, 0, 0, "not repeated: POST without an idempotency key"},
		"PATCH, key not honoured": {with(func(a *retry.Attempt) { a.Method, a.HasKey = "PATCH", true }), retry.NotIdempotent, 0, 0, "not repeated: PATCH, and the operation is not known to honour idempotency keys"},
		"POST, no key sent":       {with(func(a *retry.Attempt) { a.Method, a.KeyHonoured = "POST", true }), retry.NotIdempotent, 0, 0, "not repeated: POST without an idempotency key"},
		"POST with a key":         {with(func(a *retry.Attempt) { a.Method, a.KeyHonoured, a.HasKey = "POST", true, true }), retry.Repeat, 100 * time.Millisecond, 0, "repeated after 100 ms: attempt 2 of 3"},
		"POST, not sent":          {with(func(a *retry.Attempt) { a.Method, a.Sent, a.Rule = "POST", false, retry.Any }), retry.Repeat, 100 * time.Millisecond, 0, "repeated after 100 ms: attempt 2 of 3"},
		"POST, any, but sent":     {with(func(a *retry.Attempt) { a.Method, a.Rule = "POST", retry.Any }), retry.NotIdempotent, 0, 0, "not repeated: POST without an idempotency key"},
		"POST, refused unseen":    {with(func(a *retry.Attempt) { a.Method, a.Rule, a.Delay, a.DelayKnown = "POST", retry.AfterDelay, 4*s, true }), retry.Repeat, 5 * s, 0, "repeated after 5 s: attempt 2 of 3"},
		"no delay told":           {with(func(a *retry.Attempt) { a.Rule = retry.AfterDelay }), retry.Repeat, 100 * time.Millisecond, 0, "repeated after 100 ms: attempt 2 of 3"},
		"a delay of nothing":      {with(func(a *retry.Attempt) { a.DelayKnown = true }), retry.Repeat, 100 * time.Millisecond, 0, "repeated after 100 ms: attempt 2 of 3"},
		"the delay comes first":   {with(func(a *retry.Attempt) { a.Delay, a.DelayKnown = 8*s, true }), retry.Repeat, 10 * s, 0, "repeated after 10 s: attempt 2 of 3"},
		"room for the attempt":    {with(func(a *retry.Attempt) { a.Delay, a.DelayKnown = 19*s, true }), retry.Repeat, 19500 * time.Millisecond, 0, "repeated after 19.5 s: attempt 2 of 3"},
		"longer than the call":    {with(func(a *retry.Attempt) { a.Delay, a.DelayKnown = 20*s, true }), retry.NoTimeLeft, 0, 20 * s, "not repeated: the upstream asks for 20 s, and the call has 20 s left"},
		"ten days": {
			with(func(a *retry.Attempt) { a.Delay, a.DelayKnown, a.Remaining = 240*time.Hour, true, 1000*time.Hour }), retry.DelayTooLong, 0, 240 * time.Hour,
			"not repeated: the upstream asks for 240h0m0s, and at most 1m0s are waited for",
		},
		"no time left":            {with(func(a *retry.Attempt) { a.Remaining = 50 * time.Millisecond }), retry.NoTimeLeft, 0, 0, "not repeated: the call has 50 ms left, and the wait would be 100 ms"},
		"no time at all":          {with(func(a *retry.Attempt) { a.Remaining = -s }), retry.NoTimeLeft, 0, 0, "not repeated: the call has 0 ms left, and the wait would be 100 ms"},
		"a new credential":        {with(func(a *retry.Attempt) { a.Method, a.Rule, a.Refreshed = "POST", retry.AfterRefresh, true }), retry.Repeat, 0, 0, "repeated after 0 ms: attempt 2 of 3"},
		"no new credential":       {with(func(a *retry.Attempt) { a.Rule = retry.AfterRefresh }), retry.NotRefreshed, 0, 0, "not repeated: the credential could not be refreshed"},
		"refreshed once already":  {with(func(a *retry.Attempt) { a.Rule, a.Refreshed, a.RefreshedBefore = retry.AfterRefresh, true, true }), retry.NotRefreshed, 0, 0, "not repeated: the refreshed credential was not accepted either"},
		"the body is gone":        {with(func(a *retry.Attempt) { a.BodyLost = "the body is too large" }), retry.BodyNotKept, 0, 0, "not repeated: the body is too large"},
		"breaker open":            {with(func(a *retry.Attempt) { a.BreakerOpen = 22 * s }), retry.BreakerOpen, 0, 22 * s, "not repeated: the breaker is open for another 22 s"},
		"breaker closing in time": {with(func(a *retry.Attempt) { a.BreakerOpen = 3 * s }), retry.Repeat, 3 * s, 0, "repeated after 3 s: attempt 2 of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPolicy(t, retry.Config{Base: base, Cap: longest, Random: func() float64 { return 0.5 }})
			b := newBudget(t, retry.BudgetConfig{Ratio: 0.2})
			call := b.Begin()
			d := p.Decide(c.attempt, &call)
			want := retry.Decision{Reason: c.reason, Wait: c.wait, RetryAfter: c.retryAfter, Text: c.text}
			if d != want {
				t.Errorf("got  %+v\nwant %+v", d, want)
			}
			if took := b.Snapshot().Repeats == 1; took != (d.Repeat() && c.attempt.Rule != retry.AfterRefresh) {
				t.Errorf("took from the budget: %t", took)
			}
		})
	}
}

// TestRulesOfTheOutcomes: every rule that an outcome can have is one we know.
func TestRulesOfTheOutcomes(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, usual())
	b := newBudget(t, retry.BudgetConfig{Ratio: 0.2})
	for _, r := range runtime.Rules() {
		call := b.Begin()
		d := p.Decide(retry.Attempt{Number: 1, Rule: retry.Rule(r.Retry), Method: "GET", Sent: true, Refreshed: true, Remaining: time.Minute}, &call)
		if strings.Contains(d.Text, "there is no rule") || d.Repeat() != (r.Retry != runtime.RetryNever) {
			t.Errorf("%s: %+v", r.Outcome, d)
		}
		call.End()
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := newBudget(t, retry.BudgetConfig{Ratio: 0.2, MinimumTokens: 1000})
	for number, longest := range []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 3200 * time.Millisecond, 6400 * time.Millisecond, 10 * time.Second, 10 * time.Second} {
		if number == 0 {
			continue
		}
		for _, random := range []float64{0, 0.25, math.Nextafter(1, 0)} {
			p := newPolicy(t, retry.Config{MaxAttempts: 10, Base: base, Cap: longest, Random: func() float64 { return random }})
			call := b.Begin()
			d := p.Decide(retry.Attempt{Number: number, Rule: retry.Safe, Method: "GET", Remaining: time.Hour}, &call)
			if want := time.Duration(random * float64(longest)); !d.Repeat() || d.Wait != want {
				t.Errorf("after %d, random %g: %+v, not %s", number, random, d, want)
			}
			call.End()
		}
	}
	// The jitter on a delay only ever lengthens it, and by half at most.
	for range 200 {
		p := newPolicy(t, usual())
		call := b.Begin()
		d := p.Decide(retry.Attempt{Number: 1, Rule: retry.AfterDelay, Method: "POST", Sent: true, Delay: 10 * time.Second, DelayKnown: true, Remaining: time.Hour}, &call)
		if d.Wait < 10*time.Second || d.Wait > 15*time.Second {
			t.Fatalf("%+v", d)
		}
		call.End()
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]retry.Config{
		"policy.retry.max_attempts": {MaxAttempts: 11},
		"policy.retry.base":         {Base: -1},
		"policy.retry.cap":          {Base: time.Minute, Cap: time.Second},
		"policy.retry.max_delay":    {MaxDelay: 2 * time.Hour},
	} {
		_, err := retry.New(cfg)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Details.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for field, cfg := range map[string]retry.BudgetConfig{
		"policy.retry.budget.ratio":          {Ratio: 2},
		"policy.retry.budget.token_ratio":    {TokenRatio: math.NaN()},
		"policy.retry.budget.minimum":        {Minimum: -1},
		"policy.retry.budget.minimum_tokens": {MinimumTokens: 5000},
	} {
		_, err := retry.NewBudget(cfg)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Details.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// A zero is a zero, and not what somebody else thinks is usual.
func TestZeroIsZero(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, retry.Config{Random: func() float64 { return 0.5 }})
	b := newBudget(t, retry.BudgetConfig{})
	call := b.Begin()
	for number := 1; number < 3; number++ {
		d := p.Decide(retry.Attempt{Number: number, Rule: retry.Any, Method: "GET", Remaining: time.Minute}, &call)
		if !d.Repeat() || d.Wait != 0 {
			t.Errorf("after attempt %d: %+v", number, d)
		}
	}
	for range 100 {
		b.Begin()
	}
	if s := b.Snapshot(); s.MostRepeating != 3 {
		t.Errorf("%d calls may be repeated at once, want those that always may", s.MostRepeating)
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		key := retry.NewKey()
		if !form.MatchString(key) || seen[key] || retry.CheckKey(key) != nil {
			t.Fatalf("%q", key)
		}
		seen[key] = true
	}
	for key, ok := range map[string]bool{`"8e03978e"`: true, "a": true, strings.Repeat("x", 255): true, "": false, strings.Repeat("x", 256): false, "a b": false, "ä": false, "a\n": false} {
		err := retry.CheckKey(key)
		if (err == nil) != ok || err != nil && (!fault.Is(err, fault.Invalid) || len(key) > 1 && strings.Contains(err.Error(), key)) {
			t.Errorf("%q: %v", key, err)
		}
	}
}
