package api

import (
	"net/http"
	"strings"
	"testing"
)

// The end of a secret is set with it or alone, and shown with the account.
func TestExpiryOfSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/connections/stripe/accounts/default"
	get := func(step string, want string) {
		t.Helper()
		var a Account
		w.do(http.MethodGet, path, "").decode(t, &a)
		if a.Auth.ExpiresOn != want {
			t.Errorf("%s: %q, want %q", step, a.Auth.ExpiresOn, want)
		}
	}
	put := func(method, path, body string, status int) answer {
		t.Helper()
		got := w.do(method, path, body)
		if got.status != status {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
		return got
	}
	get("none", "")
	if got := put(http.MethodPut, path, `{"auth":{"expires_on":"2126-01-31"}}`, http.StatusOK); !strings.Contains(got.body, `"expires_on":"2126-01-31"`) {
		t.Errorf("%s", got.body)
	}
	get("alone", "2126-01-31")
	put(http.MethodPatch, "/api/v1/connections/stripe", `{"name":"Another name"}`, http.StatusOK)
	get("after a patch of something else", "2126-01-31")
	put(http.MethodPatch, "/api/v1/connections/stripe", `{"auth":{"expires_on":"2127-01-31"}}`, http.StatusOK)
	get("by a patch", "2127-01-31")
	for body, code := range map[string]string{
		`{"auth":{"expires_on":"2001-01-31"}}`: "EXPIRY_IN_THE_PAST",
		`{"auth":{"expires_on":"31.1.2126"}}`:  "INVALID_DATE",
	} {
		if f := put(http.MethodPut, path, body, http.StatusBadRequest).failure(t); f.Code != code || f.Details.Field != "auth.expires_on" {
			t.Errorf("%s: %+v", body, f)
		}
	}
	put(http.MethodPut, path, `{"auth":{"fields":{"token":"another"}}}`, http.StatusOK)
	get("another secret", "")
	put(http.MethodPut, path, `{"auth":{"fields":{"token":"third"},"expires_on":"2126-02-01"}}`, http.StatusOK)
	get("another secret with its day", "2126-02-01")
	put(http.MethodPut, path, `{"auth":{"expires_on":""}}`, http.StatusOK)
	get("cleared", "")
}
