package credentials

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// What a person entered can be shown, field by field; nothing of OAuth can, whatever it is called.
func TestReveal(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("basic", "basic", "username", "u", "password", canary)
	w.put("one", "oauth1", "consumer_key", "k", "consumer_secret", canary, "token", canary, "token_secret", canary)
	w.put("two", "oauth2_client_credentials", "token_url", "https://as.example.com/t", "client_id", "app", "client_secret", canary)
	w.put("open", "none")
	reveal := func(connection, account, field string) (value telemetry.Secret, err error) {
		err = w.try(func(ctx context.Context, tx *db.Tx) (err error) {
			_, value, err = w.Reveal(ctx, tx, connection, account, field)
			return err
		})
		return value, err
	}
	value, err := reveal("con_1", "basic", "password")
	if err != nil || value.Reveal() != canary || strings.Contains(fmt.Sprintf("%v %+v %#v", value, value, value), canary) {
		t.Errorf("%v, %v", value, err)
	}
	for _, c := range [][3]string{
		{"con_1", "basic", "nothing"},
		{"con_1", "basic", ""},
		{"con_1", "one", "token_secret"},
		{"con_1", "one", "consumer_secret"},
		{"con_1", "two", "client_secret"},
		{"con_1", "two", "access"},
		{"con_1", "open", "token"},
		{"con_1", "nobody", "password"},
		{"con_2", "basic", "password"},
	} {
		value, err := reveal(c[0], c[1], c[2])
		if code := fault.CodeOf(err); code != "NOT_REVEALABLE" && code != "ACCOUNT_NOT_FOUND" || value.Reveal() != "" {
			t.Errorf("%v: %v", c, err)
		}
	}
	w.exec(`UPDATE credential_versions SET sealed = (SELECT sealed FROM credential_versions v JOIN credentials c ON c.id = v.credential_id WHERE c.account = 'two')
		WHERE credential_id = (SELECT id FROM credentials WHERE account = 'basic')`)
	if value, err := reveal("con_1", "basic", "password"); err == nil || value.Reveal() != "" {
		t.Error("a value that was moved is shown")
	}
}
