package credentials

import (
	"context"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
)

// Day is a day of the calendar in UTC, as in 2027-01-31. The empty one is none.
type Day string

// ParseDay reads a day; an empty text is none.
func ParseDay(text string) (Day, error) {
	if text == "" {
		return "", nil
	}
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return "", fault.Field("INVALID_DATE", expiresField, "Write the day as 2027-01-31.")
	}
	return Day(text), nil
}

// End is the last second of the day; zero of none.
func (d Day) End() time.Time {
	start, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return start.AddDate(0, 0, 1).Add(-time.Second)
}

// expiresField is how errors name the day on which a secret ends.
const expiresField = "auth.expires_on"

// SetExpiry notes within tx the last day of the secret of an account, as somebody said it; the empty Day is that
// none is known. It reports whether that is news. The day only announces: the credential is used as long as the
// service accepts it.
//
// Errors are fault.Invalid about auth.expires_on: a day that has passed, which is a typing error more often than
// not (a secret that has ended is replaced or deleted), and an account without a secret, or whose certificate
// says itself when it ends.
func (v *Vault) SetExpiry(ctx context.Context, tx *db.Tx, connectionID, account string, last Day, by string) (Credential, bool, error) {
	r, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil {
		return Credential{}, false, noAccount(err)
	}
	if r.ExpiresOn == last {
		return r.Credential, false, nil
	}
	if last != "" {
		if err := v.mayEnd(r.Credential, last); err != nil {
			return Credential{}, false, err
		}
	}
	r.ExpiresOn, r.ExpiresSetBy = last, by
	if last == "" {
		r.ExpiresSetBy = ""
	}
	if err := v.store.setExpiry(ctx, tx, r); err != nil {
		return Credential{}, false, fmt.Errorf("credentials: note when %s ends: %w", r.ID, err)
	}
	return r.Credential, true, nil
}

func (v *Vault) mayEnd(c Credential, last Day) error {
	t, err := authtype.Lookup(c.AuthType)
	if err != nil {
		return err
	}
	if _, says := t.(authtype.Expirer); says {
		return fault.Field("EXPIRY_NOT_APPLICABLE", expiresField, "The certificate says itself when it ends.")
	}
	if len(c.Marks) == 0 {
		return fault.Field("EXPIRY_NOT_APPLICABLE", expiresField, "The account has no secret of its own that could end.")
	}
	if last.End().Before(v.now()) {
		return fault.Field("EXPIRY_IN_THE_PAST", expiresField, "This day has passed.").
			WithSuggestion("Check the year. A secret that has ended is replaced, and one that never ends has no date.")
	}
	return nil
}
