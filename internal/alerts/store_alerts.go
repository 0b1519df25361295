package alerts

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"switchgear/db"
)

const alertColumns = `id, fingerprint, rule_id, rule_name, rule_kind, severity, connection_id, connection, connection_name, environment, operation,
	state, why, resolved_why, opened_at, changed_at, resolved_at, acknowledged_at, acknowledged_by, acknowledged_note, flaps, flapping,
	announced, owed, told, reminded_at, fired_at, fired_before_us, carried_by, gathered, summarised_at`

func scanAlert(rows *sql.Rows) (Alert, error) {
	var (
		a                      Alert
		opened, changed        int64
		resolved, ack, rem     sql.NullInt64
		told                   string
		toldMicros             []int64
		announced, owed, flaps int
		fired, before          int64
		summarised             sql.NullInt64
	)
	if err := rows.Scan(&a.ID, &a.Fingerprint, &a.RuleID, &a.RuleName, &a.RuleKind, &a.Severity, &a.ConnectionID, &a.Connection, &a.ConnectionName,
		&a.Environment, &a.Operation, &a.State, &a.Why, &a.ResolvedWhy, &opened, &changed, &resolved, &ack, &a.Acknowledged.By, &a.Acknowledged.Note,
		&flaps, &a.Flapping, &announced, &owed, &told, &rem, &fired, &before, &a.CarriedBy, &a.gathered, &summarised); err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(told), &toldMicros); err != nil {
		return a, fmt.Errorf("alert %s is not readable: %w", a.ID, err)
	}
	for _, us := range toldMicros {
		a.told = append(a.told, db.Time(us))
	}
	a.Flaps, a.announced, a.owed = flaps, announced != 0, owed != 0
	a.OpenedAt, a.ChangedAt, a.ResolvedAt = db.Time(opened), db.Time(changed), db.NullTime(resolved)
	a.FiredAt, a.FiredBefore, a.SummarisedAt = db.Time(fired), time.Duration(before)*time.Microsecond, db.NullTime(summarised)
	a.Acknowledged.At, a.remindedAt = db.NullTime(ack), db.NullTime(rem)
	return a, nil
}

func (store) alerts(ctx context.Context, q querier, rest string, args ...any) ([]Alert, error) {
	var out []Alert
	err := each(ctx, q, func(rows *sql.Rows) error {
		a, err := scanAlert(rows)
		out = append(out, a)
		return err
	}, `SELECT `+alertColumns+` FROM alerts `+rest, args...)
	return out, err
}

// open returns the alerts that fire, that flap, that wait to be told, or that ended after a moment: those that the evaluator follows.
func (s store) open(ctx context.Context, after time.Time) ([]Alert, error) {
	return s.alerts(ctx, s.db, `WHERE state = 'firing' OR flapping = 1 OR gathered = 1 OR (state = 'resolved' AND changed_at > $1) ORDER BY changed_at, id`, db.Micros(after))
}

func (s store) alert(ctx context.Context, q querier, id string) (Alert, bool, error) {
	all, err := s.alerts(ctx, q, `WHERE id = $1`, id)
	if err != nil || len(all) == 0 {
		return Alert{}, false, err
	}
	return all[0], true, nil
}

func (s store) putAlert(ctx context.Context, tx *db.Tx, a *Alert) error {
	micros := make([]int64, len(a.told))
	for i, at := range a.told {
		micros[i] = db.Micros(at)
	}
	told, err := encode(micros)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO alerts (`+alertColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)
		ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, rule_name = excluded.rule_name, state = excluded.state, why = excluded.why,
			resolved_why = excluded.resolved_why, changed_at = excluded.changed_at, resolved_at = excluded.resolved_at,
			acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by, acknowledged_note = excluded.acknowledged_note,
			flaps = excluded.flaps, flapping = excluded.flapping, announced = excluded.announced, owed = excluded.owed, told = excluded.told,
			reminded_at = excluded.reminded_at, fired_at = excluded.fired_at, fired_before_us = excluded.fired_before_us,
			carried_by = excluded.carried_by, gathered = excluded.gathered, summarised_at = excluded.summarised_at`,
		a.ID, a.Fingerprint, a.RuleID, a.RuleName, a.RuleKind, string(a.Severity), a.ConnectionID, a.Connection, a.ConnectionName, a.Environment,
		a.Operation, string(a.State), a.Why, a.ResolvedWhy, db.Micros(a.OpenedAt), db.Micros(a.ChangedAt), db.NullMicros(a.ResolvedAt),
		db.NullMicros(a.Acknowledged.At), a.Acknowledged.By, a.Acknowledged.Note, a.Flaps, flag(a.Flapping), flag(a.announced), flag(a.owed), told,
		db.NullMicros(a.remindedAt), db.Micros(a.FiredAt), a.FiredBefore.Microseconds(), a.CarriedBy, flag(a.gathered), db.NullMicros(a.SummarisedAt))
	if err != nil {
		return err
	}
	return s.putEpisode(ctx, tx, a)
}

