package audit

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"

	"switchgear/db"
	"switchgear/internal/fault"
)

// store holds all SQL of the record.
type store struct{ db *db.DB }

const columns = `seq, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name,
	reason, details, request_id, ip, mac, actor_search, target_search, search`

// inChain selects the rows that can belong to the chain. Whoever writes around the schema can leave
// rows without a number or with a text as one; they must not break what is read, and Verify counts them.
const inChain = `seq = CAST(seq AS BIGINT)`

// rowQuerier is what the database and a transaction have in common here.
type rowQuerier interface {
	QueryRow(ctx context.Context, query string, args ...any) *db.Row
}

// head is the newest row that another one can follow: not the last of all numbers, which nobody gave out.
func (store) head(ctx context.Context, q rowQuerier) (Anchor, error) {
	var seq, mac any
	err := q.QueryRow(ctx, `SELECT seq, mac FROM audit_entries
		WHERE `+inChain+` AND seq < $1 ORDER BY seq DESC LIMIT 1`, int64(math.MaxInt64)).Scan(&seq, &mac)
	if fault.Is(err, fault.NotFound) {
		return Anchor{}, nil
	}
	var a Anchor
	a.Seq, _ = number(seq)
	a.MAC, _ = text(mac)
	return a, err
}

func (store) insert(ctx context.Context, tx *db.Tx, r row) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_entries (`+columns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		r.seq, r.at, r.actorKind, r.actorID, r.actorName, r.action, r.targetKind, r.targetID, r.targetName,
		r.reason, r.details, r.requestID, r.ip, r.mac, r.actorSearch, r.targetSearch, r.search)
	return err
}

// foreign counts the rows that each does not visit up to the row after, apart from the number that it
// did visit. Rows that were appended in the meantime do not count.
func (s store) foreign(ctx context.Context, after, visited int64) (int64, error) {
	var all, newer int64
	err := s.db.QueryRow(ctx, `SELECT COUNT(*), COUNT(CASE WHEN `+inChain+` AND seq > $1 THEN 1 END) FROM audit_entries`, after).
		Scan(&all, &newer)
	return all - newer - visited, err
}

// each calls fn for the rows after a sequence number, in order, limit rows at most.
func (s store) each(ctx context.Context, after int64, limit int, fn func(row)) error {
	return s.query(ctx, fn, `SELECT `+columns+` FROM audit_entries WHERE seq > $1 AND `+inChain+` ORDER BY seq LIMIT $2`, after, limit)
}

func (s store) search(ctx context.Context, q Query) (Page, error) {
	where, args := conditions(q)
	var page Page
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM audit_entries`+where, args...).Scan(&page.Total); err != nil {
		return Page{}, err
	}
	n := len(args)
	args = append(args, q.Limit, (q.Page-1)*q.Limit)
	err := s.query(ctx, func(r row) { page.Entries = append(page.Entries, r.entry()) },
		`SELECT `+columns+` FROM audit_entries`+where+
			` ORDER BY seq DESC LIMIT $`+strconv.Itoa(n+1)+` OFFSET $`+strconv.Itoa(n+2), args...)
	return page, err
}

// conditions builds the WHERE clause of a search. Every value is a parameter.
func conditions(q Query) (string, []any) {
	var (
		parts = []string{inChain}
		args  []any
	)
	param := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	contains := func(column, s string) string {
		return column + ` LIKE ` + param("%"+db.Like(strings.ToLower(s))+"%") + ` ESCAPE '\'`
	}
	if q.Text != "" {
		parts = append(parts, contains("search", q.Text))
	}
	if q.Action != "" {
		parts = append(parts, `action = `+param(q.Action))
	}
	if q.Actor != "" {
		parts = append(parts, `(actor_id = `+param(q.Actor)+` OR `+contains("actor_search", q.Actor)+`)`)
	}
	if q.Target != "" {
		parts = append(parts, `(target_id = `+param(q.Target)+` OR `+contains("target_search", q.Target)+`)`)
	}
	if !q.From.IsZero() {
		parts = append(parts, `at >= `+param(db.Micros(q.From)))
	}
	if !q.To.IsZero() {
		parts = append(parts, `at < `+param(db.Micros(q.To)))
	}
	return ` WHERE ` + strings.Join(parts, ` AND `), args
}

func (s store) actions(ctx context.Context) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT DISTINCT action FROM audit_entries WHERE `+inChain+` AND action IS NOT NULL ORDER BY action`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

func (s store) query(ctx context.Context, fn func(row), query string, args ...any) error {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return err
		}
		fn(r)
	}
	return rows.Err()
}

// scan takes a row as it is. A value of a wrong type makes the row odd rather than unreadable: one
// damaged row must not hide the others.
func scan(rows *sql.Rows) (row, error) {
	var r row
	numbers := []*int64{&r.seq, &r.at}
	texts := []*string{
		&r.actorKind, &r.actorID, &r.actorName, &r.action, &r.targetKind, &r.targetID, &r.targetName,
		&r.reason, &r.details, &r.requestID, &r.ip, &r.mac, &r.actorSearch, &r.targetSearch, &r.search,
	}
	values := make([]any, len(numbers)+len(texts))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return row{}, err
	}
	for i, v := range values {
		var ok bool
		if i < len(numbers) {
			*numbers[i], ok = number(v)
		} else {
			*texts[i-len(numbers)], ok = text(v)
		}
		r.odd = r.odd || !ok
	}
	return r, nil
}

// number and text convert what the driver returned, and report whether it had the right type.
func number(v any) (int64, bool) {
	n, ok := v.(int64)
	if f, isFloat := v.(float64); isFloat {
		n = int64(f)
	}
	return n, ok
}

func text(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case []byte:
		return string(v), false
	}
	return fmt.Sprint(v), false
}
