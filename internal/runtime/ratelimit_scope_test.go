package runtime_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/ratelimit"
)

// written lays a policy over the product's, as a connection does.
func written(t *testing.T, policy string) option {
	t.Helper()
	return func(target *runtime.Target) {
		p, err := runtime.MergePolicy(runtime.DefaultPolicy(), json.RawMessage(policy))
		if err != nil {
			t.Fatal(err)
		}
		operations, err := p.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		target.Policy, target.Operations = p, operations
	}
}

// Each call is account/path; what is refused is marked with what it says.
func TestRateLimitScopes(t *testing.T) {
	t.Parallel()
	const operations = `"operations":[{"id":"a","path":"/a"},{"id":"b","path":"/b"%s}]`
	for name, c := range map[string]struct {
		limits, own string
		calls, want string
	}{
		"the connection": {`{"requests":2,"per":"1h"}`, "", "x/a y/b x/c", "200 200 429"},
		"each account":   {`{"requests":1,"per":"1h","scope":"credential"}`, "", "x/a x/b y/a y/c z/c", "200 429 200 429 200"},
		"each operation, and what is none is not counted": {
			`{"requests":1,"per":"1h","scope":"operation"}`, "", "x/a y/a x/b y/b x/c x/c", "200 429 200 429 200 200",
		},
		"an operation of its own, beside the connection's": {
			`{"requests":3,"per":"1h"}`, `,"policy":{"rate_limits":[{"requests":1,"per":"1h"}]}`, "x/b y/b x/a x/a x/a", "200 429 200 200 429",
		},
		"accounts within an operation": {
			`{"requests":9,"per":"1h"}`, `,"policy":{"rate_limits":[{"requests":1,"per":"1h","scope":"credential"},{"requests":2,"per":"1h"}]}`,
			"x/b x/b y/b z/b x/a x/a", "200 429 200 429 200 200",
		},
		"an operation that takes itself out": {
			`{"requests":1,"per":"1h","scope":"operation"}`, `,"policy":{"rate_limits":[]}`, "x/a x/a x/b x/b", "200 429 200 200",
		},
		"several scopes with the same window": {
			`{"requests":3,"per":"1h"},{"requests":2,"per":"1h","scope":"credential"},{"requests":1,"per":"1h","scope":"operation"}`, "",
			"x/a x/a x/b x/c y/c z/c", "200 429 200 429 200 429",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := newUpstream(t, func(http.ResponseWriter, *http.Request) {})
			g := newGateway(t, upstream.URL, egress.TransportConfig{},
				written(t, `{"rate_limits":[`+c.limits+`],"rate_limit_wait":"0s",`+strings.Replace(operations, "%s", c.own, 1)+`}`))
			var got []string
			for call := range strings.FieldsSeq(c.calls) {
				account, path, _ := strings.Cut(call, "/")
				g.target.Account = account
				resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/"+path, nil))
				got = append(got, strconv.Itoa(resp.StatusCode))
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A refusal holds what the policy says: everybody, or the account that was refused.
func TestRateLimitHold(t *testing.T) {
	t.Parallel()
	for hold, want := range map[string]string{"connection": "429 429 429", "credential": "429 429 200"} {
		t.Run(hold, func(t *testing.T) {
			t.Parallel()
			upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "36000")
				w.WriteHeader(http.StatusTooManyRequests)
			})
			fine := newUpstream(t, func(http.ResponseWriter, *http.Request) {})
			g := newGateway(t, upstream.URL, egress.TransportConfig{}, written(t, `{"rate_limit_hold":"`+hold+`","rate_limit_wait":"0s","rate_limit_max_hold":"1m"}`))
			other := newGateway(t, fine.URL, egress.TransportConfig{})
			got := make([]string, 0, 3)
			for _, account := range []string{"x", "x", "y"} {
				if g.target.Account = account; account == "y" {
					g.target.BaseURL, g.target.Transport = other.target.BaseURL, other.target.Transport
				}
				resp, _ := send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
				got = append(got, strconv.Itoa(resp.StatusCode))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%v, want %s", got, want)
			}
			state, _ := g.protections.State("con_1")
			for _, s := range state.Limits.Scopes {
				if !s.Hold.Until.IsZero() && time.Until(s.Hold.Until) > time.Minute {
					t.Errorf("held for %s, and a minute is the most", time.Until(s.Hold.Until))
				}
			}
		})
	}
}

// What is kept for others is not spent.
func TestRateLimitReserve(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", "40")
		w.Header().Set("X-RateLimit-Reset", "3600")
	})
	for reserve, left := range map[string]string{"0": "40", "15": "25", "40": "0"} {
		g := newGateway(t, upstream.URL, egress.TransportConfig{}, written(t, `{"rate_limit_reserve":`+reserve+`,"rate_limit_dialect":"x-ratelimit"}`))
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
		l, _ := g.protections.Limiters().Get("con_1")
		h := http.Header{}
		l.WriteHeaders(h, ratelimit.Key{Credential: "default"})
		if got := h.Get("X-Ratelimit-Remaining"); got != left {
			t.Errorf("%s of 40 are kept for others: %s left, want %s", reserve, got, left)
		}
	}
}

// The same 403 means a limit in a dialect that says so, and nothing of the kind in one that does not.
func TestDialectDecidesAbout403(t *testing.T) {
	t.Parallel()
	upstream := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.WriteHeader(http.StatusForbidden)
	})
	for dialect, want := range map[string]runtime.Outcome{"x-ratelimit": runtime.OutcomeThrottled, "": runtime.OutcomeThrottled, "none": runtime.OutcomeForbidden} {
		g := newGateway(t, upstream.URL, egress.TransportConfig{}, written(t, `{"retry":{"max_attempts":1},"rate_limit_dialect":"`+dialect+`"}`))
		send(t, g, newRequest(t, http.MethodGet, g.URL+"/", nil))
		if rec := g.records.next(t); rec.Outcome != want {
			t.Errorf("dialect %q: %s, want %s", dialect, rec.Outcome, want)
		}
	}
}
