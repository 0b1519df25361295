package access

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
)

// store holds all SQL of this package; the files store_*.go have one part each.
type store struct{ db *db.DB }

// reader is what the database and a transaction have in common.
type reader interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *db.Row
}

// scanner is a row of either kind.
type scanner interface{ Scan(dest ...any) error }

const userColumns = `id, email, name, role, password_hash, session_epoch, created_at, updated_at,
	password_changed_at, last_sign_in_at, disabled_at`

func scanUser(row scanner) (userRow, error) {
	var (
		u                         userRow
		created, updated, changed int64
		signedIn, disabled        sql.NullInt64
	)
	err := row.Scan(&u.ID, &u.Email, &u.Name, &u.Role, &u.passwordHash, &u.epoch, &created, &updated, &changed, &signedIn, &disabled)
	u.CreatedAt, u.UpdatedAt, u.PasswordChangedAt = db.Time(created), db.Time(updated), db.Time(changed)
	u.LastSignInAt, u.DisabledAt = db.NullTime(signedIn), db.NullTime(disabled)
	return u, err
}

func (store) user(ctx context.Context, q reader, id string) (userRow, error) {
	return scanUser(q.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE id = $1`, id))
}

func (store) userByEmail(ctx context.Context, q reader, email string) (userRow, error) {
	return scanUser(q.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE email = $1`, email))
}

func (store) noUsers(ctx context.Context, q reader) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM users LIMIT 1) AS some_users`).Scan(&n)
	return n == 0, err
}

func (store) otherActiveOwners(ctx context.Context, tx *db.Tx, id string) (int, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM users WHERE role = $1 AND disabled_at IS NULL AND id <> $2`, RoleOwner, id).Scan(&n)
	return n, err
}

func (store) insertUser(ctx context.Context, tx *db.Tx, u userRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO users (`+userColumns+`, search)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		u.ID, u.Email, u.Name, u.Role, u.passwordHash, u.epoch, db.Micros(u.CreatedAt), db.Micros(u.UpdatedAt),
		db.Micros(u.PasswordChangedAt), db.NullMicros(u.LastSignInAt), db.NullMicros(u.DisabledAt), folded(u.Email, u.Name))
	return err
}

func (store) setRole(ctx context.Context, tx *db.Tx, id string, role Role, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE users SET role = $2, session_epoch = session_epoch + 1, updated_at = $3 WHERE id = $1`,
		id, role, db.Micros(now))
	return err
}

func (store) setDisabled(ctx context.Context, tx *db.Tx, id string, now time.Time, disabled bool) error {
	var at any
	if disabled {
		at = db.Micros(now)
	}
	_, err := tx.Exec(ctx, `UPDATE users SET disabled_at = $2, session_epoch = session_epoch + 1, updated_at = $3 WHERE id = $1`,
		id, at, db.Micros(now))
	return err
}

func (store) setName(ctx context.Context, tx *db.Tx, u User, name string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE users SET name = $2, search = $3, updated_at = $4 WHERE id = $1`,
		u.ID, name, folded(u.Email, name), db.Micros(now))
	return err
}

func (store) setPassword(ctx context.Context, tx *db.Tx, id, hash string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE users SET password_hash = $2, session_epoch = session_epoch + 1,
		password_changed_at = $3, updated_at = $3 WHERE id = $1`, id, hash, db.Micros(now))
	return err
}

// signedIn notes a sign-in. It changes nothing when the password was changed or the account disabled
// since hash was read. fresh replaces the hash, which for an unchanged password ends no session.
func (store) signedIn(ctx context.Context, tx *db.Tx, id, hash, fresh string, now time.Time) (bool, error) {
	result, err := tx.Exec(ctx, `UPDATE users SET last_sign_in_at = $4, password_hash = $3
		WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL`, id, hash, fresh, db.Micros(now))
	return affected(result, err)
}

// users lists users. Roles sort by power, times that never were come first.
func (s store) users(ctx context.Context, q UserQuery) (UserPage, error) {
	var w where
	if q.Search != "" {
		w.search(q.Search)
	}
	if q.Role != "" {
		w.and(`role = ` + w.param(q.Role))
	}
	switch q.Status {
	case "active":
		w.and(`disabled_at IS NULL`)
	case "disabled":
		w.and(`disabled_at IS NOT NULL`)
	}
	order := map[string]string{
		"": "email", "email": "email", "name": "LOWER(name)", "created_at": "created_at",
		"last_sign_in_at": "COALESCE(last_sign_in_at, 0)",
		"role":            "CASE role WHEN 'owner' THEN 1 WHEN 'admin' THEN 2 WHEN 'operator' THEN 3 WHEN 'viewer' THEN 4 ELSE 5 END",
	}
	var page UserPage
	err := w.list(ctx, s.db, listing{
		table: "users", columns: userColumns, sort: q.Sort, order: order, page: q.Page, limit: q.Limit,
	}, &page.Total, func(row scanner) error {
		u, err := scanUser(row)
		page.Users = append(page.Users, u.User)
		return err
	})
	return page, err
}

// where collects conditions and their parameters.
type where struct {
	parts []string
	args  []any
}

func (w *where) and(condition string) { w.parts = append(w.parts, condition) }

func (w *where) param(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

// search looks for text anywhere in what folded stored, in any case. The folding is ours because
// SQLite's own knows ASCII only.
func (w *where) search(text string) {
	w.and(`search LIKE ` + w.param("%"+db.Like(folded(text))+"%") + ` ESCAPE '\'`)
}

// folded is the form of texts that a search compares. No text has line breaks, so none matches across two.
func folded(texts ...string) string { return strings.ToLower(strings.Join(texts, "\n")) }

// listing is a page of a table. sort names an entry of order, with a leading "-" to reverse it; only
// the entries of order, which are ours, become part of the statement.
type listing struct {
	table, columns, sort string
	order                map[string]string
	page, limit          int
}

func (w *where) list(ctx context.Context, q reader, l listing, total *int, scan func(scanner) error) error {
	conditions := ""
	if len(w.parts) > 0 {
		conditions = ` WHERE ` + strings.Join(w.parts, ` AND `)
	}
	if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM `+l.table+conditions, w.args...).Scan(total); err != nil {
		return err
	}
	name, descending := strings.CutPrefix(l.sort, "-")
	direction := ` ASC`
	if descending {
		direction = ` DESC`
	}
	query := `SELECT ` + l.columns + ` FROM ` + l.table + conditions + ` ORDER BY ` + l.order[name] + direction + `, id` + direction +
		` LIMIT ` + w.param(l.limit) + ` OFFSET ` + w.param((l.page-1)*l.limit)
	return each(ctx, q, scan, query, w.args...)
}

// each calls scan for every row of a query.
func each(ctx context.Context, q reader, scan func(scanner) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
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

// affected reports whether a statement changed a row.
func affected(result sql.Result, err error) (bool, error) {
	n, err := count(result, err)
	return n > 0, err
}

// count is how many rows a statement changed.
func count(result sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}
