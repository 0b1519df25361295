package connect

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
)

// store holds the SQL of this package.
type store struct{ db *db.DB }

// settings are the parts of a flow that nothing searches for.
type settings struct {
	Slug            string        `json:"slug"`
	RedirectURI     string        `json:"redirect_uri,omitempty"`
	Server          string        `json:"server"`
	TokenURL        string        `json:"token_url"`
	Issuer          string        `json:"issuer,omitempty"`
	IssuerRequired  bool          `json:"issuer_required,omitempty"`
	Origin          string        `json:"origin,omitempty"`
	Requested       []string      `json:"requested,omitempty"`
	Granted         []string      `json:"granted,omitempty"`
	UserCode        string        `json:"user_code,omitempty"`
	VerificationURL string        `json:"verification_url,omitempty"`
	CompleteURL     string        `json:"complete_url,omitempty"`
	Interval        time.Duration `json:"interval,omitempty"`
}

func (f Flow) settings() settings {
	return settings{
		Slug: f.Slug, RedirectURI: f.RedirectURI, Server: f.Server, TokenURL: f.tokenURL, Issuer: f.issuer, IssuerRequired: f.issuerRequired,
		Requested: f.Requested, Granted: f.Granted, UserCode: f.UserCode, VerificationURL: f.VerificationURL, CompleteURL: f.CompleteURL,
		Interval: f.Interval, Origin: f.origin,
	}
}

const flowColumns = `id, session_id, binding_hash, connection_id, account, provider, grant_kind, sealed, settings,
	actor_kind, actor_id, actor_name, status, step, error_code, error_text, poll_at, created_at, expires_at, ended_at`

func scanFlow(row interface{ Scan(dest ...any) error }) (Flow, error) {
	var (
		f                Flow
		text             string
		created, expires int64
		poll, ended      sql.NullInt64
		s                settings
	)
	err := row.Scan(&f.ID, &f.SessionID, &f.binding, &f.ConnectionID, &f.Account, &f.Provider, &f.Grant, &f.sealed, &text,
		&f.Actor.Kind, &f.Actor.ID, &f.Actor.Name, &f.Status, &f.Step, &f.Code, &f.Problem, &poll, &created, &expires, &ended)
	if err != nil {
		return Flow{}, err
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Flow{}, fmt.Errorf("connect: the settings of %s are not readable: %w", f.ID, err)
	}
	f.Slug, f.RedirectURI, f.Server, f.tokenURL, f.issuer, f.issuerRequired = s.Slug, s.RedirectURI, s.Server, s.TokenURL, s.Issuer, s.IssuerRequired
	f.Requested, f.Granted, f.UserCode, f.VerificationURL, f.CompleteURL = s.Requested, s.Granted, s.UserCode, s.VerificationURL, s.CompleteURL
	f.Interval, f.origin = s.Interval, s.Origin
	f.PollAt, f.CreatedAt, f.ExpiresAt, f.EndedAt = db.NullTime(poll), db.Time(created), db.Time(expires), db.NullTime(ended)
	return f, nil
}

func (s store) insert(ctx context.Context, f Flow, stateHash string, keyID uint32) error {
	text, err := json.Marshal(f.settings())
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO oauth_flows (id, state_hash, binding_hash, connection_id, account, provider, grant_kind, sealed, key_id,
				settings, actor_kind, actor_id, actor_name, status, step, error_code, error_text, poll_at, created_at, expires_at, session_id)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', '', '', $15, $16, $17, $18)`,
			f.ID, stateHash, f.binding, f.ConnectionID, f.Account, f.Provider, f.Grant, f.sealed, int64(keyID), string(text),
			f.Actor.Kind, f.Actor.ID, f.Actor.Name, f.Status, db.NullMicros(f.PollAt), db.Micros(f.CreatedAt), db.Micros(f.ExpiresAt), f.SessionID)
		return err
	})
}

func (s store) find(ctx context.Context, id string) (Flow, error) {
	return scanFlow(s.db.QueryRow(ctx, `SELECT `+flowColumns+` FROM oauth_flows WHERE id = $1`, id))
}

// take uses a state up. Whoever gets the flow is the only one; fault.NotFound is the answer to every other.
func (s store) take(ctx context.Context, stateHash string, now time.Time) (f Flow, err error) {
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		f, err = scanFlow(tx.QueryRow(ctx, `UPDATE oauth_flows SET status = $3 WHERE state_hash = $1 AND status = $2 AND expires_at > $4
			RETURNING `+flowColumns, stateHash, StatusPending, StatusWorking, db.Micros(now)))
		return err
	})
	return f, err
}

// poll takes the right to ask about a device now; false when it is too early, or somebody else does.
func (s store) poll(ctx context.Context, id string, now, next time.Time) (ok bool, err error) {
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		result, err := tx.Exec(ctx, `UPDATE oauth_flows SET poll_at = $4 WHERE id = $1 AND status = $2 AND poll_at <= $3`,
			id, StatusPending, db.Micros(now), db.Micros(next))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		ok = n == 1
		return err
	})
	return ok, err
}

// end stores what became of a flow. One that has ended stays as it is.
func (s store) end(ctx context.Context, f Flow) error {
	text, err := json.Marshal(f.settings())
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE oauth_flows SET status = $2, step = $3, error_code = $4, error_text = $5, settings = $6, ended_at = $7, sealed = ''
			WHERE id = $1 AND ended_at IS NULL`, f.ID, f.Status, f.Step, f.Code, f.Problem, string(text), db.NullMicros(f.EndedAt))
		return err
	})
}

// slower stores a longer interval between two questions about a device.
func (s store) slower(ctx context.Context, f Flow) error {
	text, err := json.Marshal(f.settings())
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE oauth_flows SET settings = $2, poll_at = $3 WHERE id = $1`, f.ID, string(text), db.NullMicros(f.PollAt))
		return err
	})
}

// forget removes flows that began before.
func (s store) forget(ctx context.Context, before time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, statement := range []string{`DELETE FROM oauth_flows WHERE created_at < $1`, `DELETE FROM connect_sessions WHERE created_at < $1`} {
			if _, err := tx.Exec(ctx, statement, db.Micros(before)); err != nil {
				return err
			}
		}
		return nil
	})
}

func noFlow(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "CONSENT_NOT_FOUND", "There is no such consent under way.")
	}
	return err
}
