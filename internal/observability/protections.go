package observability

import (
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/ratelimit"
)

// ProtectionsDeps are what a [Protections] reads; all are required.
type ProtectionsDeps struct {
	Protections *runtime.Protections
	Transitions *Transitions
	// Slugs maps the ids of the connections that exist to their slugs.
	Slugs func() map[string]string
}

// Protections collects the state of breakers, limits, bulkheads, retry budgets, credentials and the cache
// from their snapshots, when it is asked.
type Protections struct {
	deps ProtectionsDeps

	breakerState, breakerWouldBe, breakerInfo, breakerFailures, breakerTransitions, breakerDropped *prometheus.Desc

	limitTokens, limitRequests, limitConfigured, limitEffective, limitQuota, limitQuotaRatio *prometheus.Desc
	limitHold, limitWaiting, limitRejected, limitThrottled                                   *prometheus.Desc

	bulkheadInFlight, bulkheadLimit, bulkheadWaiting, bulkheadRejected *prometheus.Desc
	budgetUsed, budgetRefused, credentials                             *prometheus.Desc
	cacheRequests, cacheEntries, cacheBytes, cacheMaxBytes             *prometheus.Desc
}

// NewProtections makes a collector.
func NewProtections(deps ProtectionsDeps) *Protections {
	one := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("switchgear_"+name, help, labels, nil)
	}
	const integration, operation, scope, window = "integration", "operation", "scope", "window"
	return &Protections{
		deps: deps,
		breakerState: one("breaker_state", "What calls meet: 0 closed, 1 half-open, 2 open, 3 held, 4 forced open, 5 forced closed, 6 observe. "+
			"From 2 to 4 no call passes. An empty operation is the breaker of the whole connection.", integration, operation),
		breakerWouldBe: one("breaker_would_be_state", "The automatic state, which an override hides: 0 closed, 1 half-open, 2 open, 3 held.", integration, operation),
		breakerInfo:    one("breaker_info", "Always 1; the labels say in words what the states are.", integration, operation, "state", "mode", "would_be"),
		breakerFailures: one("breaker_failure_ratio", "Failed part of the calls that the breaker judged in its window, from 0 to 1.",
			integration, operation),
		breakerTransitions: one("breaker_transitions_total", "Changes of state, by the state that came of it.", integration, operation, "to"),
		breakerDropped:     one("breaker_events_dropped_total", "Changes of breakers that were not recorded because they came too fast."),

		limitTokens: one("rate_limit_tokens", "Requests that may still go out in a window; the scarcest account where the limit is one of accounts.",
			integration, scope, window),
		limitRequests:   one("rate_limit_requests", "Requests that a window allows.", integration, scope, window),
		limitConfigured: one("rate_limit_configured_rate", "Configured rate in requests a second.", integration, scope),
		limitEffective: one("rate_limit_effective_rate", "Rate in requests a second that is kept to now, learned limits and pauses included.",
			integration, scope),
		limitQuota: one("rate_limit_quota_left", "What is left of the quota that the upstream tells, in its own unit; the scarcest where there are several.",
			integration),
		limitQuotaRatio: one("rate_limit_quota_left_ratio", "The same as a part of the whole, from 0 to 1.", integration),
		limitHold:       one("rate_limit_hold_seconds", "How long the upstream still wants to be left alone; 0 without a pause.", integration),
		limitWaiting:    one("rate_limit_waiting", "Requests in the queue of the limits.", integration),
		limitRejected:   one("rate_limit_rejected_total", "Requests that were not let out in time.", integration),
		limitThrottled:  one("rate_limit_throttled_total", "Answers by which the upstream refused a request because of a limit.", integration),

		bulkheadInFlight: one("bulkhead_in_flight", "Attempts under way. An empty operation is the whole connection.", integration, operation),
		bulkheadLimit:    one("bulkhead_limit", "Attempts that may be under way; 0 is no limit.", integration, operation),
		bulkheadWaiting:  one("bulkhead_waiting", "Attempts that wait for a place.", integration),
		bulkheadRejected: one("bulkhead_rejected_total", "Attempts that found no place; the whole connection includes its operations.", integration, operation),

		budgetUsed:    one("retry_budget_used_ratio", "Used part of the retry budget, from 0 to 1: from 1 on nothing is repeated.", integration),
		budgetRefused: one("retry_budget_refused_total", "Repetitions that the budget refused.", integration),
		credentials: one("credentials", "Accounts that were called since the start, by standing of their credential: accepted, rejected "+
			"(the upstream refused it repeatedly and is not asked for a while), probing.", integration, "standing"),

		cacheRequests: one("cache_requests_total", "Calls of connections with a cache, by what it did: hit, stale, revalidated, miss, bypass.", integration, "result"),
		cacheEntries:  one("cache_entries", "Answers that are kept.", integration),
		cacheBytes:    one("cache_bytes", "What they weigh.", integration),
		cacheMaxBytes: one("cache_max_bytes", "What all kept answers may weigh together."),
	}
}

