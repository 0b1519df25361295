package credentials

import (
	"context"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// kindOAuth1 holds tokens of OAuth among the values that a person enters.
const kindOAuth1 = "oauth1"

// Revealable are the names of the secret fields of a credential that may be shown to an owner: those that a
// person entered, and nothing of OAuth.
func (c Credential) Revealable() []string {
	t, err := authtype.Lookup(c.AuthType)
	if _, granted := t.(authtype.Granted); err != nil || granted || c.AuthType == kindOAuth1 {
		return nil
	}
	var out []string
	for _, f := range t.Fields() {
		if f.Secret && c.Marks[f.Key] != "" {
			out = append(out, f.Key)
		}
	}
	return out
}

// Reveal returns the value of a secret field of an account, as tx sees it. It is the one function that returns a
// secret to a person; who may have it, and the record of it, are the caller's.
//
// Errors: ACCOUNT_NOT_FOUND, NOT_REVEALABLE for a field that is not set, is no secret or belongs to OAuth, and
// those of a value that does not open.
func (v *Vault) Reveal(ctx context.Context, tx *db.Tx, connectionID, account, field string) (Credential, telemetry.Secret, error) {
	r, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil {
		return Credential{}, telemetry.Secret{}, noAccount(err)
	}
	for _, key := range r.Revealable() {
		if key != field {
			continue
		}
		values, err := v.open(r)
		if err != nil {
			return Credential{}, telemetry.Secret{}, err
		}
		return r.Credential, telemetry.NewSecret(values[field]), nil
	}
	return Credential{}, telemetry.Secret{}, fault.Field("NOT_REVEALABLE", "field", "The account has no such secret that may be shown.")
}
