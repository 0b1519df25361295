package calls

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime"
)

// What is written by hand must be what the standard encoder writes.
func TestDetailIsJSON(t *testing.T) {
	t.Parallel()
	awkward := http.Header{
		"Plain": {"a"}, "Several": {"a", "b"}, "Empty": {""}, "None": {}, "Quotes": {`say "a\b"`}, "Control": {"a\tb\x00\x7f"},
		"Words": {"größe \u2028 😀"}, "Broken": {"\xff\xfe ok"}, `Odd"name`: {"<a href='b'>&"},
	}
	steps := []runtime.Step{
		{Name: "send", At: time.Millisecond, Took: 1234567 * time.Nanosecond, Note: "reused"},
		{Name: "wait", At: -time.Second, Note: "line\nbreak"},
	}
	retried := []runtime.Retried{
		{Outcome: runtime.OutcomeUnavailable, Status: 503, At: time.Millisecond, Took: 40 * time.Millisecond},
		{Outcome: runtime.OutcomeTimeout, At: time.Second, Took: 2 * time.Second},
	}
	for name, r := range map[string]runtime.Record{
		"empty": {}, "only a request": {RequestHeader: awkward}, "only an answer": {ResponseHeader: http.Header{"A": {"b"}}},
		"only steps": {Steps: steps}, "only a fallback": {Fallback: runtime.FallbackRecord{Kind: "static"}},
		"a fallback in vain": {Fallback: runtime.FallbackRecord{Connection: "b", Attempts: 2, Outcome: "timeout"}, Steps: steps},
		"only retried":       {Retried: retried}, "all": {RequestHeader: awkward, ResponseHeader: awkward, Steps: steps, Retried: retried, SentAt: time.Second},
	} {
		written := appendDetail(nil, &r)
		d := detail{RequestHeader: r.RequestHeader, ResponseHeader: r.ResponseHeader, Steps: r.Steps, Retried: r.Retried, SentAt: r.SentAt}
		if r.Fallback != (runtime.FallbackRecord{}) {
			d.Fallback = &r.Fallback
		}
		standard, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var got, want detail
		if err := json.Unmarshal(written, &got); err != nil {
			t.Errorf("%s: %v: %s", name, err, written)
		}
		if err := json.Unmarshal(standard, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-standard +ours):\n%s", name, diff)
		}
	}
}
