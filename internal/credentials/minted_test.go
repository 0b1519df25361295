package credentials

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A JWT of our own is made once for a thousand calls that come together, again shortly before its end, and
// never goes out when it has ended.
func TestMintedOnce(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put(DefaultAccount, "signed_jwt", "algorithm", "HS256", "secret", canary, "claims", `{"jti":"{uuid}"}`, "lifetime", "300", "header", "X-Token", "scheme", "")
	w.still = true
	authorize, _, err := w.load("con_1").Authorizer(DefaultAccount)
	if err != nil {
		t.Fatal(err)
	}
	sentNow := func() string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", http.NoBody)
		if err := authorize(t.Context(), r); err != nil {
			t.Error(err)
		}
		return r.Header.Get("X-Token")
	}
	tokens := make([]string, 1000)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() { tokens[i] = sentNow() })
	}
	wg.Wait()
	first := tokens[0]
	for _, token := range tokens {
		if token != first || strings.Count(token, ".") != 2 {
			t.Fatalf("%q, then %q", first, token)
		}
	}
	pass := func(d time.Duration) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.at = w.at.Add(d)
	}
	pass(5*time.Minute - mintLeeway - time.Second)
	if sentNow() != first {
		t.Error("made anew although it lasts")
	}
	pass(time.Second)
	second := sentNow()
	if second == first {
		t.Error("still the first one shortly before its end")
	}
	pass(time.Hour)
	if third := sentNow(); third == second {
		t.Error("one that has ended goes out")
	}
}
