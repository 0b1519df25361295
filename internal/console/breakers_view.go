package console

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
	breakersview "switchgear/web/templates/breakers"
)

// policies are the policies in force of a connection, its own under the empty name.
func (p breakerPages) policies(c connections.Connection) (map[string]runtime.Policy, error) {
	policy, err := p.Connections.EffectivePolicy(c)
	if err != nil {
		return nil, err
	}
	operations, err := policy.Resolve()
	if err != nil {
		return nil, err
	}
	out := map[string]runtime.Policy{"": policy}
	for i := range operations {
		out[operations[i].ID] = operations[i].Effective
	}
	return out, nil
}

func thresholds(p runtime.Policy) breakersview.Thresholds {
	b := p.Breaker
	t := breakersview.Thresholds{
		FailureRatio: b.FailureRatio, MinCalls: b.MinCalls, Window: b.Window.Std(), InARow: b.ConsecutiveFailures,
		OpenFor: b.OpenFor.Std(), HalfOpenCalls: b.HalfOpenCalls, Ramp: b.Ramp.Std(),
	}
	if b.SlowCall > 0 {
		t.SlowRatio = b.SlowRatio
	}
	return t
}

func breakerStatus(b breakers.Breaker, off bool) breakersview.Status {
	s := b.Snapshot
	out := breakersview.Status{
		State: string(b.State), WouldBe: string(s.WouldBe), Off: off, Since: s.Since, Until: s.Until,
		Probes: s.ProbesSucceeded, ProbesWanted: s.Config.HalfOpenCalls, Quiet: s.Counts.Judged() == 0,
	}
	if s.RampShare < 1 {
		out.Admitted = s.RampShare
	}
	if b.Overridden() {
		out.Until = s.Lease.Until
	}
	if h, ok := vendorHold(b); ok {
		out.Since, out.Until = h.Since, h.Until
	}
	return out
}

// vendorHold is the pause because of which a breaker counts as held although it is not.
func vendorHold(b breakers.Breaker) (breakers.VendorHold, bool) {
	if b.State == breaker.StateHeld && b.Snapshot.State != breaker.StateHeld {
		for _, h := range b.Vendor {
			if !h.Probing {
				return h, true
			}
		}
	}
	return breakers.VendorHold{}, false
}

// row is a breaker in a list, with the limits that its calls have.
func (p breakerPages) row(b breakers.Breaker) breakersview.Row {
	c, _ := p.Connections.Peek(b.Connection)
	policies, err := p.policies(c)
	if err != nil { // the connection cannot be called, which its own page says
		policies = nil
	}
	state, _ := p.Protections.State(b.ConnectionID)
	return breakerRow(b, policies, state)
}

func breakerRow(b breakers.Breaker, policies map[string]runtime.Policy, state runtime.ProtectionState) breakersview.Row {
	policy, known := policies[b.Operation]
	s := b.Snapshot
	out := breakersview.Row{
		Slug: b.Connection, Name: b.Name, Operation: b.Operation, Status: breakerStatus(b, known && !policy.Breaker.Enabled),
		Failures: s.Counts.Failures, Judged: s.Counts.Judged(), Window: policy.Breaker.Window.Std(), Refused: int64(s.Refused),
		InFlight: state.Bulkhead.InFlight, MaxInFlight: state.Bulkhead.Limit,
	}
	if own, ok := state.Bulkhead.Groups[b.Operation]; ok && b.Operation != "" {
		out.InFlight, out.MaxInFlight = own.InFlight, own.Limit
	}
	// An operation has its own limits and those of the connection: the fullest of all holds calls up.
	fullest := -1.0
	for _, scope := range state.Limits.Scopes {
		if scope.Key.Group != "" && scope.Key.Group != b.Operation {
			continue
		}
		for _, w := range scope.Windows {
			if share := float64(w.Used) / float64(max(1, w.Requests)); share > fullest {
				fullest = share
				out.Limit = breakersview.Meter{
					Label: windowLabel(w.Limit), Value: float64(w.Used), Max: float64(w.Requests),
					Text: strconv.Itoa(w.Used) + " of " + windowLabel(w.Limit),
				}
			}
		}
	}
	return out
}

