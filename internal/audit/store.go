package audit

import (
	"context"
	"strconv"
	"strings"

	"switchgear/db"
	"switchgear/internal/fault"
)

// store holds all SQL of the record.
type store struct{ db *db.DB }

const columns = `seq, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name,
	reason, details, request_id, ip, mac`

// rowQuerier is what the database and a transaction have in common here.
type rowQuerier interface {
	QueryRow(ctx context.Context, query string, args ...any) *db.Row
}

func (store) head(ctx context.Context, q rowQuerier) (Anchor, error) {
	var a Anchor
	err := q.QueryRow(ctx, `SELECT seq, mac FROM audit_entries ORDER BY seq DESC LIMIT 1`).Scan(&a.Seq, &a.MAC)
	if fault.Is(err, fault.NotFound) {
		return Anchor{}, nil
	}
	return a, err
}

func (store) insert(ctx context.Context, tx *db.Tx, r row) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_entries (`+columns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		r.seq, r.at, r.actorKind, r.actorID, r.actorName, r.action, r.targetKind, r.targetID, r.targetName,
		r.reason, r.details, r.requestID, r.ip, r.mac)
	return err
}

// each calls fn for the rows after a sequence number, in order, limit rows at most.
func (s store) each(ctx context.Context, after int64, limit int, fn func(row)) error {
	return s.query(ctx, fn, `SELECT `+columns+` FROM audit_entries WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
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
		parts []string
		args  []any
	)
	param := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	contains := func(s string) string { return param("%" + db.Like(strings.ToLower(s)) + "%") }
	like := func(column, p string) string { return `LOWER(` + column + `) LIKE ` + p + ` ESCAPE '\'` }
	if q.Text != "" {
		p := contains(q.Text)
		columns := []string{"actor_name", "actor_id", "action", "target_name", "target_id", "reason", "details", "request_id", "ip"}
		for i, c := range columns {
			columns[i] = like(c, p)
		}
		parts = append(parts, `(`+strings.Join(columns, ` OR `)+`)`)
	}
	if q.Action != "" {
		parts = append(parts, `action = `+param(q.Action))
	}
	if q.Actor != "" {
		parts = append(parts, `(actor_id = `+param(q.Actor)+` OR `+like("actor_name", contains(q.Actor))+`)`)
	}
	if q.Target != "" {
		parts = append(parts, `(target_id = `+param(q.Target)+` OR `+like("target_name", contains(q.Target))+`)`)
	}
	if !q.From.IsZero() {
		parts = append(parts, `at >= `+param(db.Micros(q.From)))
	}
	if !q.To.IsZero() {
		parts = append(parts, `at < `+param(db.Micros(q.To)))
	}
	if len(parts) == 0 {
		return "", nil
	}
	return ` WHERE ` + strings.Join(parts, ` AND `), args
}

func (s store) actions(ctx context.Context) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT DISTINCT action FROM audit_entries ORDER BY action`)
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
		var r row
		err := rows.Scan(&r.seq, &r.at, &r.actorKind, &r.actorID, &r.actorName, &r.action, &r.targetKind, &r.targetID,
			&r.targetName, &r.reason, &r.details, &r.requestID, &r.ip, &r.mac)
		if err != nil {
			return err
		}
		fn(r)
	}
	return rows.Err()
}
