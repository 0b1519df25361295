package retry

import (
	"fmt"
	"strconv"
	"time"

	"switchgear/internal/fault"
)

// Config says how often and how fast attempts are made again. The zero value repeats without a wait.
type Config struct {
	// MaxAttempts counts the first. 0 = 3.
	MaxAttempts int
	// Base is the longest first wait, Cap the longest of all. 0 is no wait.
	Base, Cap time.Duration
	// MaxDelay is the longest delay asked for by an upstream that is waited for. 0 = 60 s.
	MaxDelay time.Duration
	// HedgeAfter lets another request race one that is not answered by then; 0 switches that off. MaxHedges
	// bounds them in one call. 0 = 1.
	HedgeAfter time.Duration
	MaxHedges  int
	// Random returns numbers in [0, 1). nil = math/rand.
	Random func() float64
}

const (
	codeInvalidPolicy = "INVALID_POLICY"

	maxAttempts = 10
	maxWait     = time.Hour
)

// Validate reports the first field that is wrong as fault.Invalid. path is where the policy stands in the
// request: "policy" makes "policy.retry.max_attempts".
func (c Config) Validate(path string) error {
	path += ".retry"
	if c.MaxAttempts < 0 || c.MaxAttempts > maxAttempts {
		return invalid(path+".max_attempts", strconv.Itoa(c.MaxAttempts), fmt.Sprintf("It must be between 1 and %d.", maxAttempts))
	}
	if c.MaxHedges < 0 || c.MaxHedges > maxAttempts {
		return invalid(path+".max_hedges", strconv.Itoa(c.MaxHedges), fmt.Sprintf("It must be between 1 and %d.", maxAttempts))
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{".base", c.Base}, {".cap", c.Cap}, {".max_delay", c.MaxDelay}, {".hedge_after", c.HedgeAfter}} {
		if d.value < 0 || d.value > maxWait {
			return invalid(path+d.field, d.value.String(), "It must be between 0s and 1h.")
		}
	}
	if c.Cap < c.Base {
		return invalid(path+".cap", c.Cap.String(), "The cap cannot be below the base.")
	}
	return nil
}

func invalid(field, value, message string) error {
	return fault.Field(codeInvalidPolicy, field, message).WithValue(value)
}

func (c Config) filled() Config {
	if c.MaxAttempts == 0 {
		c.MaxAttempts = 3
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = time.Minute
	}
	if c.MaxHedges == 0 {
		c.MaxHedges = 1
	}
	if c.Random == nil {
		c.Random = jitter
	}
	return c
}

// Policy decides by a configuration. It is immutable and safe for concurrent use.
type Policy struct{ cfg Config }

// New makes a policy. The configuration must be valid.
func New(cfg Config) (*Policy, error) {
	if err := cfg.Validate("policy"); err != nil {
		return nil, err
	}
	return &Policy{cfg.filled()}, nil
}
