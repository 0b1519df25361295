package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/bulkhead"
	"switchgear/internal/runtime/cache"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/runtime/retry"
)

// PolicySet is what a connection says about the protection of its calls. It is never changed once made.
type PolicySet struct {
	ConnectionID string
	// Version orders the sets of a connection: an older one never replaces a newer one.
	Version int
	Policy  Policy
	// Operations are those of Policy, resolved.
	Operations []OperationPolicy

	repeats    *retry.Policy
	operations map[string]*retry.Policy
}

// retryOf returns how the calls of an operation are repeated; those of no operation for nil.
func (s *PolicySet) retryOf(op *OperationPolicy) *retry.Policy {
	if op != nil {
		if own, ok := s.operations[op.ID]; ok {
			return own
		}
	}
	return s.repeats
}

// compile makes what has to be made once for each set.
func (s *PolicySet) compile() error {
	var err error
	if s.repeats, err = retry.New(retryConfig(&s.Policy)); err != nil {
		return err
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Effective.Retry == s.Policy.Retry && o.Effective.Hedge == s.Policy.Hedge {
			continue
		}
		if s.operations == nil {
			s.operations = map[string]*retry.Policy{}
		}
		if s.operations[o.ID], err = retry.New(retryConfig(&o.Effective)); err != nil {
			return err
		}
	}
	return nil
}

func retryConfig(p *Policy) retry.Config {
	r := &p.Retry
	return retry.Config{
		MaxAttempts: r.MaxAttempts, Base: r.BaseDelay.Std(), Cap: max(r.MaxDelay, r.BaseDelay).Std(),
		HedgeAfter: p.Hedge.After.Std(), MaxHedges: p.Hedge.Max,
	}
}

// retryRule is the rule in the words of package retry. A rule that it does not know allows nothing.
func retryRule(r RetryRule) retry.Rule {
	switch r {
	case RetryAny:
		return retry.Any
	case RetrySafe:
		return retry.Safe
	case RetryAfterDelay:
		return retry.AfterDelay
	case RetryAfterRefresh:
		return retry.AfterRefresh
	case RetryNever:
	}
	return retry.Never
}

// Of returns the policy of an operation; the connection's own for the empty id, and for one that there is not.
func (s *PolicySet) Of(id string) (*Policy, bool) {
	if id == "" {
		return &s.Policy, true
	}
	for i := range s.Operations {
		if s.Operations[i].ID == id {
			return &s.Operations[i].Effective, true
		}
	}
	return &s.Policy, false
}

// ProtectionsDeps are what [Protections] work with. All are required.
type ProtectionsDeps struct {
	Logger *slog.Logger
	Now    func() time.Time
	// Changed takes the changes of breakers in order, on the goroutine of their worker.
	Changed func(ctx context.Context, events []breaker.Event)
}

// ProtectionsConfig tunes [Protections]. The zero value is usable.
type ProtectionsConfig struct {
	Cache cache.Config
}

// Protections hold the state of everything that guards calls: breakers, limits, bulkheads, retry budgets
// and the cache, for every connection. It is kept in this process and shared by all calls.
type Protections struct {
	breakers *breaker.Registry
	// credentials are breakers as well, one for each account that was called: a credential that is not
	// accepted is another thing than an upstream that is down.
	credentials *breaker.Registry
	limiters    *ratelimit.Registry
	cache       *cache.Cache

	mu     sync.Mutex // of changes
	guards sync.Map   // connection id → *guard
	// gone are the connections that were forgotten last, the oldest first: a call that is still under way
	// must not bring one back.
	gone []string
}

// maxGone is how many connections that were deleted are remembered. No call lasts for so many deletions.
const maxGone = 1000

// guard is the state of one connection.
type guard struct {
	set      atomic.Pointer[PolicySet]
	limiter  *ratelimit.Limiter
	bulkhead *bulkhead.Bulkhead
	budget   *retry.Budget
	accounts sync.Map // account → *accountGuard
}

// accountGuard remembers which version of a credential its breaker speaks of.
type accountGuard struct {
	version int64
	breaker *breaker.Breaker
}

