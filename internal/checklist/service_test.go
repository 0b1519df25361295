package checklist

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

const day24 = 24 * time.Hour

func TestAttest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.user(access.RoleAdmin)
	if r := w.result("documentation"); r.Verdict != VerdictUnknown || r.Fix != PlaceAttest || r.Stage != StageConfigured {
		t.Fatalf("before: %+v", r)
	}
	must(t, w.Attest(t.Context(), admin, "stripe", "documentation", Statement{Reason: "Read it with the team.", Days: 30}))
	r := w.result("documentation")
	if r.Verdict != VerdictPass || r.Stage != StageProven || r.By == nil || r.By.ActorName != admin.Name || !strings.Contains(r.Message, "Read it with the team.") {
		t.Errorf("%+v", r)
	}
	page, err := w.log.Search(t.Context(), audit.Query{Limit: 10})
	if err != nil || len(page.Entries) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	if e := page.Entries[0]; e.Action != actionAttest || e.Reason != "Read it with the team." || e.Target.Name != "stripe" || e.Details["days"] != "30" || e.Details["item"] != "documentation" || e.Actor.Name != admin.Name {
		t.Errorf("%+v", e)
	}
	if diff := cmp.Diff([]string{"checklist", "audit"}, w.topics); diff != "" {
		t.Error(diff)
	}
	// It holds until it ends, or until what it is about changes.
	w.pass(30*day24 - time.Second)
	if r := w.result("documentation"); r.Verdict != VerdictPass {
		t.Errorf("a second before the end: %s", r.Message)
	}
	w.pass(time.Second)
	if r := w.result("documentation"); r.Verdict != VerdictStale || !strings.Contains(r.Message, "held until 2026-12-27") {
		t.Errorf("at the end: %s %s", r.Verdict, r.Message)
	}
	must(t, w.Attest(t.Context(), admin, "stripe", "documentation", Statement{Reason: "Again.", Days: 30, ConfigHash: r.ConfigHash}))
	w.edit(func(f *Facts) { f.Policy.Retry.MaxAttempts = 5 })
	if r := w.result("documentation"); r.Verdict != VerdictPass {
		t.Errorf("after another edit: %s %s", r.Verdict, r.Message)
	}
	w.edit(func(f *Facts) { f.Connection.Documentation.Runbook += "More." })
	if r := w.result("documentation"); r.Verdict != VerdictStale || !strings.Contains(r.Message, "another configuration") {
		t.Errorf("after an edit of it: %s %s", r.Verdict, r.Message)
	}
	wantCode(t, w.Attest(t.Context(), admin, "stripe", "documentation", Statement{Reason: "Late.", Days: 1, ConfigHash: r.ConfigHash}), fault.Conflict, "CONFIGURATION_CHANGED")
}

func TestExemption(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.user(access.RoleAdmin)
	must(t, w.Exempt(t.Context(), admin, "stripe", "retry", Statement{Reason: "The vendor retries.", Days: 7}))
	r := w.result("retry")
	if r.Verdict != VerdictExempt || !strings.Contains(r.Message, "until 2026-12-04, approved by "+admin.Name+": The vendor retries.") {
		t.Errorf("%s %s", r.Verdict, r.Message)
	}
	done, total, ok := w.Badge("con_1")
	if !ok || total != 12 || done != 3 { // requirements, webhooks, retry
		t.Errorf("%d of %d, %t", done, total, ok)
	}
	// An exemption is about the item, not about a configuration.
	w.edit(func(f *Facts) { f.Policy.Retry.MaxAttempts = 1 })
	if r := w.result("retry"); r.Verdict != VerdictExempt {
		t.Errorf("after an edit: %s", r.Verdict)
	}
	w.pass(7*day24 - time.Second)
	if _, _, ok := w.Badge("con_1"); !ok || w.result("retry").Verdict != VerdictExempt {
		t.Error("it ended early")
	}
	w.pass(time.Second)
	if summary, _ := w.remembered("con_1"); summary.Items[7].Verdict != VerdictFail {
		t.Errorf("the list still says %+v", summary.Items[7])
	}
	if r := w.result("retry"); r.Verdict != VerdictFail {
		t.Errorf("at the end: %s", r.Message)
	}

	must(t, w.Exempt(t.Context(), admin, "stripe", "retry", Statement{Reason: "Once more.", Days: 7}))
	w.pass(time.Second)
	must(t, w.Withdraw(t.Context(), admin, "stripe", "retry", "Mended."))
	if r := w.result("retry"); r.Verdict != VerdictFail {
		t.Errorf("withdrawn: %s", r.Message)
	}
	w.pass(time.Second)
	wantCode(t, w.Withdraw(t.Context(), admin, "stripe", "retry", "Again."), fault.Conflict, "NOTHING_TO_WITHDRAW")
	wantCode(t, w.Withdraw(t.Context(), admin, "stripe", "rollback", "Never."), fault.Conflict, "NOTHING_TO_WITHDRAW")
}