// Describe implements [prometheus.Collector].
func (p *Protections) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		p.breakerState, p.breakerWouldBe, p.breakerInfo, p.breakerFailures, p.breakerTransitions, p.breakerDropped,
		p.limitTokens, p.limitRequests, p.limitConfigured, p.limitEffective, p.limitQuota, p.limitQuotaRatio, p.limitHold,
		p.limitWaiting, p.limitRejected, p.limitThrottled, p.bulkheadInFlight, p.bulkheadLimit, p.bulkheadWaiting, p.bulkheadRejected,
		p.budgetUsed, p.budgetRefused, p.credentials, p.cacheRequests, p.cacheEntries, p.cacheBytes, p.cacheMaxBytes,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (p *Protections) Collect(ch chan<- prometheus.Metric) {
	out := output(ch)
	slugs := p.deps.Slugs()
	for _, s := range p.deps.Protections.Breakers().Snapshots() {
		if slug, ok := slugs[s.Key.Connection]; ok {
			p.breaker(out, slug, s)
		}
	}
	p.deps.Transitions.collect(ch, p.breakerTransitions, slugs)
	out.counter(p.breakerDropped, float64(p.deps.Protections.Breakers().Dropped()))
	for _, g := range p.deps.Protections.Guards() {
		if slug, ok := slugs[g.ConnectionID]; ok {
			p.guard(out, slug, g)
		}
	}
	kept := p.deps.Protections.Cache().Snapshot()
	out.gauge(p.cacheMaxBytes, float64(kept.Total.MaxBytes))
	for _, s := range kept.Connections {
		if slug, ok := slugs[s.Connection]; ok {
			p.cache(out, slug, s)
		}
	}
}

func (p *Protections) breaker(out output, slug string, s breaker.Snapshot) {
	operation := s.Key.Operation
	out.gauge(p.breakerState, stateNumber(s.State), slug, operation)
	out.gauge(p.breakerWouldBe, stateNumber(s.WouldBe), slug, operation)
	out.gauge(p.breakerInfo, 1, slug, operation, string(s.State), string(s.Mode), string(s.WouldBe))
	out.gauge(p.breakerFailures, s.Counts.FailureRatio(), slug, operation)
}

// stateNumber is the value of a state in metrics. The numbers are a promise to whoever draws them.
func stateNumber(s breaker.State) float64 {
	switch s {
	case breaker.StateClosed:
		return 0
	case breaker.StateHalfOpen:
		return 1
	case breaker.StateOpen:
		return 2
	case breaker.StateHeld:
		return 3
	case breaker.StateForcedOpen:
		return 4
	case breaker.StateForcedClosed:
		return 5
	case breaker.StateObserve:
		return 6
	}
	return math.NaN()
}

func (p *Protections) guard(out output, slug string, g runtime.GuardSnapshot) {
	p.limits(out, slug, g.Limits)

	b := g.Bulkhead
	out.gauge(p.bulkheadWaiting, float64(b.Waiting), slug)
	out.gauge(p.bulkheadInFlight, float64(b.InFlight), slug, "")
	out.gauge(p.bulkheadLimit, float64(b.Limit), slug, "")
	out.counter(p.bulkheadRejected, float64(b.Rejected), slug, "")
	for operation, c := range b.Groups {
		out.gauge(p.bulkheadInFlight, float64(c.InFlight), slug, operation)
		out.gauge(p.bulkheadLimit, float64(c.Limit), slug, operation)
		out.counter(p.bulkheadRejected, float64(c.Rejected), slug, operation)
	}

	used := max(part(g.Budget.Repeating, g.Budget.MostRepeating), part(g.Budget.Repeats, g.Budget.MostRepeats))
	out.gauge(p.budgetUsed, used, slug)
	out.counter(p.budgetRefused, float64(g.Budget.Refused), slug)

	var accepted, rejected, probing float64
	for _, c := range g.Credentials {
		switch stateNumber(c.State) {
		case 0:
			accepted++
		case 1:
			probing++
		default:
			rejected++
		}
	}
	out.gauge(p.credentials, accepted, slug, "accepted")
	out.gauge(p.credentials, rejected, slug, "rejected")
	out.gauge(p.credentials, probing, slug, "probing")
}

