package connections

import (
	"context"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
)

// setExpiry notes the last day of the secret of an account, as somebody said it; nil says nothing. It returns
// the credential as it is then, and whether that was news.
func (s *Service) setExpiry(ctx context.Context, tx *db.Tx, a access.Actor, r row, account string, day *string, reason string) (stored credentials.Credential, news bool, err error) {
	if day == nil {
		return stored, false, nil
	}
	last, err := credentials.ParseDay(*day)
	if err != nil {
		return stored, false, err
	}
	stored, news, err = s.vault.SetExpiry(ctx, tx, r.ID, account, last, a.Name)
	if err != nil || !news {
		return stored, false, err
	}
	text, value := "The secret expires on "+last.End().Format("2 Jan 2006")+".", string(last)
	if last == "" {
		text, value = "The secret has no expiry set any more.", "none"
	}
	if err := s.vault.Record(ctx, tx, stored, credentials.EventExpirySet, "", eventActor(a), text); err != nil {
		return stored, false, err
	}
	return stored, true, s.record(ctx, tx, a, audit.Entry{
		Action: actionCredentialExpiry, Target: r.target(), Reason: reason, Details: map[string]string{"account": account, "expires_on": value},
	})
}

// onlyExpiry reports whether nothing of the credential is given but when it ends.
func (a Auth) onlyExpiry() bool { return a.Type == "" && len(a.Fields) == 0 && a.ExpiresOn != nil }
