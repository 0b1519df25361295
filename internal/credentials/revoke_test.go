package credentials

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

func TestOutcomesOfRevocations(t *testing.T) {
	t.Parallel()
	refuse := func(code string, hint string) func(token string) error {
		return func(token string) error {
			if hint == "" || token == hint {
				return &oauth.Error{Step: oauth.StepRevoke, Code: code, Status: 400}
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		url    string
		answer func(token string) error
		want   Revoked
		asked  int
		event  string
	}{
		"both tokens":                     {"https://as.example.com/revoke", refuse("", "none"), Revoked{Result: RevokedDone}, 2, EventRevoked},
		"access tokens are not supported": {"https://as.example.com/revoke", refuse("unsupported_token_type", "access-0"), Revoked{Result: RevokedDone}, 2, EventRevoked},
		"no revocation URL":               {"", nil, Revoked{Result: RevokedNotSupported}, 0, EventNotRevoked},
		"refused":                         {"https://as.example.com/revoke", refuse("invalid_client", ""), Revoked{RevokedFailed, "invalid_client"}, 1, EventNotRevoked},
		"unreachable":                     {"https://as.example.com/revoke", refuse(oauth.CodeUnreachable, ""), Revoked{RevokedFailed, oauth.CodeUnreachable}, 1, EventNotRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTokenWorld(t, rotating)
			w.endpoint.Answer = func(_ context.Context, _ string, _ oauth.Config, token string) (oauth.Token, error) {
				return oauth.Token{}, c.answer(token)
			}
			w.put(DefaultAccount, "oauth2_authorization_code", "authorize_url", "https://as.example.com/authorize",
				"token_url", "https://as.example.com/token", "client_id", "switchgear", "revoke_url", c.url)
			var gone Revocation
			w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				if gone, err = w.Revocation(ctx, tx, "con_1", DefaultAccount); err == nil {
					_, err = w.RevokeHere(ctx, tx, "con_1", DefaultAccount)
				}
				return err
			})
			got := gone.Do(t.Context())
			if diff := cmp.Diff(c.want, got); diff != "" || w.endpoint.Asked("revoke") != c.asked {
				t.Errorf("asked %d times: %s", w.endpoint.Asked("revoke"), diff)
			}
			if err := w.RecordRevoked(t.Context(), gone, got, systemActor()); err != nil {
				t.Fatal(err)
			}
			events, total, err := w.History(t.Context(), "con_1", DefaultAccount, 0, 5)
			if err != nil || total != 1 || events[0].Kind != c.event || events[0].Code != c.want.Code {
				t.Errorf("%d events: %+v, %v", total, events, err)
			}
			if _, err := authorized(t.Context(), w.set(w.Vault)); fault.CodeOf(err) != "CREDENTIAL_REVOKED" {
				t.Errorf("afterwards: %v", err)
			}
			// A person who connects it again has it back.
			w.reconnect()
			if header, err := authorized(t.Context(), w.set(w.Vault)); err != nil || header != "Bearer consented" {
				t.Errorf("%q, %v", header, err)
			}
		})
	}
}

func TestNothingToRevoke(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	w.put("static", "bearer", "token", canary)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		gone, err := w.Revocation(ctx, tx, "con_1", "static")
		if got := gone.Do(ctx); got != (Revoked{}) {
			t.Errorf("%+v", got)
		}
		return err
	})
	if asked := w.endpoint.Asked("revoke"); asked != 0 {
		t.Errorf("asked %d times", asked)
	}
}
