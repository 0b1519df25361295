package health

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"switchgear/db"
	"switchgear/internal/runtime"
)

type store struct{ db *db.DB }

// storedCheck is the last check of a connection as it is stored with its state.
type storedCheck struct {
	At           time.Time       `json:"at"`
	Method       string          `json:"method"`
	Path         string          `json:"path"`
	Status       int             `json:"status,omitempty"`
	Outcome      runtime.Outcome `json:"outcome"`
	Took         time.Duration   `json:"took_ns"`
	InARow       int             `json:"in_a_row,omitempty"`
	FailingSince time.Time       `json:"failing_since,omitzero"`
	Expected     int             `json:"expected_status,omitempty"`
	Redirect     string          `json:"redirect,omitempty"`
	Cut          bool            `json:"cut,omitempty"`
}

// load returns what is known of each connection from before the start.
func (s store) load(ctx context.Context) (map[string]*mark, map[string]*Check, error) {
	marks, checks := map[string]*mark{}, map[string]*Check{}
	err := s.each(ctx, func(rows *sql.Rows) error {
		var (
			id, state, last string
			since           int64
		)
		if err := rows.Scan(&id, &state, &since, &last); err != nil {
			return err
		}
		if state != "" {
			marks[id] = &mark{state: State(state), since: db.Time(since)}
		}
		if last == "" {
			return nil
		}
		var c storedCheck
		if err := json.Unmarshal([]byte(last), &c); err != nil {
			return fmt.Errorf("the last check of %s: %w", id, err)
		}
		checks[id] = &Check{
			ConnectionID: id, At: c.At, Method: c.Method, Path: c.Path, Status: c.Status, Outcome: c.Outcome, Took: c.Took, InARow: c.InARow, FailingSince: c.FailingSince,
			Expected: c.Expected, Redirect: c.Redirect, Cut: c.Cut,
		}
		return nil
	}, `SELECT connection_id, state, since, last_check FROM health_states`)
	return marks, checks, err
}