const byUrgency = `ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, opened_at, id`

func (s store) firing(ctx context.Context, slugs []string) ([]Alert, error) {
	places, args := make([]string, len(slugs)), make([]any, len(slugs))
	for i, slug := range slugs {
		places[i], args[i] = fmt.Sprintf("$%d", i+1), slug
	}
	return s.alerts(ctx, s.db, fmt.Sprintf(`WHERE id IN (
		SELECT id FROM (
			SELECT id, ROW_NUMBER() OVER (PARTITION BY connection %s) AS place FROM alerts WHERE state = 'firing' AND connection IN (%s)
		) AS firing WHERE place <= %d
	) %s`, byUrgency, strings.Join(places, ", "), maxLimit, byUrgency), args...)
}

// list returns a page of alerts, and how many there are in all.
func (s store) list(ctx context.Context, q Query) ([]Alert, int, error) {
	var (
		where []string
		args  []any
	)
	add := func(column, value string) {
		if value != "" {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s = $%d", column, len(args)))
		}
	}
	add("state", string(q.State))
	add("severity", string(q.Severity))
	add("connection", q.Connection)
	add("rule_id", q.RuleID)
	if q.Acknowledged {
		where = append(where, "state = 'firing' AND acknowledged_at IS NOT NULL")
	}
	if !q.From.IsZero() {
		args = append(args, db.Micros(q.From))
		where = append(where, fmt.Sprintf("opened_at >= $%d", len(args)))
	}
	if !q.To.IsZero() {
		args = append(args, db.Micros(q.To))
		where = append(where, fmt.Sprintf("opened_at < $%d", len(args)))
	}
	filter := ""
	if len(where) > 0 {
		filter = "WHERE " + strings.Join(where, " AND ")
	}
	var total int
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM alerts `+filter, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	order := `ORDER BY CASE state WHEN 'firing' THEN 0 ELSE 1 END, opened_at DESC, id DESC`
	switch q.Sort {
	case "opened_at":
		order = `ORDER BY opened_at, id`
	case "-opened_at":
		order = `ORDER BY opened_at DESC, id DESC`
	case SortUrgency:
		order = byUrgency
	}
	n := len(args)
	page, err := s.alerts(ctx, s.db, fmt.Sprintf("%s %s LIMIT $%d OFFSET $%d", filter, order, n+1, n+2), append(args, q.Limit, (q.Page-1)*q.Limit)...)
	return page, total, err
}

func (s store) unacknowledged(ctx context.Context) (n int, err error) {
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM alerts WHERE state = 'firing' AND acknowledged_at IS NULL AND carried_by = ''`).Scan(&n)
	return n, err
}

// mostDeleted bounds the rows that one transaction deletes.
const mostDeleted = 5_000

// mostRounds bounds how many transactions one deletion takes.
const mostRounds = 200

// prune deletes what ended before a moment, and the oldest alerts beyond a number: so much at a time that
// others can write in between.
func (s store) prune(ctx context.Context, before time.Time, most int) error {
	for range mostRounds {
		more, err := s.pruneSome(ctx, before, most)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// pruneSome reports whether there may be more to delete.
func (s store) pruneSome(ctx context.Context, before time.Time, most int) (more bool, err error) {
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		more = false
		for _, del := range []struct {
			query string
			args  []any
		}{
			{`DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE state = 'resolved' AND changed_at < $1 ORDER BY changed_at LIMIT $2)`, []any{db.Micros(before), mostDeleted}},
			{`DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE state = 'resolved' ORDER BY opened_at DESC, id DESC LIMIT $1 OFFSET $2)`, []any{mostDeleted, most}},
			{`DELETE FROM alert_episodes WHERE alert_id IN (SELECT e.alert_id FROM alert_episodes e LEFT JOIN alerts a ON a.id = e.alert_id WHERE a.id IS NULL LIMIT $1)`, []any{mostDeleted}},
			{`DELETE FROM alert_notifications WHERE id IN (SELECT id FROM alert_notifications WHERE finished_at < $1 ORDER BY created_at LIMIT $2)`, []any{db.Micros(before), mostDeleted}},
			{`DELETE FROM alert_notifications WHERE id IN (SELECT id FROM alert_notifications WHERE finished_at IS NOT NULL ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2)`, []any{mostDeleted, 10 * most}},
			{`DELETE FROM alert_mutes WHERE until < $1`, []any{db.Micros(before)}},
		} {
			result, err := tx.Exec(ctx, del.query, del.args...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			more = more || n >= mostDeleted
		}
		return nil
	})
	return more, err
}
