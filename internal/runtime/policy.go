package runtime

import "time"

// Policy says how calls through a connection are protected. Its JSON form is the policy of a connection
// in the API. The zero value is not valid; start from [DefaultPolicy].
//
// Zero is a value like any other: nothing, or off, as its field says, and an error where that makes no sense. What
// was not set is not zero but absent; it has the value of the layer below (see [MergePolicy]).
type Policy struct {
	// Timeout bounds a whole call, the body of the response included.
	Timeout Duration `json:"timeout"`
	// AttemptTimeout bounds one attempt: to connect, and from the last byte of the request to the headers
	// of the response. Sending a long body does not count. 0 leaves it to Timeout.
	AttemptTimeout Duration    `json:"attempt_timeout"`
	Retry          Retry       `json:"retry"`
	Hedge          Hedge       `json:"hedge"`
	RateLimits     []RateLimit `json:"rate_limits"`
	// RateLimitWait is how long a call may wait for its turn before it is refused.
	RateLimitWait Duration `json:"rate_limit_wait"`
	// RateLimitDialect names how the upstream tells its limits. Empty: as the provider has it, else every
	// common way is tried. This and the next three are of the connection; operations have none of their own.
	RateLimitDialect string `json:"rate_limit_dialect"`
	// RateLimitReserve is how many requests of a quota that the upstream tells are left to others who use it.
	RateLimitReserve int `json:"rate_limit_reserve"`
	// RateLimitHold says what a refusal of the upstream holds: the connection, or only the credential that
	// was refused.
	RateLimitHold LimitScope `json:"rate_limit_hold"`
	// RateLimitMaxHold is the longest that the upstream can hold it; after it one request tries again.
	RateLimitMaxHold Duration `json:"rate_limit_max_hold"`
	Breaker          Breaker  `json:"breaker"`
	Bulkhead         Bulkhead `json:"bulkhead"`
	Cache            Cache    `json:"cache"`
	Fallback         Fallback `json:"fallback"`
	// HealthCheck belongs to the connection; operations have none of their own.
	HealthCheck HealthCheck `json:"health_check,omitzero"`
	// Outcomes say what answers of this upstream mean where the table of [Rules] does not fit it.
	Outcomes []OutcomeRule `json:"outcomes,omitempty"`
	// Operations are the parts of the API that need a policy of their own. The first that matches counts.
	Operations []Operation `json:"operations,omitempty"`
}

// Retry bounds the attempts of one call, the first included.
type Retry struct {
	MaxAttempts int `json:"max_attempts"`
	// BaseDelay is the longest wait before the second attempt; it doubles with each further one, up to
	// MaxDelay where that is longer. The wait itself is random between zero and that. 0 does not wait.
	BaseDelay Duration `json:"base_delay"`
	MaxDelay  Duration `json:"max_delay"`
	// BudgetRatio bounds the retries that are under way to a part of the calls that are; three are always allowed,
	// with 0 no more than these.
	BudgetRatio float64 `json:"budget_ratio"`
	// IdempotencyKey is the header that the upstream honours as an idempotency key. Empty: it honours none,
	// and methods that are not idempotent are not repeated once something was sent.
	IdempotencyKey string `json:"idempotency_key"`
}

// Hedge lets another request race one that is slow to answer; the first good answer is passed on. It is for
// reads, and for operations that are declared idempotent, without a body.
type Hedge struct {
	// After is how long a request may go unanswered before another one is sent beside it. 0 switches it off.
	After Duration `json:"after"`
	// Max is how many more requests one call may send so. They count in the budget of the retries.
	Max int `json:"max"`
}

// RateLimit allows a number of requests in a window. Several limits hold at once.
type RateLimit struct {
	Requests int      `json:"requests"`
	Per      Duration `json:"per"`
	// Scope says which requests count together. Empty is the widest that there is where it stands: the
	// connection in its own policy, the operation in that of an operation.
	Scope LimitScope `json:"scope,omitempty"`
}

// LimitScope says which requests count together.
type LimitScope string

// The scopes. In the policy of a connection, ScopeOperation is each operation by itself, and calls of no
// operation are not counted. In the policy of an operation, ScopeCredential is each credential within it;
// the connection's own limits hold beside those.
const (
	ScopeConnection LimitScope = "connection"
	ScopeOperation  LimitScope = "operation"
	ScopeCredential LimitScope = "credential"
)

// or is the scope, or usual where none is written.
func (s LimitScope) or(usual LimitScope) LimitScope {
	if s == "" {
		return usual
	}
	return s
}