func part(of, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(of) / float64(whole)
}

// scarce is the least that is left of a limit, among all accounts where it is one of accounts.
type scarce struct {
	scope, window string
	left, of      int
}

// rate is the slowest that is kept to in a scope.
type rate struct{ configured, effective float64 }

// limits reports a limiter. Accounts are not told apart: there may be one for each customer.
func (p *Protections) limits(out output, slug string, s ratelimit.Snapshot) {
	out.gauge(p.limitWaiting, float64(s.Waiting), slug)
	out.counter(p.limitRejected, float64(s.Stats.Rejected), slug)
	out.counter(p.limitThrottled, float64(s.Stats.Throttled), slug)

	windows, rates := map[string]scarce{}, map[string]rate{}
	hold := time.Duration(0)
	var quota *ratelimit.QuotaSnapshot
	for i := range s.Scopes {
		scope := &s.Scopes[i]
		name := scopeName(scope.Key)
		for _, w := range scope.Windows {
			key := name + " " + w.String()
			if known, ok := windows[key]; !ok || w.Left < known.left {
				windows[key] = scarce{scope: name, window: w.String(), left: w.Left, of: w.Requests}
			}
		}
		now := rate{effective: scope.Effective}
		if scope.Configured.Per > 0 {
			now.configured = float64(scope.Configured.Requests) / scope.Configured.Per.Seconds()
		}
		if known, ok := rates[name]; !ok || now.effective < known.effective {
			rates[name] = now
		}
		if !scope.Hold.Until.IsZero() {
			hold = max(hold, scope.Hold.Until.Sub(s.At))
		}
		for j := range scope.Quotas {
			q := &scope.Quotas[j]
			if q.Limit > 0 && (quota == nil || float64(q.Left)/float64(q.Limit) < float64(quota.Left)/float64(quota.Limit)) {
				quota = q
			}
		}
	}
	for _, w := range windows {
		out.gauge(p.limitTokens, float64(w.left), slug, w.scope, w.window)
		out.gauge(p.limitRequests, float64(w.of), slug, w.scope, w.window)
	}
	for name, r := range rates {
		if r.configured > 0 {
			out.gauge(p.limitConfigured, r.configured, slug, name)
		}
		if !math.IsInf(r.effective, 1) {
			out.gauge(p.limitEffective, r.effective, slug, name)
		}
	}
	out.gauge(p.limitHold, hold.Seconds(), slug)
	if quota != nil {
		out.gauge(p.limitQuota, float64(quota.Left), slug)
		out.gauge(p.limitQuotaRatio, min(1, float64(quota.Left)/float64(quota.Limit)), slug)
	}
}

// scopeName says whose limit it is: connection, account, an operation or group, or both of the latter.
func scopeName(key ratelimit.Key) string {
	var parts []string
	if key.Group != "" {
		parts = append(parts, key.Group)
	}
	if key.Credential != "" {
		parts = append(parts, "account")
	}
	if len(parts) == 0 {
		return "connection"
	}
	return strings.Join(parts, " ")
}

func (p *Protections) cache(out output, slug string, s cache.Stats) {
	out.gauge(p.cacheEntries, float64(s.Entries), slug)
	out.gauge(p.cacheBytes, float64(s.Bytes), slug)
	for _, c := range []struct {
		state cache.State
		n     int64
	}{
		{cache.StateHit, s.Hits},
		{cache.StateStale, s.Stale},
		{cache.StateRevalidated, s.Revalidated},
		{cache.StateMiss, s.Misses},
		{cache.StateBypass, s.Bypassed},
	} {
		out.counter(p.cacheRequests, float64(c.n), slug, string(c.state))
	}
}

// output takes the figures of one collection.
type output chan<- prometheus.Metric

func (o output) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	o <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (o output) counter(desc *prometheus.Desc, value float64, labels ...string) {
	o <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
}
