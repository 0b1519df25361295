package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// tokenWorld is a vault whose default account of con_1 has a token that has ended.
type tokenWorld struct {
	*vaultWorld
	endpoint *oauthtest.Endpoint
	changes  atomic.Int64
}

func newTokenWorld(t *testing.T, answer func(n int, refresh string) (oauth.Token, error)) *tokenWorld {
	t.Helper()
	w := &tokenWorld{vaultWorld: newVaultWorld(t), endpoint: &oauthtest.Endpoint{}}
	var n atomic.Int64
	w.endpoint.Answer = func(_ context.Context, _ string, _ oauth.Config, refresh string) (oauth.Token, error) {
		return answer(int(n.Add(1)), refresh)
	}
	w.Vault = w.another()
	w.put(DefaultAccount, "oauth2_authorization_code", "authorize_url", "https://as.example.com/authorize",
		"token_url", "https://as.example.com/token", "client_id", "switchgear", "client_secret", canary)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.PutToken(ctx, tx, holderOf(DefaultAccount), oauth.Token{Access: "access-0", Refresh: "refresh-0", ExpiresIn: time.Minute})
		return err
	})
	w.still = true
	w.pass(2 * time.Minute)
	return w
}

// another is a second vault on the same database, as another process has it.
func (w *tokenWorld) another() *Vault {
	w.t.Helper()
	v, err := NewVault(VaultDeps{
		DB: w.db, Sealer: w.sealer, Endpoint: w.endpoint, Logger: telemetry.Discard(), Now: w.now,
		Key: callingKey, Changed: func(context.Context, string, string) { w.changes.Add(1) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *tokenWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// set is what calls have, loaded now.
func (w *tokenWorld) set(v *Vault) *Set {
	w.t.Helper()
	var set *Set
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		set, err = v.Load(ctx, tx, "con_1")
		set = set.At(upstream)
		return err
	})
	return set
}

// authorized is the header that a call gets.
func authorized(ctx context.Context, s *Set) (string, error) {
	authorize, _, err := s.Authorizer(DefaultAccount)
	if err != nil {
		return "", err
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/", nil)
	if err := authorize(ctx, r); err != nil {
		return "", err
	}
	return r.Header.Get("Authorization"), nil
}

func rotating(n int, _ string) (oauth.Token, error) {
	return oauth.Token{Access: fmt.Sprintf("access-%d", n), Refresh: fmt.Sprintf("refresh-%d", n), ExpiresIn: time.Hour}, nil
}

func TestManyCallsRenewOnce(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	sets := []*Set{w.set(w.Vault), w.set(w.another())} // two processes
	var (
		group  sync.WaitGroup
		failed atomic.Int64
	)
	for i := range 200 {
		group.Go(func() {
			if got, err := authorized(t.Context(), sets[i%2]); err != nil || got != "Bearer access-1" {
				failed.Add(1)
				t.Errorf("%d: %q, %v", i, got, err)
			}
		})
	}
	group.Wait()
	if asked := w.endpoint.Asked("refresh_token"); asked != 1 || failed.Load() > 0 {
		t.Errorf("%d renewals and %d failed calls, want 1 and 0", asked, failed.Load())
	}
}

func TestRevokedRefreshTokenNeedsConsent(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, func(int, string) (oauth.Token, error) {
		return oauth.Token{}, &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeInvalidGrant, Status: http.StatusBadRequest}
	})
	set := w.set(w.Vault)
	for range 3 {
		if _, err := authorized(t.Context(), set); fault.CodeOf(err) != "CREDENTIAL_NEEDS_REAUTH" {
			t.Fatalf("got %v", err)
		}
	}
	if asked := w.endpoint.Asked("refresh_token"); asked != 1 || w.changes.Load() != 1 {
		t.Errorf("asked %d times, told of %d changes, want 1 and 1", asked, w.changes.Load())
	}
	events, _, err := w.History(t.Context(), "con_1", DefaultAccount, 0, 10)
	if err != nil || len(events) != 1 || events[0].Kind != EventNeedsReauth || events[0].Detail == "" {
		t.Errorf("history: %+v, %v", events, err)
	}
	// A person consents: the account is back.
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.PutToken(ctx, tx, holderOf(DefaultAccount), oauth.Token{Access: "again"})
		return err
	})
	if got, err := authorized(t.Context(), w.set(w.Vault)); err != nil || got != "Bearer again" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFailedRenewalIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, func(n int, refresh string) (oauth.Token, error) {
		if n < 3 {
			return oauth.Token{}, &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeNoAnswer, Unknown: true}
		}
		if refresh != "refresh-0" {
			t.Errorf("the renewal used %q", refresh)
		}
		return rotating(n, refresh)
	})
	set := w.set(w.Vault)
	for range 5 {
		_, err := authorized(t.Context(), set)
		if fault.CodeOf(err) != "CREDENTIAL_RENEWAL_FAILED" {
			t.Fatalf("got %v", err)
		}
	}
	if asked := w.endpoint.Asked("refresh_token"); asked != 1 {
		t.Errorf("asked %d times while a pause was on", asked)
	}
	w.pass(time.Minute) // the cautious retry, which has no answer either
	_, _ = authorized(t.Context(), set)
	w.pass(time.Hour)
	if got, err := authorized(t.Context(), set); err != nil || got != "Bearer access-3" {
		t.Errorf("%q, %v", got, err)
	}
	if asked := w.endpoint.Asked("refresh_token"); asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

// Whoever may edit the address of a server must not get the secret sent there.
func TestSecretStaysWithItsServer(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	edit := func(pairs ...string) error {
		values := map[string]string{"authorize_url": "https://as.example.com/authorize", "token_url": "https://as.example.com/token", "client_id": "switchgear"}
		for i := 0; i+1 < len(pairs); i += 2 {
			values[pairs[i]] = pairs[i+1]
		}
		return w.db.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := w.Put(t.Context(), tx, holderOf(DefaultAccount), "oauth2_authorization_code", values)
			return err
		})
	}
	for _, key := range []string{"token_url", "revoke_url"} {
		for _, url := range []string{"https://evil.example.com/token", "http://as.example.com/token", "https://as.example.com:8443/token"} {
			err := edit(key, url)
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Details.Field != "auth.fields.client_secret" {
				t.Errorf("%s to %s: %v", key, url, err)
			}
		}
	}
	if err := edit("token_url", "https://as.example.com/v2/token", "revoke_url", "https://as.example.com/revoke"); err != nil {
		t.Errorf("another path of the same server: %v", err)
	}
	if err := edit("token_url", "https://other.example.com/token", "client_secret", "theirs"); err != nil {
		t.Errorf("with the secret: %v", err)
	}
	// Nor through another account, which shares the client.
	err := w.db.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := w.Put(t.Context(), tx, holderOf("mallory"), "oauth2_authorization_code", map[string]string{"token_url": "https://evil.example.com/token"})
		return err
	})
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Details.Field != "auth.fields.client_secret" {
		t.Errorf("through another account: %v", err)
	}
}

// A process that was killed while it renewed keeps nobody waiting for its lease.
func TestLeaseOfADeadProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	w.exec(`UPDATE credential_tokens SET lease_token = 'lease_dead', lease_until = $1`, db.Micros(w.now().Add(leaseLife)))
	next := w.another()
	if err := next.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := authorized(t.Context(), w.set(next)); err != nil || got != "Bearer access-1" {
		t.Errorf("%q, %v", got, err)
	}
}
