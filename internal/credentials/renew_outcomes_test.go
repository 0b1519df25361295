package credentials

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// refusal is an answer of a token endpoint without a token.
func refusal(code string, unknown bool) error {
	return &oauth.Error{Step: oauth.StepToken, Code: code, Unknown: unknown}
}

// outcome is what a renewal left behind.
type outcome struct {
	Header, Code string   // of the call that led to it
	State        string   // of the credential, empty when it is gone
	Failures     int      // in a row
	Asked        int      // requests at the token endpoint
	Events       []string // the newest first
	Changes      int64    // told to the snapshot
}

func (w *tokenWorld) outcome(header string, err error) outcome {
	w.t.Helper()
	out := outcome{Header: header, Asked: w.endpoint.Asked("refresh_token"), Changes: w.changes.Load()}
	if err != nil {
		out.Code = fault.CodeOf(err)
	}
	if c, err := w.store.current(w.t.Context(), w.db, "con_1", DefaultAccount); err == nil {
		out.State, out.Failures = c.State, c.token.failures
	}
	events, _, err := w.History(w.t.Context(), "con_1", DefaultAccount, 0, 20)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		out.Events = append(out.Events, e.Kind)
	}
	return out
}

// reconnect is a person who consents, at another window than the one that waits for a renewal.
func (w *tokenWorld) reconnect() {
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.PutToken(ctx, tx, holderOf(DefaultAccount), oauth.Token{Access: "consented", Refresh: "consented-r", ExpiresIn: time.Hour})
		return err
	})
}

