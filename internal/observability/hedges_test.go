package observability_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"switchgear/internal/observability"
	"switchgear/internal/runtime"
)

// A request that raced another one is counted as what it is, and not as a retry.
func TestHedgesAreNoRetries(t *testing.T) {
	t.Parallel()
	calls := observability.NewCalls(func() map[string]string { return map[string]string{"con_1": "stripe"} })
	outrun := runtime.Retried{Number: 1, Outcome: runtime.OutcomeCanceled}
	calls.Record(runtime.Record{Slug: "stripe", Method: "GET", Outcome: runtime.OutcomeSuccess, Attempts: 1, Number: 1})
	calls.Record(runtime.Record{Slug: "stripe", Method: "GET", Outcome: runtime.OutcomeSuccess, Attempts: 2, Hedges: 1, HedgeWon: true, Number: 2, Retried: []runtime.Retried{outrun}})
	calls.Record(runtime.Record{
		Slug: "stripe", Method: "GET", Outcome: runtime.OutcomeSuccess, Attempts: 3, Hedges: 1, Number: 3,
		Retried: []runtime.Retried{{Number: 1, Outcome: runtime.OutcomeUnavailable}, {Number: 2, Hedge: true, Outcome: runtime.OutcomeUnavailable}},
	})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(calls)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() == nil {
				continue
			}
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" {
					name = f.GetName() + " " + l.GetValue()
				}
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{
		"switchgear_calls_total success": 3, "switchgear_attempts_total success": 3, "switchgear_attempts_total canceled": 1,
		"switchgear_attempts_total unavailable": 2, "switchgear_retries_total": 1, "switchgear_hedges_total": 2, "switchgear_hedges_won_total": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