// NewProtections makes protections that know no connection yet.
func NewProtections(deps ProtectionsDeps, cfg ProtectionsConfig) (*Protections, error) {
	if deps.Logger == nil || deps.Now == nil || deps.Changed == nil {
		return nil, errors.New("runtime: every dependency of the protections is required")
	}
	p := &Protections{limiters: ratelimit.NewRegistry()}
	var err error
	if p.breakers, err = breaker.NewRegistry(breaker.Deps{Config: p.breakerConfig, Record: deps.Changed}, breaker.Settings{}); err != nil {
		return nil, err
	}
	p.credentials, err = breaker.NewRegistry(breaker.Deps{
		Config: func(key breaker.Key) (breaker.Config, error) {
			connection, _, _ := strings.Cut(key.Connection, "/")
			if _, ok := p.guards.Load(connection); !ok {
				return breaker.Config{}, connectionGone()
			}
			return credentialBreaker(), nil
		},
		Record: func(ctx context.Context, events []breaker.Event) {
			for _, e := range events {
				deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a credential changed its standing", slog.String("credential", e.Key.String()),
					slog.String("from", string(e.From)), slog.String("to", string(e.To)), slog.String("cause", string(e.Cause)))
			}
		},
	}, breaker.Settings{})
	if err != nil {
		return nil, err
	}
	p.cache, err = cache.New(cache.Deps{Logger: deps.Logger, Now: deps.Now}, cfg.Cache)
	return p, err
}

// credentialBreaker opens after five 401 in a row, whatever happens in between elsewhere, and asks again
// with one call, first after half a minute and then ever more rarely. A dead credential that is hammered
// gets accounts locked.
func credentialBreaker() breaker.Config {
	return breaker.Config{
		FailureRatio: 1, MinCalls: 1_000_000, ConsecutiveFailures: 5, Window: 10 * time.Minute,
		OpenFor: 30 * time.Second, MaxOpenFor: 15 * time.Minute, HealthyAfter: time.Minute, HalfOpenCalls: 1,
	}
}

// Workers are what has to run while calls are made, each under a supervisor.
func (p *Protections) Workers() []interface {
	Serve(ctx context.Context) error
} {
	return []interface {
		Serve(ctx context.Context) error
	}{p.breakers, p.credentials, p.cache}
}

// Breakers are those of connections and operations, for whoever shows and commands them.
func (p *Protections) Breakers() *breaker.Registry { return p.breakers }

// Limiters are those of connections, for whoever shows them and keeps their state over a restart.
func (p *Protections) Limiters() *ratelimit.Registry { return p.limiters }

// Cache is what is kept of answers.
func (p *Protections) Cache() *cache.Cache { return p.cache }

// Apply makes a policy hold from the next attempt on. What was counted stays; an older version than the
// one in force changes nothing. An error names the part that cannot be applied; the others hold.
func (p *Protections) Apply(set PolicySet) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = slices.DeleteFunc(p.gone, func(id string) bool { return id == set.ConnectionID })
	g, err := p.apply(&set)
	if err != nil || g == nil {
		return err
	}
	return p.breakers.Refresh(set.ConnectionID)
}

// apply returns nil when a newer policy is in force.
func (p *Protections) apply(set *PolicySet) (*guard, error) {
	known, _ := p.guards.Load(set.ConnectionID)
	g, _ := known.(*guard)
	if g != nil && g.set.Load().Version > set.Version {
		return nil, nil //nolint:nilnil // Nothing to do is no error.
	}
	if err := set.compile(); err != nil {
		return nil, fmt.Errorf("runtime: retries of %s: %w", set.ConnectionID, err)
	}
	limiter, err := p.limiters.Configure(set.ConnectionID, set.LimiterConfig())
	if err != nil {
		return nil, fmt.Errorf("runtime: limits of %s: %w", set.ConnectionID, err)
	}
	if g == nil {
		g = &guard{limiter: limiter}
		if g.bulkhead, err = bulkhead.New(bulkheadConfig(set)); err != nil {
			return nil, fmt.Errorf("runtime: bulkhead of %s: %w", set.ConnectionID, err)
		}
		if g.budget, err = retry.NewBudget(budgetConfig(set.Policy.Retry)); err != nil {
			return nil, fmt.Errorf("runtime: retry budget of %s: %w", set.ConnectionID, err)
		}
		g.set.Store(set)
		p.guards.Store(set.ConnectionID, g)
		return g, nil
	}
	g.set.Store(set)
	return g, errors.Join(g.bulkhead.Configure(bulkheadConfig(set)), g.budget.Configure(budgetConfig(set.Policy.Retry)))
}

