package cache

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"switchgear/internal/fault"
)

// Mode says who decides how long an answer is fresh.
type Mode string

// The modes. The zero value is off.
const (
	ModeOff Mode = ""
	// ModeRespect leaves it to the upstream: Cache-Control and Expires. The TTL of the policy is for answers
	// without either.
	ModeRespect Mode = "respect"
	// ModeOverride makes an answer fresh for the TTL of the policy, whatever lifetime the upstream gives.
	// What the upstream forbids (no-store, no-cache, must-revalidate once stale) stays forbidden.
	ModeOverride Mode = "override"
	// ModeFallback never answers from the cache while the upstream answers.
	ModeFallback Mode = "fallback"
)

const (
	defaultMaxStale = 24 * time.Hour
	maxHeuristic    = 24 * time.Hour
	defaultWait     = 5 * time.Second
)

// Policy says what the cache does for a connection or one of its operations. The zero value switches it off.
type Policy struct {
	Mode Mode
	// TTL is how long an answer is fresh after it came: every one in ModeOverride, one that does not say so
	// itself in ModeRespect.
	TTL time.Duration
	// StaleIfError is how long after that an answer may stand in when the upstream fails. A longer time that
	// the upstream or the caller gives (RFC 5861) counts, up to MaxStale.
	StaleIfError time.Duration
	// StaleWhileRevalidate is how long after that an answer is given at once, while a new one is fetched in
	// the background. A longer time that the upstream gives counts, up to MaxStale.
	StaleWhileRevalidate time.Duration
	// MaxStale bounds how stale an answer may be, whoever allows it. 0 = 24h, or what the two above say if
	// that is longer.
	MaxStale time.Duration
	// MaxEntry bounds the body of an answer that is kept, in bytes. 0 = the limit of the cache.
	MaxEntry int64
	// Wait bounds how long a call waits for another one that fetches the same. 0 = 5s; negative = it does not wait.
	Wait time.Duration
	// Heuristic makes answers without a lifetime, when there is no TTL, fresh for a tenth of the time since their last
	// modification, at most a day (RFC 9111, 4.2.2).
	Heuristic bool
	// IgnoreHeaders are request headers that do not select an answer, in canonical form, in addition to
	// those that are known not to, such as User-Agent and Traceparent.
	IgnoreHeaders []string
}

// On reports whether the policy asks for anything.
func (p *Policy) On() bool { return p.Mode != ModeOff }

// Validate reports the first field that is wrong, as fault.Invalid.
func (p *Policy) Validate() error {
	wrong := func(field, message string) error {
		return fault.Field("INVALID_POLICY", "policy.cache."+field, message)
	}
	switch p.Mode {
	case ModeOff, ModeRespect, ModeFallback:
	case ModeOverride:
		if p.TTL <= 0 {
			return wrong("ttl", "It must be above 0 when it overrides the upstream.")
		}
	default:
		return wrong("mode", fmt.Sprintf("It must be %s, %s or %s.", ModeRespect, ModeOverride, ModeFallback))
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"ttl", p.TTL}, {"stale_if_error", p.StaleIfError}, {"stale_while_revalidate", p.StaleWhileRevalidate}, {"max_stale", p.MaxStale}} {
		if f.value < 0 {
			return wrong(f.name, "It must not be negative.")
		}
	}
	if p.MaxEntry < 0 {
		return wrong("max_entry", "It must not be negative.")
	}
	for _, name := range p.IgnoreHeaders {
		if name == "" || http.CanonicalHeaderKey(name) != name {
			return wrong("ignore_headers", "Each must be the name of a header in canonical form, such as X-Trace.")
		}
	}
	return nil
}

func (p *Policy) maxStale() time.Duration {
	if p.MaxStale > 0 {
		return p.MaxStale
	}
	return max(defaultMaxStale, p.StaleIfError, p.StaleWhileRevalidate)
}

func (p *Policy) wait() time.Duration {
	if p.Wait == 0 {
		return defaultWait
	}
	return max(0, p.Wait)
}

func (p *Policy) ignores(name string) bool { return slices.Contains(p.IgnoreHeaders, name) }