func TestOutcomesOfRenewals(t *testing.T) {
	t.Parallel()
	type answer = func(w *tokenWorld) (oauth.Token, error)
	token := oauth.Token{Access: "access-1", Refresh: "refresh-1", ExpiresIn: time.Hour}
	id := func(w *tokenWorld) string {
		c, err := w.store.current(t.Context(), w.db, "con_1", DefaultAccount)
		if err != nil {
			t.Error(err)
		}
		return c.ID
	}
	for name, c := range map[string]struct {
		answer answer
		want   outcome
	}{
		"a new token": {
			func(*tokenWorld) (oauth.Token, error) { return token, nil },
			outcome{Header: "Bearer access-1", State: StateActive, Asked: 1, Events: []string{EventRenewed}},
		},
		"the grant is over": {
			func(*tokenWorld) (oauth.Token, error) { return oauth.Token{}, refusal(oauth.CodeInvalidGrant, false) },
			outcome{Code: "CREDENTIAL_NEEDS_REAUTH", State: StateNeedsReauth, Failures: 1, Asked: 1, Events: []string{EventNeedsReauth}, Changes: 1},
		},
		"the grant is over, and a person has consented meanwhile": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.reconnect()
				return oauth.Token{}, refusal(oauth.CodeInvalidGrant, false)
			},
			outcome{Header: "Bearer consented", State: StateActive, Asked: 1},
		},
		"a new token, and a person has consented meanwhile": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.reconnect()
				return token, nil
			},
			outcome{Header: "Bearer consented", State: StateActive, Asked: 1},
		},
		"the client is not accepted": {
			func(*tokenWorld) (oauth.Token, error) { return oauth.Token{}, refusal("invalid_client", false) },
			outcome{Code: "CREDENTIAL_RENEWAL_FAILED", State: StateActive, Failures: 1, Asked: 1, Events: []string{EventRenewalFailed}},
		},
		"the client was put right meanwhile": {
			func(w *tokenWorld) (oauth.Token, error) {
				if w.endpoint.Asked("refresh_token") > 1 {
					return token, nil
				}
				w.put(DefaultAccount, "oauth2_authorization_code", "client_secret", "right", "authorize_url", "https://as.example.com/authorize",
					"token_url", "https://as.example.com/token", "client_id", "switchgear")
				return oauth.Token{}, refusal("invalid_client", false)
			},
			outcome{Header: "Bearer access-1", State: StateActive, Asked: 2, Events: []string{EventRenewed}},
		},
		"the server has trouble": {
			func(*tokenWorld) (oauth.Token, error) { return oauth.Token{}, refusal(oauth.CodeServerError, true) },
			outcome{Code: "CREDENTIAL_RENEWAL_FAILED", State: StateActive, Failures: 1, Asked: 1, Events: []string{EventRenewalFailed}},
		},
		"no answer": {
			func(*tokenWorld) (oauth.Token, error) { return oauth.Token{}, refusal(oauth.CodeNoAnswer, true) },
			outcome{Code: "CREDENTIAL_RENEWAL_FAILED", State: StateActive, Failures: 1, Asked: 1, Events: []string{EventRenewalFailed}},
		},
		"unreachable": {
			func(*tokenWorld) (oauth.Token, error) { return oauth.Token{}, refusal(oauth.CodeUnreachable, false) },
			outcome{Code: "CREDENTIAL_RENEWAL_FAILED", State: StateActive, Failures: 1, Asked: 1, Events: []string{EventRenewalFailed}},
		},
		"the account was deleted meanwhile, with a new token": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.tx(func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, "con_1", DefaultAccount) })
				return token, nil
			},
			outcome{Code: "ACCOUNT_NOT_FOUND", Asked: 1},
		},
		"the account was deleted meanwhile, without one": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.tx(func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, "con_1", DefaultAccount) })
				return oauth.Token{}, refusal(oauth.CodeInvalidGrant, false)
			},
			outcome{Code: "ACCOUNT_NOT_FOUND", Asked: 1},
		},
		"the account was revoked meanwhile": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.tx(func(ctx context.Context, tx *db.Tx) error { return w.SetState(ctx, tx, id(w), StateRevoked) })
				return token, nil
			},
			outcome{Code: "CREDENTIAL_REVOKED", State: StateRevoked, Asked: 1},
		},
		"another process was refused while the answer was on its way": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.exec(`UPDATE credential_tokens SET lease_token = '', lease_until = 0, failures = 1, error_code = 'invalid_grant'`)
				w.tx(func(ctx context.Context, tx *db.Tx) error { return w.SetState(ctx, tx, id(w), StateNeedsReauth) })
				return token, nil
			},
			outcome{Header: "Bearer access-1", State: StateActive, Asked: 1, Events: []string{EventRenewed}, Changes: 1},
		},
		"the lease was lost to another process, which renewed": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.exec(`UPDATE credential_tokens SET lease_token = 'theirs'`)
				r, err := w.store.byID(t.Context(), w.db, id(w))
				if err != nil {
					t.Error(err)
				}
				next, err := w.sealToken(r, oauth.Token{Access: "theirs", Refresh: "theirs-r", ExpiresIn: time.Hour}, tokenSecrets{})
				if err != nil {
					t.Error(err)
				}
				w.tx(func(ctx context.Context, tx *db.Tx) error {
					_, err := w.store.replaceToken(ctx, tx, r.ID, r.token.version, next)
					return err
				})
				return oauth.Token{}, refusal(oauth.CodeInvalidGrant, false)
			},
			outcome{Header: "Bearer theirs", State: StateActive, Asked: 1},
		},
		"the lease was lost to another process, which failed": {
			func(w *tokenWorld) (oauth.Token, error) {
				w.exec(`UPDATE credential_tokens SET lease_token = '', lease_until = 0, failures = 1, error_code = 'unreachable', retry_at = $1`,
					db.Micros(w.now().Add(time.Minute)))
				return oauth.Token{}, refusal(oauth.CodeInvalidGrant, false)
			},
			outcome{Code: "CREDENTIAL_RENEWAL_FAILED", State: StateActive, Failures: 1, Asked: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w *tokenWorld
			w = newTokenWorld(t, func(int, string) (oauth.Token, error) { return c.answer(w) })
			set := w.set(w.Vault)
			got := w.outcome(authorized(t.Context(), set))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if again := w.outcome(authorized(t.Context(), set)); again.Asked != got.Asked {
				t.Errorf("asked again at once: %+v", again)
			}
		})
	}
}

