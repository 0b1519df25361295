package checklist

import (
	"errors"
	"strings"
	"testing"
	"time"

	"switchgear/internal/alerts"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	// The names of the contract, in its order.
	want := []string{
		"Requirements defined", "API design documented", "Authentication implemented", "Error handling robust", "Rate limiting configured",
		"Webhooks tested", "Circuit breaker implemented", "Retry logic works", "Monitoring active", "Integration tests", "Documentation complete",
		"Rollback plan defined",
	}
	if len(All()) != len(want) || Total() != len(want) {
		t.Fatalf("%d items", len(All()))
	}
	seen := map[string]bool{}
	for i, it := range All() {
		info := it.Info()
		if info.Title != want[i] || info.Number != i+1 || info.About == "" || info.ID == "" || seen[info.ID] {
			t.Errorf("%d: %+v", i+1, info)
		}
		seen[info.ID] = true
		if (info.Proof == ProofPerson) != (info.MaxDays > 0) {
			t.Errorf("%s: proof %s, %d days", info.ID, info.Proof, info.MaxDays)
		}
		if found, err := Lookup(info.ID); err != nil || found.Info() != info {
			t.Errorf("%s is not found: %v", info.ID, err)
		}
		if Hash(it, good()) == "" {
			t.Errorf("%s is bound to nothing", info.ID)
		}
	}
	_, err := Lookup("nothing")
	wantCode(t, err, fault.NotFound, "ITEM_NOT_FOUND")
}

// opened are transitions of the last weeks.
func opened(times, recovered, stuck int) Transitions {
	at := noon.Add(-7 * 24 * time.Hour)
	return Transitions{
		Transitions: breakers.Transitions{Opened: times, Recovered: recovered, Stuck: stuck, LastOpened: at, LastRecovered: at.Add(time.Minute)},
		Since:       noon.Add(-26 * 24 * time.Hour),
	}
}

// back is a rollback to the first version.
func back(version int) connections.Rollback {
	return connections.Rollback{Version: version, CopiedFrom: 1, At: noon.Add(-7 * 24 * time.Hour)}
}