func windowLabel(l ratelimit.Limit) string {
	return strconv.Itoa(l.Requests) + " per " + breakersview.Span(l.Per)
}

// present fills in what is the case now: breakers, limits, and the policy.
func (p breakerPages) present(r *http.Request, c connections.Connection, view *breakersview.TabView) error {
	d, err := p.Breakers.Get(r.Context(), actor(r), c.Slug)
	if err != nil {
		return err
	}
	policies, err := p.policies(c)
	if err != nil {
		return err
	}
	state, _ := p.Protections.State(c.ID)
	sorted := sortedBreakers(d)
	all := make([]breakers.Breaker, len(sorted))
	for i := range sorted {
		all[i] = sorted[i].Breaker
	}
	courses, err := p.Breakers.Courses(r.Context(), actor(r), all)
	if err != nil {
		return err
	}
	found := false
	for i, b := range sorted {
		row := breakerRow(b.Breaker, policies, state)
		row.Past = pastOf(courses[i])
		view.Breakers = append(view.Breakers, row)
		if b.Operation == view.Operation {
			found = true
			view.Breaker, view.Watch = breakerDetail(b.Breaker, policies[b.Operation]), watchOf(b.Watch)
			view.Failures = failuresOf(b.Snapshot)
		}
	}
	if !found {
		return fault.New(fault.NotFound, "OPERATION_NOT_FOUND", "The connection has no such operation.")
	}
	view.Limits = limitsOf(state)
	settings, err := p.Connections.Settings(c, view.PolicyOf)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, s := range settings {
		view.Settings = append(view.Settings, breakersview.Setting(s))
	}
	return nil
}

func pastOf(c breakers.Course) breakersview.Past {
	out := breakersview.Past{Step: breakers.CourseStep, Open: c.OpenTime, Since: c.Since}
	for _, s := range c.Slices {
		out.States = append(out.States, string(s))
	}
	return out
}

func breakerDetail(b breakers.Breaker, policy runtime.Policy) breakersview.Breaker {
	s := b.Snapshot
	out := breakersview.Breaker{
		Status: breakerStatus(b, !policy.Breaker.Enabled), Why: b.Why, Thresholds: thresholds(policy),
		Successes: s.Counts.Successes, Failures: s.Counts.Failures, Excluded: s.Counts.Excluded, Slow: s.Counts.Slow, InARow: s.Counts.ConsecutiveFailures,
		Refused: int64(s.Refused), Missed: int64(s.Counts.WouldReject), Override: leaseOf(s.Lease), Hold: leaseOf(s.Hold), Reopened: s.Reopens, OpenTotal: s.OpenTotal,
	}
	if s.WouldBe != breaker.StateClosed && s.Reason != "" {
		out.Tripped = sentence(s.Reason)
		if s.Actor != "" {
			out.Tripped, out.Manual = "By "+s.Actor+": "+out.Tripped, true
		}
	}
	if out.Status.Off {
		out.Why = "The policy switches the breaker off: nothing is judged, and commands hold all the same."
	}
	if h, ok := vendorHold(b); ok {
		out.Hold = &breakersview.Lease{Reason: h.Reason, Since: h.Since, Until: h.Until}
	}
	return out
}

// sentence ends with a full stop.
func sentence(text string) string {
	if text == "" || text[len(text)-1] == '.' {
		return text
	}
	return text + "."
}

func leaseOf(l breaker.Lease) *breakersview.Lease {
	if l == (breaker.Lease{}) {
		return nil
	}
	return &breakersview.Lease{Actor: l.Actor, Reason: l.Reason, Since: l.Since, Until: l.Until}
}

func watchOf(w *breakers.Watch) *breakersview.Watch {
	if w == nil {
		return nil
	}
	counts := make(map[runtime.Outcome]int64, len(w.Outcomes))
	for o, n := range w.Outcomes {
		counts[o] = int64(n)
	}
	return &breakersview.Watch{
		Command: breakersview.Verb(w.Given.Verb).Label(), Actor: w.Given.Actor, Reason: w.Given.Reason, At: w.Given.At,
		Calls: w.Calls, Wanted: w.Of, Failed: w.Failed, Refused: w.Refused, Outcomes: outcomeRows(counts),
	}
}