// A commit of which nobody knows whether it succeeded is looked up, and the token is not lost.
func TestTokenOfAnUnknownCommitIsKept(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	ctx := t.Context()
	c, err := w.store.current(ctx, w.db, "con_1", DefaultAccount)
	if err != nil {
		t.Fatal(err)
	}
	r, lease, err := w.acquire(ctx, c.ID, c.token.version)
	if err != nil {
		t.Fatal(err)
	}
	next, err := w.sealToken(r, oauth.Token{Access: "access-1", Refresh: "refresh-1", ExpiresIn: time.Hour}, tokenSecrets{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // The second time is after a commit whose answer was lost.
		kept, err := w.tryToKeep(ctx, r, lease, next, false)
		if err != nil || kept.problem != nil {
			t.Fatalf("%+v, %v", kept, err)
		}
	}
	if got, err := authorized(ctx, w.set(w.Vault)); err != nil || got != "Bearer access-1" {
		t.Errorf("%q, %v", got, err)
	}
	if events := w.outcome("", nil).Events; !cmp.Equal(events, []string{EventRenewed}) {
		t.Errorf("events: %v", events)
	}
}

// Failures in a row are tried again ever more seldom, and an answer that never came once, soon.
func TestPausesBetweenRenewalsGrow(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, func(int, string) (oauth.Token, error) { return oauth.Token{}, refusal(oauth.CodeNoAnswer, true) })
	set := w.set(w.Vault)
	waits := make([]time.Duration, 0, 12)
	for range cap(waits) {
		_, err := authorized(t.Context(), set)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.RetryAfter <= 0 {
			t.Fatalf("%v", err)
		}
		waits = append(waits, f.RetryAfter)
		w.pass(f.RetryAfter - time.Millisecond)
		before := w.endpoint.Asked("refresh_token")
		if _, err := authorized(t.Context(), set); err == nil || w.endpoint.Asked("refresh_token") != before {
			t.Fatal("asked again before the pause was over")
		}
		w.pass(2 * time.Millisecond)
	}
	if waits[0] != unknownPause {
		t.Errorf("the cautious retry after %s", waits[0])
	}
	for i := 1; i < len(waits); i++ {
		if most := lastPause + lastPause/5; waits[i] > most || waits[i] < min(waits[i-1], lastPause) {
			t.Errorf("pauses: %v", waits)
		}
	}
	if asked := w.endpoint.Asked("refresh_token"); asked != len(waits) {
		t.Errorf("asked %d times for %d pauses", asked, len(waits))
	}
	// A person who changes the client ends the pause.
	w.put(DefaultAccount, "oauth2_authorization_code", "client_secret", "another", "authorize_url", "https://as.example.com/authorize",
		"token_url", "https://as.example.com/token", "client_id", "switchgear")
	_, _ = authorized(t.Context(), w.set(w.Vault))
	if asked := w.endpoint.Asked("refresh_token"); asked != len(waits)+1 {
		t.Errorf("asked %d times after the client was changed", asked)
	}
}

// A token of a client that was changed while it was on its way is not used.
func TestTokenOfTheClientBeforeIsNotKept(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	fields := []string{"token_url", "https://as.example.com/token", "client_id", "switchgear", "client_secret"}
	w.endpoint.Answer = func(_ context.Context, _ string, cfg oauth.Config, _ string) (oauth.Token, error) {
		if cfg.ClientSecret == "one" {
			w.put("machine", "oauth2_client_credentials", append(fields, "two")...) //nolint:contextcheck // A person does that, not the renewal.
		}
		return oauth.Token{Access: "of-" + cfg.ClientSecret, ExpiresIn: time.Hour}, nil
	}
	w.put("machine", "oauth2_client_credentials", append(fields, "one")...)
	authorize, _, err := w.set(w.Vault).Authorizer("machine")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)
	if err := authorize(t.Context(), r); err != nil || r.Header.Get("Authorization") != "Bearer of-two" {
		t.Errorf("%q, %v", r.Header.Get("Authorization"), err)
	}
}