// Every finding of every item, with what was measured in its message.
func TestFindings(t *testing.T) {
	t.Parallel()
	outcome := func(o runtime.Outcome, n int64) func(*Facts) {
		return func(f *Facts) {
			f.Traffic = traffic(f.Now, 1000, map[runtime.Outcome]int64{runtime.OutcomeSuccess: 1000 - n, o: n})
		}
	}
	quiet := func(f *Facts) { f.Traffic = traffic(f.Now, 3, nil) }
	silent := func(f *Facts) { f.Traffic = Traffic{Since: f.Now.Add(-observation)} }
	type judged struct {
		change   func(*Facts)
		verdict  Verdict
		measured string // has to be in the message as well
		says     string
	}
	for id, stages := range map[string]struct{ configured, observed map[string]judged }{
		"requirements": {
			map[string]judged{
				"complete":          {nil, VerdictPass, "7 of 7", "owner Payments"},
				"nothing":           {func(f *Facts) { f.Connection.Requirements = connections.Requirements{} }, VerdictFail, "0 of 7", "missing: owner, purpose"},
				"no owner":          {func(f *Facts) { f.Connection.Requirements.Owner = "" }, VerdictFail, "6 of 7", "missing: owner."},
				"slower than ended": {func(f *Facts) { f.Connection.Requirements.SLO.P95 = runtime.Duration(time.Minute) }, VerdictFail, "1m", "ended after 10s"},
				"more than allowed": {func(f *Facts) { f.Policy.RateLimits[0].Per = runtime.Duration(time.Hour) }, VerdictFail, "60", "lets 1.5 through"},
			},
			map[string]judged{
				"kept":            {nil, VerdictPass, "100 %", "1,000 calls"},
				"failing":         {outcome(runtime.OutcomeServerError, 20), VerdictFail, "98 %", "99 % are promised"},
				"slow":            {func(f *Facts) { f.Traffic.P95 = 2 * time.Second }, VerdictFail, "2s", "800ms are promised"},
				"more than twice": {func(f *Facts) { f.Traffic.Minutes[7] = 121 }, VerdictFail, "121", "more than twice the 60"},
				"more in a day": {func(f *Facts) {
					f.Connection.Requirements.ExpectedVolume = connections.Volume{Calls: 400, Per: runtime.Duration(24 * time.Hour)}
				}, VerdictFail, "0.69", "0.28"},
				"quiet": {quiet, VerdictUnknown, "3 calls", "20 are needed"},
			},
		},
		"api_design": {
			map[string]judged{
				"declared":     {nil, VerdictPass, "1 operation", "reference is linked"},
				"no operation": {func(f *Facts) { f.Policy.Operations = nil }, VerdictFail, "0 operations", "nothing says"},
				"no reference": {func(f *Facts) { f.Connection.Documentation.DocsURL, f.Provider.Docs = "", "" }, VerdictFail, "0 links", "OpenAPI"},
			},
			map[string]judged{
				"all":          {nil, VerdictPass, "100 %", "last 100 calls"},
				"few":          {func(f *Facts) { f.Traffic.Documented = 94 }, VerdictFail, "94 %", "declared operation"},
				"quiet":        {quiet, VerdictUnknown, "3 calls", ""},
				"not declared": {func(f *Facts) { f.Policy.Operations = nil }, "", "", ""},
			},
		},
		"authentication": {
			map[string]judged{
				"stored":      {nil, VerdictPass, "bearer", "1 secret field"},
				"none":        {func(f *Facts) { f.Connection.AuthType = "none" }, VerdictFail, "none", "0 credentials"},
				"unencrypted": {func(f *Facts) { f.Connection.BaseURL = "http://api.example.com" }, VerdictFail, "http", "unencrypted to api.example.com"},
				"loopback":    {func(f *Facts) { f.Connection.BaseURL = "http://127.0.0.1:9000" }, VerdictPass, "bearer", ""},
				"refused":     {func(f *Facts) { f.Problem = fault.New(fault.Conflict, "CREDENTIAL_MISSING", "It is missing.") }, VerdictFail, "CREDENTIAL_MISSING", "It is missing."},
			},
			map[string]judged{
				"accepted":     {nil, VerdictPass, "0 %", "the last good call was at 2026-11-27 11:59 UTC"},
				"not accepted": {outcome(runtime.OutcomeUnauthenticated, 11), VerdictFail, "1.1 %", "(401)"},
				"never good":   {func(f *Facts) { f.Traffic.LastSuccess = time.Time{} }, VerdictPass, "0 %", "none of the last 100 succeeded"},
				"quiet":        {quiet, VerdictUnknown, "3 calls", ""},
			},
		},
		"error_handling": {
			map[string]judged{
				"in time": {nil, VerdictPass, "10s", "15 outcomes"},
				"hangs":   {func(f *Facts) { f.Policy.Timeout = runtime.Duration(6 * time.Minute) }, VerdictFail, "6m", "may hang"},
			},
			map[string]judged{
				"classified":   {nil, VerdictPass, "0", "1,000 calls"},
				"unclassified": {outcome("of_another_release", 2), VerdictFail, "2", "without a rule"},
				"quiet":        {quiet, VerdictUnknown, "3 calls", ""},
			},
		},
		"rate_limiting": {
			map[string]judged{
				"within":          {nil, VerdictPass, "90 per 1s", "documents 100 per 1s"},
				"none":            {func(f *Facts) { f.Policy.RateLimits = nil }, VerdictFail, "0 limits", "burst"},
				"over the vendor": {func(f *Facts) { f.Policy.RateLimits[0].Requests = 101 }, VerdictFail, "101 per 1s", "documents 100 per 1s"},
				"vendor silent":   {func(f *Facts) { f.Provider.Policy = nil }, VerdictPass, "90 per 1s", "not known"},
			},
			map[string]judged{
				"seldom": {outcome(runtime.OutcomeThrottled, 10), VerdictPass, "1 %", "busiest minute had 40"},
				"often":  {outcome(runtime.OutcomeThrottled, 11), VerdictFail, "1.1 %", "(429)"},
				"quiet":  {quiet, VerdictUnknown, "3 calls", ""},
			},
		},
		"webhooks": {
			map[string]judged{
				"none":  {nil, VerdictExempt, "0 webhook sources", ""},
				"meant": {func(f *Facts) { f.Connection.Kind = connections.KindWebhook }, VerdictUnknown, "0 sources", "for webhooks"},
			},
			map[string]judged{"nothing to see": {nil, "", "", ""}},
		},
		"circuit_breaker": {
			map[string]judged{
				"reachable":     {nil, VerdictPass, "60", "20 calls in 1m"},
				"off":           {func(f *Facts) { f.Policy.Breaker.Enabled = false }, VerdictFail, "off", ""},
				"never reached": {func(f *Facts) { f.Connection.Requirements.ExpectedVolume.Calls = 3 }, VerdictFail, "3", "min_calls 20 in 1m is never reached at the 3 calls/min"},
				"in a row": {func(f *Facts) {
					f.Policy.Breaker.ConsecutiveFailures, f.Connection.Requirements.ExpectedVolume.Calls = 5, 3
				}, VerdictPass, "5 failures", "in a row"},
				"no volume": {func(f *Facts) { f.Connection.Requirements.ExpectedVolume = connections.Volume{} }, VerdictPass, "20 calls in 1m", "no expected volume"},
			},
			map[string]judged{
				"reached":       {nil, VerdictPass, "40", "may open from 20"},
				"never reached": {func(f *Facts) { f.Traffic.Minutes[1439], f.Traffic.Minutes[3] = 0, 3 }, VerdictFail, "3", "min_calls 20 in 1m is never reached at 3 calls/min"},
				"longer window": {func(f *Facts) {
					f.Policy.Breaker.Window = runtime.Duration(2 * time.Minute)
					f.Traffic.Minutes[1439], f.Traffic.Minutes[3], f.Traffic.Minutes[4] = 0, 10, 11
				}, VerdictPass, "21", "busiest 2m"},
				"in a row": {func(f *Facts) { f.Policy.Breaker.ConsecutiveFailures, f.Traffic.Minutes[1439] = 5, 0 }, VerdictPass, "0", "5 failures in a row"},
				"just edited": {func(f *Facts) {
					f.Traffic.Since, f.Traffic.Minutes = f.Now.Add(-10*time.Minute), []int64{1, 2, 0}
				}, VerdictUnknown, "2", ""},
				"silent": {silent, VerdictUnknown, "0 calls", ""},
				"opened and recovered": {func(f *Facts) {
					f.Transitions = opened(3, 2, 0)
					f.Traffic.Minutes[1439] = 0
				}, VerdictPass, "opened 3", "recovered 2; opened last on 2026-11-20 12:00 UTC, recovered last on 2026-11-20 12:01 UTC"},
				"opened without traffic since": {func(f *Facts) { silent(f); f.Transitions = opened(1, 1, 0) }, VerdictPass, "opened 1", "Since 2026-11-01"},
				"opened only":                  {func(f *Facts) { f.Transitions = opened(1, 0, 0) }, VerdictUnknown, "opened 1", "not been seen to recover"},
				"stuck":                        {func(f *Facts) { f.Transitions = opened(3, 3, 1) }, VerdictFail, "1", "did not end"},
				"off, and it opened before":    {func(f *Facts) { f.Policy.Breaker.Enabled, f.Transitions = false, opened(1, 1, 0) }, VerdictUnknown, "", "are needed to tell"},
			},
		},
		"retry": {
			map[string]judged{
				"bounded":    {nil, VerdictPass, "3 attempts", "sent once"},
				"with a key": {func(f *Facts) { f.Policy.Retry.IdempotencyKey = "Idempotency-Key" }, VerdictPass, "3 attempts", "Idempotency-Key makes"},
				"off":        {func(f *Facts) { f.Policy.Retry.MaxAttempts = 1 }, VerdictFail, "1", "nothing is tried again"},
				"no budget":  {func(f *Facts) { f.Policy.Retry.BudgetRatio = 0 }, VerdictFail, "0 %", "budget"},
				"flood":      {func(f *Facts) { f.Policy.Retry.BudgetRatio = 0.9 }, VerdictFail, "90 %", "at most 50 %"},
				"as the product has it": {func(f *Facts) {
					p := runtime.DefaultPolicy()
					f.Policy.Retry, f.Policy.Timeout, f.Policy.AttemptTimeout = p.Retry, p.Timeout, p.AttemptTimeout
				}, VerdictPass, "3 attempts", "leaves no time for another"},
				"no time": {func(f *Facts) { f.Policy.Retry.BaseDelay = f.Policy.Timeout }, VerdictFail, "10s", "a call has 10s"},
				"little":  {func(f *Facts) { f.Policy.AttemptTimeout = runtime.Duration(6 * time.Second) }, VerdictFail, "6s", "no time is left"},
			},
			map[string]judged{
				"few":   {nil, VerdictPass, "1", "1,000 attempts"},
				"flood": {func(f *Facts) { f.Traffic.Attempts = 1300 }, VerdictFail, "1.3", "1,300 attempts for 1,000 calls"},
				"quiet": {quiet, VerdictUnknown, "3 calls", ""},
			},
		},
		"monitoring": {
			map[string]judged{
				"somebody":   {nil, VerdictPass, "1 contact", "1 alert rule with 1 channel"},
				"no rule":    {func(f *Facts) { f.Alerts = alerts.Coverage{} }, VerdictFail, "0 alert rules", "nothing notices"},
				"no channel": {func(f *Facts) { f.Alerts.Channels = nil }, VerdictFail, "0 channels", "nobody hears"},
				"nobody":     {func(f *Facts) { f.Connection.Documentation.Contacts = nil }, VerdictFail, "0 contacts", "nobody"},
			},
			map[string]judged{
				"measured":      {nil, VerdictPass, "1,000 calls", "delivered over on call"},
				"never told":    {func(f *Facts) { f.Alerts.DeliveredAt = time.Time{} }, VerdictUnknown, "0 notifications", "send a test"},
				"told long ago": {func(f *Facts) { f.Alerts.DeliveredAt = noon.Add(-31 * 24 * time.Hour) }, VerdictUnknown, "1,000 calls", "more than 30 days ago"},
				"failed since":  {func(f *Facts) { f.Alerts.FailedAt = noon.Add(-time.Minute) }, VerdictFail, "1,000 calls", "failed at"},
				"silent":        {silent, VerdictUnknown, "0 calls", ""},
			},
		},
		"integration_tests": {
			map[string]judged{"none": {nil, VerdictUnknown, "0 suites", "attest"}},
			map[string]judged{"nothing to see": {nil, "", "", ""}},
		},
		"documentation": {
			map[string]judged{
				"complete":      {nil, VerdictPass, "4 of 4", "1 contact"},
				"short runbook": {func(f *Facts) { f.Connection.Documentation.Runbook = "Look." }, VerdictFail, "3 of 4", "(it has 5)"},
				"nothing": {func(f *Facts) {
					f.Connection.Documentation, f.Provider.Docs = connections.Documentation{}, ""
				}, VerdictFail, "0 of 4", "a contact, the vendor's status page and a reference"},
			},
			map[string]judged{"nothing to see": {nil, "", "", ""}},
		},
		"rollback": {
			map[string]judged{
				"known":   {nil, VerdictPass, "3", "v2 is the last"},
				"active":  {func(f *Facts) { f.Connection.LastKnownGood = 3 }, VerdictPass, "3", "v2 is there"},
				"first":   {func(f *Facts) { f.Connection.Version = 1 }, VerdictFail, "1 version", "none to go back"},
				"unknown": {func(f *Facts) { f.Connection.LastKnownGood = 0 }, VerdictUnknown, "3 versions", "0 of them"},
			},
			map[string]judged{
				"never rolled back": {nil, "", "", ""},
				"worked":            {func(f *Facts) { f.Connection.LastKnownGood, f.Rollback = 3, back(3) }, VerdictPass, "v3", "brought v1 back on 2026-11-20 12:00 UTC; v3 was seen to work"},
				"not seen yet":      {func(f *Facts) { f.Rollback = back(3) }, VerdictUnknown, "v3", "not been seen to work yet"},
			},
		},
	} {
		it := item(t, id)
		for stage, cases := range map[string]map[string]judged{"configured": stages.configured, "observed": stages.observed} {
			for name, c := range cases {
				t.Run(id+"/"+stage+"/"+name, func(t *testing.T) {
					t.Parallel()
					f := good()
					if c.change != nil {
						c.change(&f)
					}
					got := it.Configured(f)
					if stage == "observed" {
						got = it.Observed(f)
					}
					if got.Verdict != c.verdict || !strings.Contains(got.Message, c.measured) || !strings.Contains(got.Message, c.says) {
						t.Errorf("got %s: %q; want %s with %q and %q", got.Verdict, got.Message, c.verdict, c.measured, c.says)
					}
					if got.Verdict == "" {
						return
					}
					if got.Measured == "" || got.Threshold == "" {
						t.Errorf("measured %q against %q", got.Measured, got.Threshold)
					}
					if got.Verdict == VerdictFail && got.Fix == PlaceNone {
						t.Error("nothing says where it can be mended")
					}
				})
			}
		}
	}
}