// Forget drops everything about a connection that was deleted. A call that is under way with it ends with
// what it has; it makes nothing anew.
func (p *Protections) Forget(connectionID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.gone) == maxGone {
		p.gone = slices.Delete(p.gone, 0, 1)
	}
	p.gone = append(p.gone, connectionID)
	p.guards.Delete(connectionID) // First: the registries of breakers ask for it before they make one.
	p.breakers.Remove(connectionID)
	p.credentials.RemovePrefix(credentialKey(connectionID, "").Connection)
	p.limiters.Remove(connectionID)
	p.cache.Purge(connectionID)
}

func connectionGone() error {
	return fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection any more.")
}

// guard returns the state of the connection of a target, with the target's policy in force or a newer one.
func (p *Protections) guard(t *Target) (*guard, error) {
	if known, ok := p.guards.Load(t.ConnectionID); ok {
		if g, _ := known.(*guard); g.set.Load().Version >= t.Version {
			return g, nil
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.gone, t.ConnectionID) {
		return nil, connectionGone()
	}
	set := &PolicySet{ConnectionID: t.ConnectionID, Version: t.Version, Policy: t.Policy, Operations: t.Operations}
	g, err := p.apply(set)
	if err != nil {
		return nil, err
	}
	if g == nil { // somebody else was faster, with a newer one
		known, _ := p.guards.Load(t.ConnectionID)
		g, _ = known.(*guard)
		return g, nil
	}
	return g, p.breakers.Refresh(t.ConnectionID)
}

// breakerConfig is asked by the registry of breakers, from memory.
func (p *Protections) breakerConfig(key breaker.Key) (breaker.Config, error) {
	known, ok := p.guards.Load(key.Connection)
	if !ok {
		return breaker.Config{}, connectionGone()
	}
	g, _ := known.(*guard)
	policy, ok := g.set.Load().Of(key.Operation)
	if !ok {
		return breaker.Config{}, fault.Newf(fault.NotFound, "the connection has no operation %s", key.Operation)
	}
	return policy.BreakerConfig(), nil
}

// BreakerConfig is what the policy says to a breaker.
func (p *Policy) BreakerConfig() breaker.Config {
	b := p.Breaker
	cfg := breaker.Config{
		FailureRatio: b.FailureRatio, MinCalls: b.MinCalls, Window: b.Window.Std(), ConsecutiveFailures: b.ConsecutiveFailures,
		OpenFor: b.OpenFor.Std(), MaxOpenFor: max(b.MaxOpenFor, b.OpenFor).Std(), HalfOpenCalls: b.HalfOpenCalls, RampFor: b.Ramp.Std(),
		HalfOpenTimeout: max(p.Timeout.Std()+time.Second, time.Minute),
	}
	if b.SlowCall > 0 {
		cfg.SlowRatio = b.SlowRatio
	}
	if !b.Enabled { // It is there for its commands; see Policy.Judge.
		cfg.FailureRatio, cfg.MinCalls, cfg.ConsecutiveFailures, cfg.SlowRatio = 1, 1_000_000, 0, 0
	}
	return cfg
}

// LimiterConfig is what the set says to the limiter of its connection.
func (s *PolicySet) LimiterConfig() ratelimit.Config {
	p := &s.Policy
	cfg := ratelimit.Config{
		Limits: scoped(p.RateLimits, ScopeConnection), Credential: scoped(p.RateLimits, ScopeCredential),
		Dialect: p.RateLimitDialect, Reserve: p.RateLimitReserve, MaxHold: p.RateLimitMaxHold.Std(), HoldCredential: p.RateLimitHold == ScopeCredential,
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.limitGroup == "" {
			continue
		}
		if cfg.Groups == nil {
			cfg.Groups, cfg.GroupCredential = map[string][]ratelimit.Limit{}, map[string][]ratelimit.Limit{}
		}
		cfg.Groups[o.limitGroup] = scoped(o.Effective.RateLimits, ScopeOperation)
		if o.OwnRateLimits { // Otherwise they are the connection's, which count whatever the operation is.
			cfg.GroupCredential[o.limitGroup] = scoped(o.Effective.RateLimits, ScopeCredential)
		}
	}
	return cfg
}

func bulkheadConfig(set *PolicySet) bulkhead.Config {
	cfg := bulkhead.Config{MaxInFlight: set.Policy.Bulkhead.MaxInFlight}
	for i := range set.Operations {
		if o := &set.Operations[i]; o.OwnBulkhead {
			if cfg.Groups == nil {
				cfg.Groups = map[string]int{}
			}
			cfg.Groups[o.ID] = o.Effective.Bulkhead.MaxInFlight
		}
	}
	return cfg
}

// scoped are the limits of one scope. What names none is the connection's: those of an operation name theirs.
func scoped(list []RateLimit, scope LimitScope) []ratelimit.Limit {
	var out []ratelimit.Limit
	for _, l := range list {
		if l.Scope.or(ScopeConnection) == scope {
			out = append(out, ratelimit.Limit{Requests: l.Requests, Per: l.Per.Std()})
		}
	}
	return out
}

func budgetConfig(r Retry) retry.BudgetConfig { return retry.BudgetConfig{Ratio: r.BudgetRatio} }

// openFor is how long the breakers of an operation keep calls back from now on, 0 when they let some through.
func (p *Protections) openFor(connectionID string, op *OperationPolicy, now time.Time) time.Duration {
	longest := time.Duration(0)
	key := breaker.Key{Connection: connectionID}
	for range 2 {
		if s, ok := p.breakers.Snapshot(key); ok && s.Mode != breaker.ModeForcedClosed && s.Mode != breaker.ModeObserve {
			until := s.Until
			if s.Mode == breaker.ModeForcedOpen {
				until = s.Lease.Until
			}
			longest = max(longest, until.Sub(now))
		}
		if op == nil {
			break
		}
		key.Operation = op.ID
	}
	return longest
}

// closed reports whether the breakers of an operation are closed and nobody overrides them, not only that they
// let calls through.
func (p *Protections) closed(connectionID string, op *OperationPolicy) bool {
	key := breaker.Key{Connection: connectionID}
	for range 2 {
		if s, ok := p.breakers.Snapshot(key); ok && s.State != breaker.StateClosed {
			return false
		}
		if op == nil {
			break
		}
		key.Operation = op.ID
	}
	return true
}

// credentialKey names the breaker of an account. It is no operation of the connection: its state must not
// depend on that of the upstream.
func credentialKey(connectionID, account string) breaker.Key {
	return breaker.Key{Connection: connectionID + "/" + account}
}

// CredentialRejected reports whether calls of an account are held back because the upstream does not accept
// its credential, and until when the next one waits.
func (p *Protections) CredentialRejected(connectionID, account string) (until time.Time, rejected bool) {
	s, ok := p.credentials.Snapshot(credentialKey(connectionID, account))
	if !ok || s.State != breaker.StateOpen {
		return time.Time{}, false
	}
	return s.Until, true
}

// RejectedCredential is an account whose calls are held back because the upstream does not accept its credential.
type RejectedCredential struct {
	Account      string
	Since, Until time.Time
}

// RejectedCredentials lists one such account for each connection that has any, by connection id.
func (p *Protections) RejectedCredentials() map[string]RejectedCredential {
	out := map[string]RejectedCredential{}
	p.credentials.EachNotClosed(func(s *breaker.Snapshot) {
		if s.State != breaker.StateOpen {
			return
		}
		connectionID, account, _ := strings.Cut(s.Key.Connection, "/")
		if before, ok := out[connectionID]; !ok || account < before.Account {
			out[connectionID] = RejectedCredential{Account: account, Since: s.Since, Until: s.Until}
		}
	})
	return out
}
