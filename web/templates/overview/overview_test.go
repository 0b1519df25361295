package overview

import "testing"

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