// An edit of what an item is about makes its evidence stale, and no other edit does.
func TestStaleByEdit(t *testing.T) {
	t.Parallel()
	edits := map[string]func(*Facts){
		"owner":           func(f *Facts) { f.Connection.Requirements.Owner = "Somebody" },
		"expected volume": func(f *Facts) { f.Connection.Requirements.ExpectedVolume.Calls = 70 },
		"runbook":         func(f *Facts) { f.Connection.Documentation.Runbook += " Again." },
		"contacts":        func(f *Facts) { f.Connection.Documentation.Contacts = nil },
		"openapi":         func(f *Facts) { f.Connection.Documentation.OpenAPIURL = "https://a.example" },
		"operations":      func(f *Facts) { f.Policy.Operations = nil },
		"scheme":          func(f *Facts) { f.Connection.BaseURL = "http://api.stripe.com" },
		"host":            func(f *Facts) { f.Connection.BaseURL = "https://b.example" },
		"credential":      func(f *Facts) { f.Connection.CredentialMark = "token=b" },
		"auth type":       func(f *Facts) { f.Connection.AuthType = "basic" },
		"outcomes": func(f *Facts) {
			f.Policy.Outcomes = []runtime.OutcomeRule{{Status: 409, Outcome: runtime.OutcomeUnavailable}}
		},
		"timeout":        func(f *Facts) { f.Policy.Timeout++ },
		"rate limit":     func(f *Facts) { f.Policy.RateLimits = []runtime.RateLimit{{Requests: 1, Per: 1}} },
		"vendor's quota": func(f *Facts) { f.Provider.Policy = nil },
		"breaker":        func(f *Facts) { f.Policy.Breaker.MinCalls++ },
		"retry":          func(f *Facts) { f.Policy.Retry.MaxAttempts++ },
		"kind":           func(f *Facts) { f.Connection.Kind = connections.KindWebhook },
		"name":           func(f *Facts) { f.Connection.Name = "Another" },
		"version":        func(f *Facts) { f.Connection.Version++ },
	}
	want := map[string]string{
		"requirements": "owner, expected volume, timeout, rate limit", "api_design": "openapi, operations", "authentication": "scheme, credential, auth type",
		"error_handling": "outcomes, timeout", "rate_limiting": "rate limit, vendor's quota", "webhooks": "kind", "circuit_breaker": "breaker",
		"retry": "retry, timeout", "monitoring": "owner, contacts", "integration_tests": "openapi, operations, scheme, host, auth type",
		"documentation": "runbook, contacts, openapi", "rollback": "version, credential",
	}
	for _, it := range All() {
		id := it.Info().ID
		before := Hash(it, good())
		for name, edit := range edits {
			f := good()
			edit(&f)
			stale := Hash(it, f) != before
			expected := false
			for part := range strings.SplitSeq(want[id], ", ") {
				expected = expected || part == name
			}
			if stale != expected {
				t.Errorf("%s: an edit of the %s makes it stale: %t, want %t", id, name, stale, expected)
			}
			proof := Evidence{Item: id, ConfigHash: before, Method: MethodDrill, Verdict: VerdictPass, Message: "3 sends", At: noon.Add(-time.Hour)}
			if it.Info().Proof == ProofComputed {
				continue
			}
			if got, _ := proven(it.Info(), Finding{}, Hash(it, f), []Evidence{proof}, noon); (got.Verdict == VerdictStale) != expected || got.Verdict == VerdictUnknown {
				t.Errorf("%s, %s: the proof is %s: %s", id, name, got.Verdict, got.Message)
			}
		}
		// Traffic alone makes nothing stale.
		f := good()
		f.Traffic, f.Now = Traffic{}, f.Now.Add(time.Hour)
		if Hash(it, f) != before {
			t.Errorf("%s is bound to what is no configuration", id)
		}
	}
}