// Breaker says when calls stop for a while because too many of them fail.
type Breaker struct {
	Enabled      bool    `json:"enabled"`
	FailureRatio float64 `json:"failure_ratio"`
	// ConsecutiveFailures opens it as well, without regard to the ratio and to MinCalls. 0 switches it off.
	ConsecutiveFailures int      `json:"consecutive_failures"`
	MinCalls            int      `json:"min_calls"`
	Window              Duration `json:"window"`
	// OpenFor is how long it stays open the first time. The time doubles when it opens again right after
	// a recovery, up to MaxOpenFor where that is longer.
	OpenFor       Duration `json:"open_for"`
	MaxOpenFor    Duration `json:"max_open_for"`
	HalfOpenCalls int      `json:"half_open_calls"`
	// SlowCall is from when on a call that succeeds counts as slow, 0 never; SlowRatio of slow calls opens it.
	SlowCall  Duration `json:"slow_call"`
	SlowRatio float64  `json:"slow_ratio"`
	// Ramp is how long it takes after a recovery until all calls are let through again.
	Ramp Duration `json:"ramp"`
}

// Bulkhead bounds the calls that are under way at once.
type Bulkhead struct {
	MaxInFlight int `json:"max_in_flight"`
	// MaxWait is how long a call may wait for a place before it is refused.
	MaxWait Duration `json:"max_wait"`
}

// Cache keeps answers of reads. 0 switches each part off.
type Cache struct {
	// TTL is how long an answer is fresh that does not say so itself.
	TTL Duration `json:"ttl"`
	// StaleIfError is how long past that an answer may stand in for an upstream that fails.
	StaleIfError Duration `json:"stale_if_error"`
	// StaleWhileRevalidate is how long past that an answer is given at once while a new one is fetched.
	StaleWhileRevalidate Duration `json:"stale_while_revalidate"`
}

// Fallback is what a read is answered with when its upstream fails, or is not asked because a breaker, a hold or
// the bulkhead keeps it back, and the cache has nothing. The static answer comes first.
type Fallback struct {
	Static StaticAnswer `json:"static"`
	// Connection is the slug of another connection, which is asked with the same request.
	Connection string `json:"connection"`
}

// StaticAnswer is an answer that is configured.
type StaticAnswer struct {
	Status      int    `json:"status"` // 0: there is none
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
}

// HealthCheck is a request of ours that shows whether an upstream answers while nobody calls it.
type HealthCheck struct {
	// Enabled sends it, where there is a path.
	Enabled bool     `json:"enabled"`
	Every   Duration `json:"every"`
	Method  string   `json:"method"` // GET or HEAD
	// Path is below the base URL and may have a query. Empty: that of the provider, or there is no check.
	Path string `json:"path"`
	// Timeout is how long it may take; that of calls bounds it too.
	Timeout Duration `json:"timeout"`
	// ExpectedStatus is the one status that counts as good. 0: a 2xx, or what Outcomes count as a success.
	ExpectedStatus int `json:"expected_status"`
}

// Active reports whether requests are sent.
func (h HealthCheck) Active() bool { return h.Enabled && h.Path != "" }

// OutcomeRule gives answers of one upstream another meaning than the table has for them.
type OutcomeRule struct {
	Status int `json:"status"`
	// BodyContains narrows it to answers whose beginning contains this text. Empty: every one.
	BodyContains string  `json:"body_contains,omitempty"`
	Outcome      Outcome `json:"outcome"`
}

// DefaultPolicy is what a connection has when neither it nor its provider says otherwise.
func DefaultPolicy() Policy {
	return Policy{
		Timeout: Duration(30 * time.Second),
		Retry: Retry{
			MaxAttempts: 3, BaseDelay: Duration(200 * time.Millisecond), MaxDelay: Duration(10 * time.Second), BudgetRatio: 0.2,
		},
		Hedge:         Hedge{Max: 1},
		RateLimits:    []RateLimit{},
		RateLimitWait: Duration(2 * time.Second), RateLimitHold: ScopeConnection, RateLimitMaxHold: Duration(time.Hour),
		Breaker: Breaker{
			Enabled: true, FailureRatio: 0.5, MinCalls: 20, Window: Duration(time.Minute),
			OpenFor: Duration(30 * time.Second), MaxOpenFor: Duration(5 * time.Minute), HalfOpenCalls: 3,
			SlowRatio: 1, Ramp: Duration(10 * time.Second),
		},
		Bulkhead:    Bulkhead{MaxInFlight: 100},
		HealthCheck: HealthCheck{Enabled: true, Every: Duration(5 * time.Minute), Method: "GET", Timeout: Duration(10 * time.Second)},
	}
}