// outcomeRows are outcomes in the order of the table of rules.
func outcomeRows(counts map[runtime.Outcome]int64) []breakersview.Outcome {
	var out []breakersview.Outcome
	for _, rule := range runtime.Rules() {
		n := counts[rule.Outcome]
		if n == 0 {
			continue
		}
		verdict := breakersview.VerdictExcluded
		switch {
		case rule.Outcome == runtime.OutcomeRejectedLocal:
			verdict = breakersview.VerdictRefused
		case rule.Breaker == runtime.VerdictSuccess:
			verdict = breakersview.VerdictSuccess
		case rule.Breaker == runtime.VerdictFailure:
			verdict = breakersview.VerdictFailure
		}
		out = append(out, breakersview.Outcome{Name: string(rule.Outcome), Label: rule.Label, Calls: n, Verdict: verdict})
	}
	return out
}

func limitsOf(s runtime.ProtectionState) breakersview.Limits {
	out := breakersview.Limits{Waiting: s.Limits.Waiting, MaxWaiting: s.Limits.MaxWaiting}
	var scopes []ratelimit.ScopeSnapshot
	for _, scope := range s.Limits.Scopes {
		if len(scope.Windows) == 0 && len(scope.Quotas) == 0 && scope.Hold.Until.IsZero() && scope.Key != (ratelimit.Key{}) {
			continue
		}
		scopes = append(scopes, scope)
	}
	scopes, out.MoreAccounts = scarcest(scopes)
	for _, scope := range scopes {
		out.Scopes = append(out.Scopes, scopeOf(scope))
	}
	whole := s.Bulkhead.CompartmentSnapshot
	out.Bulkheads = []breakersview.Bulkhead{{InFlight: whole.InFlight, Most: whole.Limit, Waiting: s.Bulkhead.Waiting, Rejected: whole.Rejected}}
	for name, group := range s.Bulkhead.Groups {
		out.Bulkheads = append(out.Bulkheads, breakersview.Bulkhead{Name: name, InFlight: group.InFlight, Most: group.Limit, Rejected: group.Rejected})
	}
	slices.SortFunc(out.Bulkheads, func(a, b breakersview.Bulkhead) int { return cmp.Compare(a.Name, b.Name) })
	if b := s.Retries; b.MostRepeating > 0 || b.MostRepeats > 0 {
		out.Retry = &breakersview.RetryBudget{
			Repeating: b.Repeating, MostRepeating: b.MostRepeating, Repeats: b.Repeats, MostRepeats: b.MostRepeats, Refused: b.Refused,
		}
	}
	if c := s.Cache; c.Entries > 0 || c.Hits+c.Stale+c.Revalidated > 0 {
		out.Cache = &breakersview.Cache{
			Hits: c.Hits, Stale: c.Stale, Revalidated: c.Revalidated, Misses: c.Misses, Entries: c.Entries, Bytes: c.Bytes, MaxBytes: c.MaxBytes, OldestStale: c.OldestStale,
		}
	}
	return out
}

// shownAccounts is how many sets of limits of accounts a page shows: there may be one for each customer.
const shownAccounts = 20

// scarcest leaves out the limits of accounts that have most left, and says how many those are. The order stays.
func scarcest(scopes []ratelimit.ScopeSnapshot) (kept []ratelimit.ScopeSnapshot, more int) {
	var accounts []ratelimit.ScopeSnapshot
	for _, s := range scopes {
		if s.Key.Credential != "" {
			accounts = append(accounts, s)
		}
	}
	if more = len(accounts) - shownAccounts; more <= 0 {
		return scopes, 0
	}
	slices.SortStableFunc(accounts, func(a, b ratelimit.ScopeSnapshot) int { return cmp.Compare(fullness(b), fullness(a)) })
	out := map[ratelimit.Key]bool{}
	for _, s := range accounts[shownAccounts:] {
		out[s.Key] = true
	}
	return slices.DeleteFunc(scopes, func(s ratelimit.ScopeSnapshot) bool { return out[s.Key] }), more
}

