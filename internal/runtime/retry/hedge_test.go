package retry_test

import (
	"net/http"
	"testing"
	"time"

	"switchgear/internal/runtime/retry"
)

func TestHedgeAfter(t *testing.T) {
	t.Parallel()
	on, err := retry.New(retry.Config{HedgeAfter: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	off, err := retry.New(retry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		policy            *retry.Policy
		method            string
		declared, hasBody bool
		want              time.Duration
	}{
		"GET":                           {on, http.MethodGet, false, false, time.Second},
		"HEAD":                          {on, http.MethodHead, false, false, time.Second},
		"GET with a body":               {on, http.MethodGet, false, true, 0},
		"POST":                          {on, http.MethodPost, false, false, 0},
		"idempotent, but it may do it":  {on, http.MethodDelete, false, false, 0},
		"POST that is declared so":      {on, http.MethodPost, true, false, time.Second},
		"POST with a body, declared so": {on, http.MethodPost, true, true, 0},
		"off":                           {off, http.MethodGet, false, false, 0},
	} {
		if got := c.policy.HedgeAfter(c.method, c.declared, c.hasBody); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestHedge(t *testing.T) {
	t.Parallel()
	usual := retry.HedgeRequest{BreakerClosed: true, QuotaLeft: -1, Remaining: time.Minute}
	for name, c := range map[string]struct {
		change func(*retry.HedgeRequest)
		want   string
	}{
		"usual":           {func(*retry.HedgeRequest) {}, "no answer in 1 s: another request is sent beside it"},
		"a second one":    {func(r *retry.HedgeRequest) { r.Hedges = 1 }, "no answer in 1 s: another request is sent beside it"},
		"a third one":     {func(r *retry.HedgeRequest) { r.Hedges = 2 }, "no hedge: as many as allowed were sent"},
		"a breaker":       {func(r *retry.HedgeRequest) { r.BreakerClosed = false }, "no hedge: the breaker is not closed"},
		"a hold":          {func(r *retry.HedgeRequest) { r.Held = true }, "no hedge: the upstream asked to be left alone"},
		"a scarce quota":  {func(r *retry.HedgeRequest) { r.QuotaLeft = 0.19 }, "no hedge: less than a fifth of the vendor's quota is left"},
		"quota enough":    {func(r *retry.HedgeRequest) { r.QuotaLeft = 0.2 }, "no answer in 1 s: another request is sent beside it"},
		"no time":         {func(r *retry.HedgeRequest) { r.Remaining = 0 }, "no hedge: the call has no time left"},
		"all of the time": {func(r *retry.HedgeRequest) { r.Remaining = 1 }, "no answer in 1 s: another request is sent beside it"},
	} {
		p, err := retry.New(retry.Config{HedgeAfter: time.Second, MaxHedges: 2})
		if err != nil {
			t.Fatal(err)
		}
		r := usual
		c.change(&r)
		if got := p.Hedge(r); got.Text != c.want || got.Hedge == (got.Text[:2] == "no" && got.Text[:9] == "no hedge:") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	off, err := retry.New(retry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := off.Hedge(usual); got.Hedge {
		t.Error("it hedges although it is switched off")
	}
}
