package breaker

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	want := Config{
		FailureRatio: 0.5, MinCalls: 20, Window: time.Minute, OpenFor: 30 * time.Second, MaxOpenFor: 8 * time.Minute,
		HealthyAfter: time.Minute, HalfOpenCalls: 3, HalfOpenTimeout: time.Minute,
	}
	if diff := cmp.Diff(want, Config{}.withDefaults()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := (Config{}).Validate("x"); err != nil {
		t.Error(err)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change         func(*Config)
		field, message string // empty: valid
	}{
		"small":               {func(*Config) {}, "", ""},
		"ratio one":           {func(c *Config) { c.FailureRatio = 1 }, "", ""},
		"ratio above":         {func(c *Config) { c.FailureRatio = 1.01 }, "failure_ratio", "The ratio must be above 0 and at most 1."},
		"ratio below":         {func(c *Config) { c.FailureRatio = -0.1 }, "failure_ratio", "The ratio must be above 0 and at most 1."},
		"ratio no number":     {func(c *Config) { c.FailureRatio = math.NaN() }, "failure_ratio", "The ratio must be above 0 and at most 1."},
		"minimum below":       {func(c *Config) { c.MinCalls = -1 }, "min_calls", "It must be between 1 and 1000000."},
		"window short":        {func(c *Config) { c.Window = 99 * time.Millisecond }, "window", "It must be between 100ms and 1h0m0s."},
		"window long":         {func(c *Config) { c.Window = time.Hour + 1 }, "window", "It must be between 100ms and 1h0m0s."},
		"consecutive":         {func(c *Config) { c.ConsecutiveFailures = -1 }, "consecutive_failures", "It must be between 0 and 1000000."},
		"slow ratio":          {func(c *Config) { c.SlowRatio = 2 }, "slow_ratio", "The ratio must be above 0 and at most 1."},
		"open for":            {func(c *Config) { c.OpenFor = time.Millisecond }, "open_for", "It must be between 100ms and 1h0m0s."},
		"most below the base": {func(c *Config) { c.MaxOpenFor = time.Second }, "max_open_for", "It must be between 10s and 24h0m0s."},
		"healthy after":       {func(c *Config) { c.HealthyAfter = -1 }, "healthy_after", "It must be between 100ms and 24h0m0s."},
		"probes":              {func(c *Config) { c.HalfOpenCalls = 1001 }, "half_open_calls", "It must be between 1 and 1000."},
		"watchdog":            {func(c *Config) { c.HalfOpenTimeout = 2 * time.Hour }, "half_open_timeout", "It must be between 100ms and 1h0m0s."},
		"ramp":                {func(c *Config) { c.RampFor = -1 }, "ramp_for", "It must be between 0s and 1h0m0s."},
		"the first of two":    {func(c *Config) { c.RampFor, c.MinCalls = -1, -1 }, "min_calls", "It must be between 1 and 1000000."},
	} {
		cfg := small()
		c.change(&cfg)
		err := cfg.Validate("policy.breaker")
		if c.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid || f.Details.Field != "policy.breaker."+c.field || f.Message != c.message || f.Details.Value == "" {
			t.Errorf("%s: %+v", name, err)
		}
		if f, ok := errors.AsType[*fault.Error](cfg.Validate("")); !ok || f.Details.Field != c.field {
			t.Errorf("%s, without a path: %+v", name, f)
		}
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	for r, want := range map[float64]string{0: "0 %", 0.29: "29 %", 0.4999: "49 %", 0.5: "50 %", 2.0 / 3: "66 %", 0.9999: "99 %", 1: "100 %"} {
		if got := percent(r); got != want {
			t.Errorf("%v is %q, want %q", r, got, want)
		}
	}
}
