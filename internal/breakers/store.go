package breakers

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/runtime/breaker"
)

// store holds all SQL of this package.
type store struct{ db *db.DB }

// save stores events, the states after them, and forgets commands that are in them. An event that is stored
// already stays as it is.
func (s store) save(ctx context.Context, events []breaker.Event, versions map[string]int, states []breaker.Durable, done []string, now time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for i := range events {
			if err := insertEvent(ctx, tx, &events[i], versions[events[i].Key.Connection]); err != nil {
				return err
			}
		}
		if err := putStates(ctx, tx, states, now); err != nil {
			return err
		}
		for _, id := range done {
			if _, err := tx.Exec(ctx, `DELETE FROM breaker_commands WHERE id = $1`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertEvent(ctx context.Context, tx *db.Tx, e *breaker.Event, version int) error {
	counts, err := json.Marshal(e.Counts)
	if err != nil {
		return err
	}
	samples := e.Samples
	if samples == nil {
		samples = []string{}
	}
	ids, err := json.Marshal(samples)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO breaker_events
		(id, connection_id, operation, epoch, seq, at, from_state, to_state, mode, cause, actor, reason,
		 counts, last_outcome, samples, until, lease_until, config_version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
		ON CONFLICT (connection_id, operation, seq, at) DO NOTHING`,
		db.NewID("bev"), e.Key.Connection, e.Key.Operation, int64(e.Epoch), int64(e.Seq), db.Micros(e.At), //nolint:gosec // Counters that start at 0.
		e.From, e.To, e.Mode, e.Cause, e.Actor, e.Reason, string(counts), e.LastOutcome, string(ids),
		db.NullMicros(e.Until), db.NullMicros(e.LeaseUntil), version)
	return err
}

func putStates(ctx context.Context, tx *db.Tx, states []breaker.Durable, now time.Time) error {
	for _, d := range states {
		text, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO breaker_states (connection_id, operation, state, updated_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (connection_id, operation) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at`,
			d.Key.Connection, d.Key.Operation, string(text), db.Micros(now)); err != nil {
			return err
		}
	}
	return nil
}

func (s store) saveStates(ctx context.Context, states []breaker.Durable, now time.Time) error {
	if len(states) == 0 {
		return nil
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error { return putStates(ctx, tx, states, now) })
}

func (s store) saveLimiters(ctx context.Context, changed map[string]string, gone []string, now time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(changed)) {
			if _, err := tx.Exec(ctx, `INSERT INTO limiter_states (connection_id, state, updated_at) VALUES ($1, $2, $3)
				ON CONFLICT (connection_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at`,
				id, changed[id], db.Micros(now)); err != nil {
				return err
			}
		}
		for _, id := range gone {
			if _, err := tx.Exec(ctx, `DELETE FROM limiter_states WHERE connection_id = $1`, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// kept is what a start finds.
type kept struct {
	states   []string
	commands []command
	limiters map[string]string
}

func (s store) load(ctx context.Context) (kept, error) {
	k := kept{limiters: map[string]string{}}
	err := s.each(ctx, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		k.states = append(k.states, text)
		return err
	}, `SELECT state FROM breaker_states ORDER BY connection_id, operation`)
	if err != nil {
		return kept{}, err
	}
	err = s.each(ctx, func(rows *sql.Rows) error {
		var id, text string
		err := rows.Scan(&id, &text)
		k.limiters[id] = text
		return err
	}, `SELECT connection_id, state FROM limiter_states`)
	if err != nil {
		return kept{}, err
	}
	err = s.each(ctx, func(rows *sql.Rows) error {
		var (
			c     command
			until sql.NullInt64
			at    int64
		)
		err := rows.Scan(&c.id, &c.key.Connection, &c.key.Operation, &c.verb, &c.actor, &c.reason, &until, &at)
		c.until, c.at = db.NullTime(until), db.Time(at)
		k.commands = append(k.commands, c)
		return err
	}, `SELECT id, connection_id, operation, verb, actor, reason, until, at FROM breaker_commands ORDER BY at, id`)
	return k, err
}

func (s store) each(ctx context.Context, scan func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (store) insertCommand(ctx context.Context, tx *db.Tx, c command) error {
	_, err := tx.Exec(ctx, `INSERT INTO breaker_commands (id, connection_id, operation, verb, actor, reason, until, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.id, c.key.Connection, c.key.Operation, c.verb, c.actor, c.reason, db.NullMicros(c.until), db.Micros(c.at))
	return err
}

// forget deletes what is kept for connections that are gone. Their history stays for its time.
func (s store) forget(ctx context.Context, gone func(connectionID string) bool) error {
	var ids []string
	err := s.each(ctx, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if gone(id) {
			ids = append(ids, id)
		}
		return nil
	}, `SELECT connection_id FROM breaker_states UNION SELECT connection_id FROM breaker_commands UNION SELECT connection_id FROM limiter_states`)
	if err != nil || len(ids) == 0 {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			for _, statement := range []string{
				`DELETE FROM breaker_states WHERE connection_id = $1`,
				`DELETE FROM breaker_commands WHERE connection_id = $1`,
				`DELETE FROM limiter_states WHERE connection_id = $1`,
			} {
				if _, err := tx.Exec(ctx, statement, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// drop deletes the states of breakers that are gone.
func (s store) drop(ctx context.Context, gone []breaker.Key) error {
	if len(gone) == 0 {
		return nil
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, key := range gone {
			if _, err := tx.Exec(ctx, `DELETE FROM breaker_states WHERE connection_id = $1 AND operation = $2`, key.Connection, key.Operation); err != nil {
				return err
			}
		}
		return nil
	})
}

// prune deletes old events, a bounded number at a time so that nobody waits for it.
func (s store) prune(ctx context.Context, before time.Time) error {
	const most = 1000
	for {
		var n int64
		err := s.db.InTx(ctx, func(tx *db.Tx) error {
			result, err := tx.Exec(ctx, `DELETE FROM breaker_events WHERE id IN
				(SELECT id FROM breaker_events WHERE at < $1 ORDER BY at LIMIT $2)`, db.Micros(before), most)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if err != nil || n < most {
			return err
		}
	}
}

// role returns the role that a user has now, or a fault.NotFound when the account is gone or disabled.
func (store) role(ctx context.Context, tx *db.Tx, userID string) (access.Role, error) {
	var role access.Role
	err := tx.QueryRow(ctx, `SELECT role FROM users WHERE id = $1 AND disabled_at IS NULL`, userID).Scan(&role)
	return role, err
}

// keyUsable reports whether an API key is neither revoked nor expired. Its scopes never change.
func (store) keyUsable(ctx context.Context, tx *db.Tx, keyID string, now time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM api_keys
		WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`, keyID, db.Micros(now)).Scan(&n)
	return n > 0, err
}

// exists reports whether a connection is there now.
func (store) exists(ctx context.Context, tx *db.Tx, connectionID string) error {
	var id string
	if err := tx.QueryRow(ctx, `SELECT id FROM connections WHERE id = $1`, connectionID).Scan(&id); err != nil {
		return fmt.Errorf("breakers: find the connection: %w", err)
	}
	return nil
}
