package overview

import (
	"testing"
	"time"

	"switchgear/web/templates/breakers"
)

func TestSentence(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]string{"user.sign_in_failed": "User: sign in failed", "restart": "Restart", "": "Change"} {
		if got := sentence(action); got != want {
			t.Errorf("sentence(%q) = %q, want %q", action, got, want)
		}
	}
}

func TestTextNamesAPersonOnce(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]Activity{
		"":                            {},
		"by ada@example.com":          {Actor: "ada@example.com", Target: "ada@example.com"},
		"bob@example.com":             {Target: "bob@example.com"},
		"Billing, by ada@example.com": {Actor: "ada@example.com", Target: "Billing"},
	} {
		if got := a.text(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A half-open breaker says both since when it is so and since when the connection is not well.
func TestIncidentSaysSinceWhen(t *testing.T) {
	t.Parallel()
	began := now().Add(-14 * time.Minute)
	half := now().Add(-5 * time.Second)
	for name, tt := range map[string]struct {
		incident Incident
		began    time.Time
		text     string
	}{
		"open": {Incident{State: StateDown, Since: began, Breaker: &breakers.Status{State: breakers.StateOpen, Since: half}, Why: "Why."}, began, "Why."},
		"half-open": {
			Incident{State: StateDown, Since: began, Breaker: &breakers.Status{State: breakers.StateHalfOpen, Since: half}, Why: "Why."},
			half,
			"Down since " + began.UTC().Format("15:04:05 UTC") + ". Why.",
		},
		"half-open, of an operation": {
			Incident{State: StateDegraded, Since: began, Breaker: &breakers.Status{State: breakers.StateHalfOpen, Since: half}, Why: "Why."},
			half,
			"Degraded since " + began.UTC().Format("15:04:05 UTC") + ". Why.",
		},
		"half-open from the beginning": {Incident{State: StateDown, Since: half, Breaker: &breakers.Status{State: breakers.StateHalfOpen, Since: half}, Why: "Why."}, half, "Why."},
	} {
		if got := tt.incident.began(); !got.Equal(tt.began) || tt.incident.text() != tt.text {
			t.Errorf("%s: since %s: %q", name, got, tt.incident.text())
		}
	}
}

// How many calls were refused is said once, and apart from those that were answered all the same.
func TestIncidentSaysWhatItCosts(t *testing.T) {
	t.Parallel()
	for want, i := range map[string]Incident{
		"":                          {},
		"1 call was refused.":       {Refused: 1, Lost: 1},
		"1,900 calls were refused.": {Refused: 1900, Lost: 1900},
		"412 refused, 390 answered from cache (oldest 9 min), 22 lost.": {Refused: 412, Stale: 390, Lost: 22, Oldest: 9 * time.Minute},
	} {
		if got := i.text(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
