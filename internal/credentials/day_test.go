package credentials

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/fault"
)

// setExpiry is SetExpiry of the account of connection con_1.
func (w *vaultWorld) setExpiry(account string, last Day) (c Credential, news bool, err error) {
	err = w.try(func(ctx context.Context, tx *db.Tx) (err error) {
		c, news, err = w.SetExpiry(ctx, tx, "con_1", account, last, "ada@example.com")
		return err
	})
	return c, news, err
}

// The day belongs to the secret that it was said of.
func TestExpiryFollowsTheSecret(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put(DefaultAccount, "api_key", "key", canary, "in", "header", "name", "X-Key")
	c, news, err := w.setExpiry(DefaultAccount, "2027-01-31")
	if err != nil || !news || c.ExpiresOn != "2027-01-31" || c.ExpiresSetBy != "ada@example.com" || c.Version != 1 {
		t.Fatalf("%+v, %t, %v", c, news, err)
	}
	if _, news, err := w.setExpiry(DefaultAccount, "2027-01-31"); err != nil || news {
		t.Errorf("the same day again: %t, %v", news, err)
	}
	if c := w.put(DefaultAccount, "api_key", "in", "header", "name", "X-Other"); c.ExpiresOn != "2027-01-31" || c.Version != 2 {
		t.Errorf("another setting: %+v", c)
	}
	if c := w.put(DefaultAccount, "api_key", "key", "another", "in", "header", "name", "X-Other"); c.ExpiresOn != "" || c.ExpiresSetBy != "" {
		t.Errorf("another secret: %+v", c)
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		c, err := w.Restore(ctx, tx, "con_1", DefaultAccount, 2)
		if err == nil && c.ExpiresOn != "2027-01-31" {
			t.Errorf("the secret before is back: %+v", c)
		}
		return err
	})
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		c, err := w.Copy(ctx, tx, "con_1", "con_2", DefaultAccount)
		if err == nil && c.ExpiresOn != "2027-01-31" {
			t.Errorf("a copy: %+v", c)
		}
		return err
	})
	if c, news, err := w.setExpiry(DefaultAccount, ""); err != nil || !news || c.ExpiresOn != "" || c.ExpiresSetBy != "" {
		t.Errorf("no day: %+v, %t, %v", c, news, err)
	}
	list, err := w.List(t.Context(), "con_1")
	if err != nil || len(list) != 1 || list[0].ExpiresOn != "" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestExpiryThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t) // It is 24 November 2026 there.
	w.put("key", "bearer", "token", canary)
	w.put("open", "none")
	certificate, key := selfSigned(t, w.moment().Add(72*time.Hour))
	w.put("tls", "mutual_tls", "certificate", certificate, "private_key", key)
	for _, c := range []struct {
		account string
		last    Day
		code    string
	}{
		{"key", "2026-11-23", "EXPIRY_IN_THE_PAST"},
		{"key", "2026-11-24", ""}, // The day is not over.
		{"open", "2027-01-31", "EXPIRY_NOT_APPLICABLE"},
		{"tls", "2027-01-31", "EXPIRY_NOT_APPLICABLE"},
		{"tls", "", ""},
	} {
		_, _, err := w.setExpiry(c.account, c.last)
		if got := fault.CodeOf(err); c.code != got && (c.code != "" || err != nil) {
			t.Errorf("%s until %q: %v, want %q", c.account, c.last, err, c.code)
		}
	}
	if _, _, err := w.setExpiry("nobody", "2027-01-31"); fault.CodeOf(err) != "ACCOUNT_NOT_FOUND" {
		t.Errorf("no account: %v", err)
	}
	for text, code := range map[string]string{"": "", "2027-02-28": "", "2027-02-29": "INVALID_DATE", "28.02.2027": "INVALID_DATE", "2027-2-28": "INVALID_DATE", "2027-02-28T10:00:00Z": "INVALID_DATE"} {
		day, err := ParseDay(text)
		if code == "" && (err != nil || string(day) != text) || code != "" && fault.CodeOf(err) != code {
			t.Errorf("%q: %q, %v", text, day, err)
		}
	}
}

// What was set ends with its day, in the calendar beside what ends by itself.
func TestExpiriesOfSecrets(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	for account, last := range map[string]Day{"soon": "2026-11-30", "later": "2027-11-30", "revoked": "2026-12-01"} {
		c := w.put(account, "basic", "username", "u", "password", canary)
		if _, _, err := w.setExpiry(account, last); err != nil {
			t.Fatal(err)
		}
		if account == "revoked" {
			w.tx(func(ctx context.Context, tx *db.Tx) error { return w.SetState(ctx, tx, c.ID, StateRevoked) })
		}
	}
	got, err := w.Expiries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Expiry{
		{"con_1", "soon", ExpirySecret, "basic", time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC)},
		{"con_1", "later", ExpirySecret, "basic", time.Date(2027, 11, 30, 23, 59, 59, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