// Going back to the credential of another client does not take its token along.
func TestRestoreForgetsTheTokenOfAnotherClient(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	c := w.put(DefaultAccount, "oauth2_authorization_code", "client_id", "another", "authorize_url", "https://as.example.com/authorize",
		"token_url", "https://as.example.com/token")
	w.reconnect()
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Restore(ctx, tx, "con_1", DefaultAccount, c.Version-1)
		return err
	})
	if _, err := authorized(t.Context(), w.set(w.Vault)); fault.CodeOf(err) != "CREDENTIAL_NOT_CONNECTED" {
		t.Errorf("got %v", err)
	}
}

// Who leaves does not end the renewal, and does not wait for it either.
func TestRenewalOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	began, answer := make(chan struct{}), make(chan struct{})
	w := newTokenWorld(t, func(n int, refresh string) (oauth.Token, error) {
		close(began)
		<-answer
		return rotating(n, refresh)
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-began
		leave()
	}()
	if _, err := authorized(ctx, w.set(w.Vault)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(answer)
	w.settled()
	if got, err := authorized(t.Context(), w.set(w.another())); err != nil || got != "Bearer access-1" || w.endpoint.Asked("refresh_token") != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

// refused sends a call with a token that the service refuses, and returns what the repeat is sent with.
func (w *tokenWorld) refused(set *Set) (repeat string, err error) {
	w.t.Helper()
	authorize, renew, err := set.Authorizer(DefaultAccount)
	if err != nil {
		return "", err
	}
	if err := authorize(w.t.Context(), httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)); err != nil {
		return "", err
	}
	again, err := renew(w.t.Context())
	if err != nil {
		return "", err
	}
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)
	err = again(w.t.Context(), r)
	return r.Header.Get("Authorization"), err
}

// However often the service refuses the tokens that it gives, the token endpoint is asked ever more seldom.
func TestRefusedTokensAreNotRenewedForever(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	w.endpoint.Answer = func(ctx context.Context, _ string, _ oauth.Config, _ string) (oauth.Token, error) {
		return rotating(w.endpoint.Asked("refresh_token"), "")
	}
	w.reconnect()
	set := w.set(w.Vault)
	w.pass(time.Minute)
	for range 3600 {
		_, _ = w.refused(set)
		w.pass(time.Second)
	}
	if asked := w.endpoint.Asked("refresh_token"); asked < 2 || asked > 12 {
		t.Errorf("asked %d times in an hour", asked)
	}
}

// Calls that were sent with the token before a renewal take the new one: it is not renewed for each of them.
func TestLateRefusalsTakeTheNewToken(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	w.reconnect()
	w.pass(time.Minute)
	set := w.set(w.Vault)
	renewals := make([]Renew, 0, 20)
	for range cap(renewals) {
		authorize, renew, err := set.Authorizer(DefaultAccount)
		if err != nil {
			t.Fatal(err)
		}
		if err := authorize(t.Context(), httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)); err != nil {
			t.Fatal(err)
		}
		renewals = append(renewals, renew)
	}
	for _, renew := range renewals {
		authorize, err := renew(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)
		if err := authorize(t.Context(), r); err != nil || r.Header.Get("Authorization") != "Bearer access-1" {
			t.Errorf("%q, %v", r.Header.Get("Authorization"), err)
		}
	}
	if asked := w.endpoint.Asked("refresh_token"); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// A new token that the service does not know yet is stood in for by the one before, until that is forgotten.
func TestTokenBeforeStandsInForOneThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	if got, err := authorized(t.Context(), w.set(w.Vault)); err != nil || got != "Bearer access-1" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := w.refused(w.set(w.Vault)); err != nil || got != "Bearer access-0" {
		t.Errorf("%q, %v", got, err)
	}
	if err := w.store.forgetPrevious(t.Context(), w.now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got, err := w.refused(w.set(w.another())); fault.CodeOf(err) != "CREDENTIAL_REFUSED" {
		t.Errorf("%q, %v", got, err)
	}
	if asked := w.endpoint.Asked("refresh_token"); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// Identity moves with each consent, so that nothing that is known of the old one counts for the new; it does
// not move with the tokens in between.
func TestIdentityMovesWithConsents(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	_, first := w.set(w.Vault).Identity(DefaultAccount)
	if _, err := authorized(t.Context(), w.set(w.Vault)); err != nil {
		t.Fatal(err)
	}
	if _, renewed := w.set(w.Vault).Identity(DefaultAccount); renewed != first {
		t.Errorf("%d became %d by a renewal", first, renewed)
	}
	w.reconnect()
	if _, consented := w.set(w.Vault).Identity(DefaultAccount); consented == first {
		t.Error("a consent did not move it")
	}
}

// Tokens are renewed ahead of their end, each at a moment of its own; one that can be had at any time and
// that nobody uses is not.
func TestRenewalAheadOfTheEnd(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	w.endpoint.Answer = func(_ context.Context, grant string, _ oauth.Config, _ string) (oauth.Token, error) {
		return oauth.Token{Access: grant, Refresh: "next", ExpiresIn: time.Hour}, nil
	}
	for _, account := range []string{"idle", "busy"} {
		w.put(account, "oauth2_client_credentials", "token_url", "https://as.example.com/token", "client_id", account, "client_secret", "x")
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.PutToken(ctx, tx, holderOf(account), oauth.Token{Access: "first", ExpiresIn: time.Hour})
			return err
		})
	}
	w.reconnect()
	set := w.set(w.Vault)
	authorize, _, err := set.Authorizer("busy")
	if err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	if err := authorize(t.Context(), httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)); err != nil {
		t.Fatal(err)
	}
	w.pass(30 * time.Minute)
	w.renewDue(t.Context())
	if asked := w.endpoint.Asked("refresh_token") + w.endpoint.Asked("client_credentials"); asked != 0 {
		t.Fatalf("%d renewals at half of the life", asked)
	}
	w.pass(25 * time.Minute) // Every one is due by then, and none has ended.
	w.renewDue(t.Context())
	if a, b := w.endpoint.Asked("refresh_token"), w.endpoint.Asked("client_credentials"); a != 1 || b != 1 {
		t.Errorf("%d renewals with a refresh token and %d of clients, want 1 and 1", a, b)
	}
	if got, err := authorized(t.Context(), set); err != nil || got != "Bearer refresh_token" {
		t.Errorf("%q, %v", got, err)
	}
	w.renewDue(t.Context())
	if a, b := w.endpoint.Asked("refresh_token"), w.endpoint.Asked("client_credentials"); a != 1 || b != 1 {
		t.Errorf("renewed twice: %d and %d", a, b)
	}
}

// Tokens that were obtained together are not renewed together.
func TestRenewalTimesAreSpread(t *testing.T) {
	t.Parallel()
	obtained := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for _, life := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour, 90 * 24 * time.Hour} {
		times := map[time.Time]bool{}
		for range 200 {
			at := renewalTime(obtained, obtained.Add(life))
			if at.Before(obtained.Add(life/2)) || at.After(obtained.Add(life)) {
				t.Fatalf("a token of %s is renewed after %s", life, at.Sub(obtained))
			}
			times[at] = true
		}
		if life >= time.Minute && len(times) < 100 {
			t.Errorf("%d different moments for a life of %s", len(times), life)
		}
	}
}

// Serve looks for what is due every few seconds, and ends with what it began.
func TestServeRenewsAhead(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	w.reconnect()
	w.pass(58 * time.Minute)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- w.Serve(ctx) }()
		for w.endpoint.Asked("refresh_token") == 0 {
			time.Sleep(time.Second)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	if asked := w.endpoint.Asked("refresh_token"); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