func (s store) each(ctx context.Context, fn func(rows *sql.Rows) error, query string, args ...any) error {
	rows, err := s.db.Query(ctx, query, args...)
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

// save stores changes and results in one transaction, with the states after them.
func (s store) save(ctx context.Context, changes []Change, results []Check) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, c := range changes {
			if _, err := tx.Exec(ctx, `INSERT INTO health_changes (id, connection_id, at, from_state, to_state, why, actor) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				db.NewID("hch"), c.ConnectionID, db.Micros(c.At), string(c.From), string(c.To), c.Why, c.Actor); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO health_states (connection_id, state, since, last_check) VALUES ($1, $2, $3, '')
				ON CONFLICT (connection_id) DO UPDATE SET state = excluded.state, since = excluded.since`,
				c.ConnectionID, string(c.To), db.Micros(c.At)); err != nil {
				return err
			}
		}
		for i := range results {
			if err := saveCheck(ctx, tx, &results[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func saveCheck(ctx context.Context, tx *db.Tx, c *Check) error {
	text, err := json.Marshal(storedCheck{c.At, c.Method, c.Path, c.Status, c.Outcome, c.Took, c.InARow, c.FailingSince, c.Expected, c.Redirect, c.Cut})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO health_checks (id, connection_id, at, method, path, status, outcome, took_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		db.NewID("hck"), c.ConnectionID, db.Micros(c.At), c.Method, c.Path, c.Status, string(c.Outcome), c.Took.Microseconds()); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO health_states (connection_id, state, since, last_check) VALUES ($1, '', 0, $2)
		ON CONFLICT (connection_id) DO UPDATE SET last_check = excluded.last_check`, c.ConnectionID, string(text))
	return err
}

// history returns one page of changes, each with when the next one came.
func (s store) history(ctx context.Context, connectionID string, q HistoryQuery) (History, error) {
	where, args := `c.connection_id = $1`, []any{connectionID}
	and := func(condition string, value any) {
		args = append(args, value)
		where += fmt.Sprintf(` AND `+condition, len(args))
	}
	if !q.From.IsZero() {
		and(`c.at >= $%d`, db.Micros(q.From))
	}
	if !q.To.IsZero() {
		and(`c.at < $%d`, db.Micros(q.To))
	}
	if q.State != "" {
		and(`c.to_state = $%d`, string(q.State))
	}
	var h History
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM health_changes AS c WHERE `+where, args...).Scan(&h.Total); err != nil {
		return History{}, err
	}
	order := "DESC"
	if q.Oldest {
		order = "ASC"
	}
	args = append(args, q.Limit, (q.Page-1)*q.Limit)
	err := s.each(ctx, func(rows *sql.Rows) error {
		var (
			c     Change
			at    int64
			until sql.NullInt64
		)
		if err := rows.Scan(&c.ConnectionID, &at, &c.From, &c.To, &c.Why, &c.Actor, &until); err != nil {
			return err
		}
		c.At, c.Until = db.Time(at), db.NullTime(until)
		h.Changes = append(h.Changes, c)
		return nil
	}, fmt.Sprintf(`SELECT c.connection_id, c.at, c.from_state, c.to_state, c.why, c.actor,
			(SELECT n.at FROM health_changes AS n WHERE n.connection_id = c.connection_id AND (n.at, n.id) > (c.at, c.id) ORDER BY n.at, n.id LIMIT 1)
		FROM health_changes AS c WHERE %[1]s ORDER BY c.at %[2]s, c.id %[2]s LIMIT $%[3]d OFFSET $%[4]d`, where, order, len(args)-1, len(args)), args...)
	return h, err
}

// maxCourse bounds how many changes of a connection are read at once, the newest.
const maxCourse = 10_000

// course returns the changes of a connection since then, the oldest first, with the last one before.
func (s store) course(ctx context.Context, connectionID string, since time.Time) ([]Change, error) {
	var out []Change
	err := s.each(ctx, func(rows *sql.Rows) error {
		var (
			c  Change
			at int64
		)
		if err := rows.Scan(&at, &c.From, &c.To); err != nil {
			return err
		}
		c.At = db.Time(at)
		out = append(out, c)
		return nil
	}, `SELECT at, from_state, to_state FROM health_changes WHERE connection_id = $1
		AND at >= COALESCE((SELECT MAX(at) FROM health_changes WHERE connection_id = $1 AND at <= $2), $2) ORDER BY at DESC, id DESC LIMIT $3`,
		connectionID, db.Micros(since), maxCourse)
	slices.Reverse(out)
	return out, err
}

// mostDeleted bounds the rows that one transaction deletes.
const mostDeleted = 20_000

// prune deletes old changes, those beyond a number, and old results, a bounded amount at a time.
func (s store) prune(ctx context.Context, changes time.Time, most int, checks time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, del := range []struct {
			query string
			args  []any
		}{
			{`DELETE FROM health_changes WHERE id IN (SELECT id FROM health_changes WHERE at < $1 ORDER BY at LIMIT $2)`, []any{db.Micros(changes), mostDeleted}},
			{`DELETE FROM health_changes WHERE id IN (SELECT id FROM health_changes ORDER BY at DESC, id DESC LIMIT $1 OFFSET $2)`, []any{mostDeleted, most}},
			{`DELETE FROM health_checks WHERE id IN (SELECT id FROM health_checks WHERE at < $1 ORDER BY at LIMIT $2)`, []any{db.Micros(checks), mostDeleted}},
		} {
			if _, err := tx.Exec(ctx, del.query, del.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// forget deletes the states of connections that are gone. Their history stays until it is old.
func (s store) forget(ctx context.Context, gone func(id string) bool) error {
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
	}, `SELECT connection_id FROM health_states`)
	if err != nil || len(ids) == 0 {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec(ctx, `DELETE FROM health_states WHERE connection_id = $1`, id); err != nil {
				return err
			}
		}
		return nil
	})
}