// fullness is the used part of the fullest limit, above 1 while held.
func fullness(s ratelimit.ScopeSnapshot) float64 {
	if !s.Hold.Until.IsZero() {
		return 2
	}
	most := 0.0
	for _, w := range s.Windows {
		most = max(most, float64(w.Used)/float64(max(1, w.Requests)))
	}
	for _, q := range s.Quotas {
		if q.Limit > 0 {
			most = max(most, 1-float64(q.Left)/float64(q.Limit))
		}
	}
	return most
}

func scopeOf(s ratelimit.ScopeSnapshot) breakersview.Scope {
	out := breakersview.Scope{Name: s.Key.Group, Why: s.Why, Probing: s.Hold.Probing}
	if s.Key.Credential != "" {
		out.Name = "account " + s.Key.Credential
		if s.Key.Group != "" {
			out.Name = s.Key.Group + ", " + out.Name
		}
	}
	for _, w := range s.Windows {
		out.Windows = append(out.Windows, breakersview.Window{Label: windowLabel(w.Limit), Used: w.Used, Most: w.Requests})
	}
	for _, q := range s.Quotas {
		quota := breakersview.Quota{Label: "Vendor quota", Left: q.Left, Most: max(0, q.Limit), Resets: q.ResetAt}
		if q.Name != "" {
			quota.Label += ", " + q.Name
		}
		if q.Unit != ratelimit.UnitRequests {
			quota.Label += " (" + q.Unit + ")"
		}
		out.Quotas = append(out.Quotas, quota)
	}
	if !s.Hold.Until.IsZero() {
		out.Hold = &breakersview.Lease{Reason: s.Hold.Reason, Since: s.Hold.Since, Until: s.Hold.Until}
	}
	return out
}

func eventRow(c *breakers.Change) breakersview.Event {
	e := &c.Event
	return breakersview.Event{
		ID: strconv.FormatUint(e.Epoch, 10) + "-" + strconv.FormatUint(e.Seq, 10) + "-" + e.Key.Operation, Operation: e.Key.Operation, At: e.At,
		From: string(e.From), To: string(e.To), Cause: string(e.Cause), Actor: e.Actor, Reason: e.Reason,
		Failures: e.Counts.Failures, Judged: e.Counts.Judged(), Version: c.Version, Calls: e.Samples,
	}
}

// recently is how far back the outcomes of a connection are counted.
const recently = 15 * time.Minute

// evidence fills in what the call log and the versions know.
func (p breakerPages) evidence(r *http.Request, c connections.Connection, view *breakersview.TabView) error {
	now := p.Now()
	totals, err := p.Calls.Totals(r.Context(), calls.RollupQuery{Connection: c.ID, From: now.Add(-recently), To: now.Add(time.Minute)})
	if err != nil {
		return err
	}
	view.Outcomes = outcomeRows(totals.Outcomes)
	if view.Breaker.Status.State != breakersview.StateOpen || view.Breaker.Manual {
		return nil
	}
	versions, err := p.Connections.Versions(r.Context(), actor(r), c.Slug)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Active {
			view.Change = &breakersview.Change{Version: v.Version, Author: v.AuthorName, At: v.CreatedAt}
		}
	}
	return nil
}

// failuresOf are the calls that failed last, as far as the breaker remembers them: those that opened it, some by
// being slow, and the last one that failed.
func failuresOf(s breaker.Snapshot) []breakersview.Failure {
	var out []breakersview.Failure
	add := func(id, outcome string, at time.Time, tripped bool) {
		if id == "" || slices.ContainsFunc(out, func(f breakersview.Failure) bool { return f.ID == id }) {
			return
		}
		label := "Too slow"
		if outcome != "" {
			label = runtime.Outcome(outcome).Label()
		}
		out = append(out, breakersview.Failure{ID: id, Outcome: label, At: at, Tripped: tripped})
	}
	if s.Last.To == breaker.StateOpen && s.WouldBe == breaker.StateOpen {
		for i := range s.Last.Samples { // the newest first
			add(s.Last.Samples[len(s.Last.Samples)-1-i], s.Last.LastOutcome, s.Last.At, true)
		}
	}
	add(s.LastFailure.RequestID, s.LastFailure.Outcome, s.LastFailure.At, false)
	slices.SortStableFunc(out, func(a, b breakersview.Failure) int { return b.At.Compare(a.At) })
	return out
}