func TestWithdrawnAttestation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	must(t, w.Attest(t.Context(), access.System(), "stripe", "monitoring", Statement{Reason: "An alert came.", Days: 30}))
	w.pass(time.Second)
	must(t, w.Withdraw(t.Context(), access.System(), "stripe", "monitoring", "It was another one."))
	if r := w.result("monitoring"); r.Verdict != VerdictUnknown {
		t.Errorf("%s %s", r.Verdict, r.Message)
	}
}

func TestWhoMaySayWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.user(access.RoleAdmin)
	ok := Statement{Reason: "Because.", Days: 7}
	for _, role := range []access.Role{access.RoleOperator, access.RoleViewer, access.RoleAuditor} {
		a := w.user(role)
		wantCode(t, w.Attest(t.Context(), a, "stripe", "documentation", ok), fault.Forbidden, "FORBIDDEN")
		wantCode(t, w.Exempt(t.Context(), a, "stripe", "retry", ok), fault.Forbidden, "FORBIDDEN")
		wantCode(t, w.Withdraw(t.Context(), a, "stripe", "retry", "x"), fault.Forbidden, "FORBIDDEN")
	}
	// The role counts that the user has now.
	w.exec(`UPDATE users SET role = 'viewer' WHERE id = $1`, admin.ID)
	wantCode(t, w.Exempt(t.Context(), admin, "stripe", "retry", ok), fault.Forbidden, "FORBIDDEN")
	w.exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, admin.ID)
	wantCode(t, w.Exempt(t.Context(), admin, "stripe", "retry", ok), fault.Unauthenticated, "UNAUTHENTICATED")
	key := access.Actor{Kind: access.KindAPIKey, ID: "key_gone", Scopes: []access.Scope{access.ScopeAPIWrite}}
	wantCode(t, w.Exempt(t.Context(), key, "stripe", "retry", ok), fault.Unauthenticated, "INVALID_API_KEY")

	system := access.System()
	wantCode(t, w.Attest(t.Context(), system, "stripe", "retry", ok), fault.Conflict, "NOT_ATTESTABLE")
	wantCode(t, w.Attest(t.Context(), system, "stripe", "requirements", ok), fault.Conflict, "NOT_ATTESTABLE")
	wantCode(t, w.Attest(t.Context(), system, "stripe", "nothing", ok), fault.NotFound, "ITEM_NOT_FOUND")
	wantCode(t, w.Attest(t.Context(), system, "nothing", "documentation", ok), fault.NotFound, "CONNECTION_NOT_FOUND")
	for name, st := range map[string]Statement{
		"REASON_MISSING": {Reason: " ", Days: 7}, "INVALID_REASON": {Reason: strings.Repeat("x", 501), Days: 7}, "INVALID_DAYS": {Reason: "x", Days: 91},
	} {
		wantCode(t, w.Attest(t.Context(), system, "stripe", "documentation", st), fault.Invalid, name)
	}
	wantCode(t, w.Exempt(t.Context(), system, "stripe", "retry", Statement{Reason: "x", Days: 181}), fault.Invalid, "INVALID_DAYS")
	wantCode(t, w.Exempt(t.Context(), system, "stripe", "retry", Statement{Reason: "x"}), fault.Invalid, "INVALID_DAYS")
	// A connection that changed between looking and saying.
	w.exec(`UPDATE connections SET version = 99`)
	wantCode(t, w.Exempt(t.Context(), system, "stripe", "retry", ok), fault.Conflict, "CONFIGURATION_CHANGED")
	w.exec(`DELETE FROM connections`)
	wantCode(t, w.Exempt(t.Context(), system, "stripe", "retry", ok), fault.NotFound, "CONNECTION_NOT_FOUND")
	if n := w.count(`SELECT COUNT(*) FROM checklist_evidence`) + w.count(`SELECT COUNT(*) FROM audit_entries`); n != 0 {
		t.Errorf("%d rows of what was refused", n)
	}
}

