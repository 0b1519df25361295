package breakers

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/runtime/breaker"
)

const changeColumns = `id, connection_id, operation, epoch, seq, at, from_state, to_state, mode, cause, actor, reason,
	counts, last_outcome, samples, until, lease_until, config_version`

// clause is a WHERE clause in the making. Every value is a parameter.
type clause struct {
	parts []string
	args  []any
}

// and adds a condition on a value; a ? stands for it.
func (c *clause) and(condition string, value any) {
	c.args = append(c.args, value)
	c.parts = append(c.parts, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(c.args))))
}

func (c *clause) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(c.parts, ` AND `)
}

func (q HistoryQuery) clause() *clause {
	c := &clause{}
	if q.connectionID != "" {
		c.and(`connection_id = ?`, q.connectionID)
	}
	if q.Operation != "" {
		c.and(`operation = ?`, q.Operation)
	}
	if q.Cause != "" {
		c.and(`cause = ?`, q.Cause)
	}
	if !q.From.IsZero() {
		c.and(`at >= ?`, db.Micros(q.From))
	}
	if !q.To.IsZero() {
		c.and(`at < ?`, db.Micros(q.To))
	}
	return c
}

// history returns one page: by its number with a count of all, or after a cursor.
func (s store) history(ctx context.Context, q HistoryQuery) (History, error) {
	c, h := q.clause(), History{}
	beyond, order := "<", "DESC"
	if q.Oldest {
		beyond, order = ">", "ASC"
	}
	offset := 0
	if q.Page > 0 {
		if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM breaker_events`+c.where(), c.args...).Scan(&h.Total); err != nil {
			return History{}, err
		}
		offset = (q.Page - 1) * q.Limit
	} else if q.after.id != "" {
		n := len(c.args)
		c.args = append(c.args, q.after.at, q.after.seq, q.after.id)
		c.parts = append(c.parts, fmt.Sprintf(`(at, seq, id) %s ($%d, $%d, $%d)`, beyond, n+1, n+2, n+3))
	}
	args := append(slices.Clone(c.args), q.Limit+1, offset)
	var last position
	err := s.each(ctx, func(rows *sql.Rows) error {
		change, at, err := scanChange(rows)
		if err != nil {
			return err
		}
		if len(h.Changes) == q.Limit {
			h.Next = last.cursor()
			return nil
		}
		last = at
		h.Changes = append(h.Changes, change)
		return nil
	}, `SELECT `+changeColumns+` FROM breaker_events`+c.where()+
		fmt.Sprintf(` ORDER BY at %[1]s, seq %[1]s, id %[1]s LIMIT $%[2]d OFFSET $%[3]d`, order, len(args)-1, len(args)), args...)
	return h, err
}

func scanChange(rows *sql.Rows) (Change, position, error) {
	var (
		c                 Change
		p                 position
		epoch             int64
		counts, samples   string
		until, leaseUntil sql.NullInt64
	)
	e := &c.Event
	if err := rows.Scan(&p.id, &c.ConnectionID, &e.Key.Operation, &epoch, &p.seq, &p.at, &e.From, &e.To, &e.Mode, &e.Cause, &e.Actor, &e.Reason,
		&counts, &e.LastOutcome, &samples, &until, &leaseUntil, &c.Version); err != nil {
		return Change{}, position{}, err
	}
	e.Key.Connection = c.ConnectionID
	e.Epoch, e.Seq, e.At = uint64(epoch), uint64(p.seq), db.Time(p.at) //nolint:gosec // They were stored from such.
	e.Until, e.LeaseUntil = db.NullTime(until), db.NullTime(leaseUntil)
	var n breaker.Counts
	if err := json.Unmarshal([]byte(counts), &n); err != nil {
		return Change{}, position{}, fmt.Errorf("counts of %s: %w", p.id, err)
	}
	e.Counts = n
	if err := json.Unmarshal([]byte(samples), &e.Samples); err != nil {
		return Change{}, position{}, fmt.Errorf("samples of %s: %w", p.id, err)
	}
	return c, p, nil
}

// steps calls fn with the newest changes of the breakers of a connection from since on, the newest first, at
// most limit. It returns how many there were.
func (s store) steps(ctx context.Context, connectionID string, since time.Time, limit int, fn func(operation string, st step)) (n int, err error) {
	err = s.each(ctx, func(rows *sql.Rows) error {
		var (
			operation string
			at        int64
			st        step
		)
		if err := rows.Scan(&operation, &at, &st.from, &st.to); err != nil {
			return err
		}
		st.at = db.Time(at)
		n++
		fn(operation, st)
		return nil
	}, `SELECT operation, at, from_state, to_state FROM breaker_events WHERE connection_id = $1 AND at >= $2 ORDER BY at DESC, seq DESC, id DESC LIMIT $3`,
		connectionID, db.Micros(since), limit)
	return n, err
}
