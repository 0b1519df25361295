package alerts

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
)

// store holds the SQL of this package, in the files store*.go.
type store struct{ db *db.DB }

// querier is what reads: the pool or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func each(ctx context.Context, q querier, fn func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// moment is a time that 0 stands for none of.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return db.Time(us)
}

func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// role returns the role that a user has now, or a fault.NotFound when the account is gone or disabled.
func (store) role(ctx context.Context, tx *db.Tx, userID string) (access.Role, error) {
	var role access.Role
	err := tx.QueryRow(ctx, `SELECT role FROM users WHERE id = $1 AND disabled_at IS NULL`, userID).Scan(&role)
	return role, err
}

// keyUsable reports whether an API key is neither revoked nor expired.
func (store) keyUsable(ctx context.Context, tx *db.Tx, keyID string, now time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM api_keys
		WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`, keyID, db.Micros(now)).Scan(&n)
	return n > 0, err
}

const ruleColumns = `id, name, kind, enabled, severity, scope, params, hold_us, repeat_us, channels, notify_resolved, created_at, updated_at`

// rules returns every rule, the oldest first.
func (store) rules(ctx context.Context, q querier) ([]Rule, error) {
	var out []Rule
	err := each(ctx, q, func(rows *sql.Rows) error {
		r, err := scanRule(rows)
		out = append(out, r)
		return err
	}, `SELECT `+ruleColumns+` FROM alert_rules ORDER BY created_at, id`)
	return out, err
}

func scanRule(rows *sql.Rows) (Rule, error) {
	var (
		r                              Rule
		scope, params, channels        string
		hold, repeat, created, updated int64
		given                          map[string]string
	)
	if err := rows.Scan(&r.ID, &r.Name, &r.Kind, &r.Enabled, &r.Severity, &scope, &params, &hold, &repeat, &channels, &r.NotifyResolved, &created, &updated); err != nil {
		return r, err
	}
	for _, part := range []struct {
		text string
		into any
	}{{scope, &r.Scope}, {params, &given}, {channels, &r.Channels}} {
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return r, fmt.Errorf("rule %s is not readable: %w", r.ID, err)
		}
	}
	r.Params = given
	if kind, err := LookupKind(r.Kind); err == nil { // a parameter that is newer than the rule has its default
		if p, err := kind.Info().complete(given); err == nil {
			r.Params = p
		}
	}
	r.For, r.Repeat = time.Duration(hold)*time.Microsecond, time.Duration(repeat)*time.Microsecond
	r.CreatedAt, r.UpdatedAt = moment(created), moment(updated)
	return r, nil
}

func (store) putRule(ctx context.Context, tx *db.Tx, r Rule) error {
	scope, err := encode(r.Scope)
	if err != nil {
		return err
	}
	params, err := encode(r.Params)
	if err != nil {
		return err
	}
	if r.Channels == nil {
		r.Channels = []string{}
	}
	channels, err := encode(r.Channels)
	if err != nil {
		return err
	}
	var created int64
	if !r.CreatedAt.IsZero() {
		created = db.Micros(r.CreatedAt)
	}
	_, err = tx.Exec(ctx, `INSERT INTO alert_rules (`+ruleColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind, enabled = excluded.enabled, severity = excluded.severity,
			scope = excluded.scope, params = excluded.params, hold_us = excluded.hold_us, repeat_us = excluded.repeat_us,
			channels = excluded.channels, notify_resolved = excluded.notify_resolved, updated_at = excluded.updated_at`,
		r.ID, r.Name, r.Kind, flag(r.Enabled), string(r.Severity), scope, params, r.For.Microseconds(), r.Repeat.Microseconds(), channels,
		flag(r.NotifyResolved), created, db.Micros(r.UpdatedAt))
	return err
}

func (store) deleteRule(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM alert_mutes WHERE rule_id = $1`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM alert_rules WHERE id = $1`, id)
	return err
}

const muteColumns = `id, rule_id, connection_id, connection, until, reason, created_by, created_at`

// mutes returns those that end after a moment, the one that ends first first.
func (store) mutes(ctx context.Context, q querier, after time.Time) ([]Mute, error) {
	var out []Mute
	err := each(ctx, q, func(rows *sql.Rows) error {
		var (
			m              Mute
			until, created int64
		)
		if err := rows.Scan(&m.ID, &m.RuleID, &m.ConnectionID, &m.Connection, &until, &m.Reason, &m.By, &created); err != nil {
			return err
		}
		m.Until, m.CreatedAt = db.Time(until), db.Time(created)
		out = append(out, m)
		return nil
	}, `SELECT `+muteColumns+` FROM alert_mutes WHERE until > $1 ORDER BY until, id`, db.Micros(after))
	return out, err
}

func (store) putMute(ctx context.Context, tx *db.Tx, m Mute) error {
	_, err := tx.Exec(ctx, `INSERT INTO alert_mutes (`+muteColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET until = excluded.until, reason = excluded.reason`,
		m.ID, m.RuleID, m.ConnectionID, m.Connection, db.Micros(m.Until), m.Reason, m.By, db.Micros(m.CreatedAt))
	return err
}

func (store) deleteMute(ctx context.Context, tx *db.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM alert_mutes WHERE id = $1`, id)
	return err
}