// What was seen under a configuration says nothing about the next one.
func TestObservationGoesStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.figure = calls.Figures{Calls: 1000, Attempts: 1000, Outcomes: map[runtime.Outcome]int64{runtime.OutcomeSuccess: 1000}, P95: 100 * time.Millisecond}
	w.edit(func(f *Facts) { f.Connection.Requirements.ExpectedVolume.Calls = 5000 })
	w.pass(0)
	if r := w.result("retry"); r.Observed.Verdict != VerdictPass || r.Observed.Measured != "1" {
		t.Fatalf("before: %+v", r.Observed)
	}
	w.pass(time.Minute)
	w.edit(func(f *Facts) { f.Policy.Retry.MaxAttempts = 5 })
	check := func(when string) {
		t.Helper()
		r := w.result("retry")
		if r.Verdict != VerdictStale || !strings.Contains(r.Message, "1,000 attempts") || !strings.Contains(r.Message, "0 calls since 2026-11-27 12:01") {
			t.Errorf("%s: %s %s", when, r.Verdict, r.Message)
		}
		if r := w.result("circuit_breaker"); r.Observed.Verdict != VerdictPass {
			t.Errorf("%s: the breaker was not edited: %s", when, r.Observed.Message)
		}
	}
	check("at once")
	w.pass(10 * time.Second)
	check("once it is written down")
	w.pass(25 * time.Hour)
	if r := w.result("retry"); r.Observed.Verdict != VerdictPass {
		t.Errorf("seen again: %+v", r.Observed)
	}
}

// What a breaker did counts for a month, unless it was configured otherwise since.
func TestTransitionsCountForTheConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mu.Lock()
	w.facts.Transitions = opened(2, 2, 0)
	w.mu.Unlock()
	w.pass(0)
	if r := w.result("circuit_breaker"); r.Observed.Verdict != VerdictPass || !strings.Contains(r.Observed.Message, "opened 2") || !w.watchedFrom.Equal(noon.Add(-30*24*time.Hour)) {
		t.Errorf("%+v, from %s on", r.Observed, w.watchedFrom)
	}
	w.pass(time.Hour)
	w.edit(func(f *Facts) { f.Policy.Retry.MaxAttempts = 2 })
	w.pass(0)
	if want := noon.Add(time.Hour - 30*24*time.Hour); !w.watchedFrom.Equal(want) {
		t.Errorf("after another edit from %s on, want %s", w.watchedFrom, want)
	}
	w.pass(time.Hour)
	w.edit(func(f *Facts) { f.Policy.Breaker.MinCalls = 7 })
	w.pass(time.Hour)
	if want := noon.Add(2 * time.Hour); !w.watchedFrom.Equal(want) {
		t.Errorf("after an edit of the breaker from %s on, want %s", w.watchedFrom, want)
	}
}

func TestEvidenceIsStoredWhenItChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(0)
	n := w.count(`SELECT COUNT(*) FROM checklist_evidence`)
	if n != 12 { // one a static finding; there is no traffic
		t.Errorf("%d rows", n)
	}
	w.pass(2 * time.Hour)
	if again := w.count(`SELECT COUNT(*) FROM checklist_evidence`); again != n {
		t.Errorf("%d rows after nothing happened", again)
	}
	for range 30 {
		w.pass(time.Second)
		w.edit(func(f *Facts) { f.Policy.Breaker.MinCalls++ })
		w.pass(time.Second)
	}
	if kept := w.count(`SELECT COUNT(*) FROM checklist_evidence WHERE item = 'circuit_breaker'`); kept != 20 {
		t.Errorf("%d rows are kept", kept)
	}
	if first := w.result("circuit_breaker").History[0]; first.Method != MethodStatic || first.ConfigHash != w.result("circuit_breaker").ConfigHash {
		t.Errorf("%+v", first)
	}
	// What belongs to nobody goes.
	w.exec(`DELETE FROM connections`)
	must(t, w.store.sweep(t.Context()))
	if n := w.count(`SELECT COUNT(*) FROM checklist_evidence`); n != 0 {
		t.Errorf("%d rows of a connection that is gone", n)
	}
}

func TestWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(0)
	asked := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		out := w.asked
		w.asked = 0
		return out
	}
	if asked() == 0 || len(w.topics) != 1 || w.topics[0] != "checklist" {
		t.Errorf("the first pass: %v", w.topics)
	}
	w.pass(59 * time.Minute)
	if n := asked(); n != 0 {
		t.Errorf("a quiet connection was judged again: %d", n)
	}
	w.pass(time.Minute)
	if asked() == 0 {
		t.Error("after an hour it was not judged")
	}
	w.called = true
	w.pass(4 * time.Minute)
	if n := asked(); n != 0 {
		t.Errorf("a busy connection was judged too soon: %d", n)
	}
	w.pass(time.Minute)
	if asked() == 0 {
		t.Error("a busy connection was not judged")
	}
	w.edit(func(f *Facts) { f.Connection.Name = "New" })
	w.pass(0)
	if asked() == 0 {
		t.Error("a new version was not judged")
	}
	w.facts.Problem = fault.New(fault.Conflict, "CREDENTIAL_MISSING", "Missing.")
	w.pass(0)
	if asked() == 0 {
		t.Error("a credential that is missing was not noticed")
	}
	if summary, _ := w.remembered("con_1"); summary.Items[2].Verdict != VerdictFail {
		t.Errorf("%+v", summary.Items[2])
	}
	w.facts.Connection.ID = ""
	w.pass(0)
	if _, _, ok := w.Badge("con_1"); ok {
		t.Error("a connection that is gone is remembered")
	}
}

// A page may judge a connection that it found before the deletion, after the pass that saw the deletion.
func TestWhatWasJudgedTooLateIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pass(0)
	found, err := w.Find(t.Context(), access.System(), "stripe")
	must(t, err)
	w.facts.Connection.ID = ""
	w.pass(0)
	_, err = w.judge(t.Context(), found, nil)
	must(t, err)
	w.pass(0)
	if _, _, ok := w.Badge(found.ID); ok {
		t.Error("a connection that is gone is remembered")
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Changed()
	w.Changed() // does not block
	ended := make(chan error)
	heard := make(chan string, 10)
	w.deps.Notify = func(topic string) { heard <- topic }
	ctx, stop := context.WithCancel(t.Context())
	go func() { ended <- w.Serve(ctx) }()
	if topic := <-heard; topic != "checklist" {
		t.Errorf("heard %s", topic)
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("it ended without a reason")
	}
}

// A change is judged without waiting for anything, and costs one judgement however many connections there are.
func TestChangesAreJudgedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 40 {
		c := w.facts.Connection
		c.ID, c.Slug = fmt.Sprintf("con_x%d", i), fmt.Sprintf("other-%d", i)
		w.others = append(w.others, c)
		w.stored(c)
	}
	w.pass(0)
	judged := func(what string, want int) {
		t.Helper()
		before := w.found
		must(t, w.Service.pass(t.Context(), false))
		if n := w.found - before; n != want {
			t.Errorf("%s: %d judgements, want %d", what, n, want)
		}
	}
	w.mu.Lock()
	w.now, w.called = w.now.Add(24*time.Hour), true // what time alone makes due waits for the tick
	w.mu.Unlock()
	judged("nothing", 0)
	for range 20 {
		w.edit(func(f *Facts) { f.Connection.Name += "!" })
		judged("a change", 1)
	}
	for range 20 {
		w.edit(func(f *Facts) { f.Connection.Name += "!" })
	}
	judged("twenty changes of one", 1)
	for i := range w.others[:7] {
		w.others[i].Version++
	}
	judged("a change of several", 7)
	w.others = w.others[1:]
	judged("one that is gone", 0)
	if _, known := w.remembered("con_x0"); known {
		t.Error("a connection that is gone is remembered")
	}
	if _, known := w.remembered("con_x39"); !known {
		t.Error("another one is forgotten")
	}
	before := w.found
	w.pass(0)
	if n := w.found - before; n != 33 { // of 40 others one is gone, and six were judged a moment ago
		t.Errorf("the tick judges %d connections that time made due, want 33", n)
	}
}

// Whoever says that something changed need not wait for the tick.
func TestChangesWakeTheWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Tick = 1000 * time.Hour
	heard := make(chan string, 10)
	w.deps.Notify = func(topic string) { heard <- topic }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Serve(ctx) }()
	<-heard // the first pass
	w.edit(func(f *Facts) { f.Connection.Documentation.Runbook = "" })
	w.Changed()
	<-heard
	if summary, _ := w.remembered("con_1"); summary.Version != w.facts.Connection.Version {
		t.Errorf("version %d is judged", summary.Version)
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("it ended without a reason")
	}
}

