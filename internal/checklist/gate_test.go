package checklist

import (
	"strings"
	"testing"

	"switchgear/internal/access"
)

// Open names what is neither proven nor exempt, of the connection as it is given, and remembers nothing.
func TestOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.facts.Connection
	open, err := w.Open(t.Context(), c)
	must(t, err)
	if len(open) == 0 || len(open) > Total() || !strings.Contains(strings.Join(open, ";"), "7 Circuit breaker implemented (unknown)") {
		t.Fatalf("open: %q", open)
	}
	if _, judged := w.remembered(c.ID); judged {
		t.Error("it is remembered as if it had been judged")
	}
	configurer := w.user(access.RoleAdmin)
	for _, item := range All() {
		must(t, w.Exempt(t.Context(), configurer, c.Slug, item.Info().ID, Statement{Reason: "for the test", Days: 1}))
	}
	if open, err := w.Open(t.Context(), c); err != nil || len(open) != 0 {
		t.Errorf("with everything exempt: %q, %v", open, err)
	}
	must(t, w.Withdraw(t.Context(), configurer, c.Slug, "rollback", "it is needed"))
	c.Version = 1
	if open, err := w.Open(t.Context(), c); err != nil || len(open) != 1 || open[0] != "12 Rollback plan defined (fail)" {
		t.Errorf("as the connection would be: %q, %v", open, err)
	}
}