// Whatever the evidence, unknown is never a pass, and what only a drill proves is not proven without one.
func TestUnknownIsNeverPass(t *testing.T) {
	t.Parallel()
	for _, it := range All() {
		info := it.Info()
		f := good()
		got := assess(it, f, nil)
		if info.Proof == ProofDrill && info.ID != "webhooks" {
			if got.Verdict != VerdictUnknown || !strings.Contains(got.Message, "this version runs no drills") || got.Stage != StageConfigured {
				t.Errorf("%s without a drill: %s %s: %s", info.ID, got.Stage, got.Verdict, got.Message)
			}
			// What a person says does not stand in for a drill.
			said := Evidence{ConfigHash: got.ConfigHash, Method: MethodAttested, Verdict: VerdictPass, At: noon, ExpiresAt: noon.Add(time.Hour)}
			if got := assess(it, f, []Evidence{said}); got.Verdict != VerdictUnknown {
				t.Errorf("%s attested: %s", info.ID, got.Verdict)
			}
			drill := Evidence{ConfigHash: got.ConfigHash, Method: MethodDrill, Verdict: VerdictPass, Measured: "3", Message: "3 sends.", At: noon}
			if got := assess(it, f, []Evidence{drill}); got.Verdict != VerdictPass || got.Stage == StageConfigured {
				t.Errorf("%s with a drill: %s %s: %s", info.ID, got.Stage, got.Verdict, got.Message)
			}
			drill.Verdict = VerdictFail
			if got := assess(it, f, []Evidence{drill}); got.Verdict != VerdictFail {
				t.Errorf("%s with a drill that failed: %s", info.ID, got.Verdict)
			}
		}
		// With nothing known, nothing passes but what needs nothing.
		bare := Facts{Connection: connections.Connection{Kind: connections.KindWebhook, BaseURL: "https://a.example"}, Problem: errors.New("no"), Now: noon, Traffic: Traffic{Since: noon.Add(-observation), Figures: calls.Figures{}}}
		if got := assess(it, bare, nil); got.Verdict == VerdictPass {
			t.Errorf("%s of nothing passes: %s", info.ID, got.Message)
		}
		for _, unknown := range []Verdict{VerdictUnknown, VerdictStale, ""} {
			r := Result{Configured: Finding{Verdict: VerdictPass}, Proven: Finding{Verdict: unknown}, Observed: Finding{Verdict: VerdictPass}}
			if r.decide(); r.Verdict == VerdictPass {
				t.Errorf("proof %q passes", unknown)
			}
		}
	}
}