// A summary counts the stages that are shown with the items: what is seen in traffic counts before it is proven.
func TestPassingStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.figure = calls.Figures{Calls: 1000, Attempts: 1000, Outcomes: map[runtime.Outcome]int64{runtime.OutcomeSuccess: 1000}, P95: 100 * time.Millisecond}
	w.pass(0)
	list, err := w.Of(t.Context(), access.System(), "stripe")
	must(t, err)
	want, unproven := map[Stage]int{}, 0
	for _, r := range list.Items {
		for stage, f := range map[Stage]Finding{StageConfigured: r.Configured, StageProven: r.Proven, StageObserved: r.Observed} {
			if f.Verdict == VerdictPass {
				want[stage]++
			}
		}
		if r.Observed.Verdict == VerdictPass && r.Proven.Verdict != VerdictPass {
			unproven++
		}
	}
	if unproven == 0 {
		t.Fatal("nothing is seen in traffic that is not proven")
	}
	for _, stage := range []Stage{StageConfigured, StageProven, StageObserved} {
		if got := list.Summary.Passing(stage); got != want[stage] {
			t.Errorf("%s: %d, the items show %d", stage, got, want[stage])
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	one := func(id string) *connections.Standing {
		return &connections.Standing{Connection: &connections.Connection{ID: id}}
	}
	a, b, c, d, e, b2 := one("a"), one("b"), one("c"), one("d"), one("e"), one("b")
	type list = []*connections.Standing
	for name, tt := range map[string]struct {
		before, after, changed list
		gone                   []string
	}{
		"the same":         {list{a, b, c}, list{a, b, c}, nil, nil},
		"nothing":          {nil, nil, nil, nil},
		"the first list":   {nil, list{a, b}, list{a, b}, nil},
		"all gone":         {list{a}, nil, nil, []string{"a"}},
		"one changed":      {list{a, b, c}, list{a, b2, c}, list{b2}, nil},
		"and moved":        {list{a, b, c, d}, list{a, c, d, b2}, list{b2}, nil},
		"one came":         {list{a, c}, list{a, b, c}, list{b}, nil},
		"one went":         {list{a, b, c}, list{a, c}, nil, []string{"b"}},
		"one for another":  {list{a, b, c}, list{a, d, c}, list{d}, []string{"b"}},
		"at both ends":     {list{a, b, c, d}, list{b, c, e}, list{e}, []string{"a", "d"}},
		"came at the ends": {list{b}, list{a, b, c}, list{a, c}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed, gone := differences(tt.before, tt.after)
			slices.Sort(gone)
			if !slices.Equal(changed, tt.changed) || !slices.Equal(gone, tt.gone) {
				t.Errorf("%v and %v", changed, gone)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if d := jitter(time.Minute); d < 48*time.Second || d > 72*time.Second {
			t.Fatalf("%s", d)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, c := w.facts.Connection, w.facts.Connection
	b.ID, b.Slug, b.Name, b.Environment = "con_2", "billing", "Billing", "staging"
	c.ID, c.Slug, c.Name, c.Environment, c.Kind = "con_3", "alerts", "Alerts", "development", "webhook"
	w.others = append(w.others, b, c)
	w.stored(b)
	w.stored(c)
	must(t, w.Exempt(t.Context(), access.System(), "stripe", "retry", Statement{Reason: "x", Days: 1}))
	w.pass(0)
	slugs := func(q Query) string {
		t.Helper()
		page, err := w.List(access.System(), q)
		must(t, err)
		out := make([]string, 0, len(page.Summaries))
		for _, s := range page.Summaries {
			out = append(out, s.Slug)
		}
		return strings.Join(out, " ")
	}
	for want, q := range map[string]Query{
		"alerts billing stripe": {}, // 1, 2 and 3 are done
		"stripe billing alerts": {Sort: "-done"},
		"stripe":                {Verdict: VerdictExempt, Item: "retry"},
		"billing stripe":        {Verdict: VerdictExempt},
		"billing":               {Search: "BILL"},
		"alerts":                {Environment: "development"},
		"":                      {Search: "nothing"},
		"billing alerts":        {Sort: "-name", Verdict: VerdictUnknown, Item: "retry"},
	} {
		if got := slugs(q); got != want {
			t.Errorf("%+v: %q, want %q", q, got, want)
		}
	}
	page, err := w.List(access.System(), Query{Sort: "environment", Limit: 2, Page: 2})
	if err != nil || page.Total != 3 || len(page.Summaries) != 1 || page.Summaries[0].Slug != "alerts" {
		t.Errorf("%+v, %v", page, err)
	}
	if s := page.Summaries[0]; s.Count(VerdictPass, VerdictExempt) != s.Done || s.Passing(StageConfigured) < s.Done {
		t.Errorf("%+v", s)
	}
	for _, q := range []Query{{Sort: "nothing"}, {Verdict: "maybe"}, {Item: "nothing"}} {
		if _, err := w.List(access.System(), q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := w.List(access.Actor{}, Query{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := w.Of(t.Context(), access.Actor{}, "stripe"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("nobody: %v", err)
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := New(Deps{}, Config{}); err == nil {
		t.Error("it works with nothing")
	}
}
