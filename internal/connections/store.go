package connections

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// store holds all SQL of this package.
type store struct{ db *db.DB }

// reader is what the database and a transaction have in common.
type reader interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *db.Row
}

// scanner is a row of either kind.
type scanner interface{ Scan(dest ...any) error }

// row is a connection with the definition of its active version.
type row struct {
	Connection
	def Definition
	// dated says that the end of its secret was set, which is no part of the definition.
	dated bool
}

const (
	rowColumns = `c.id, c.version, c.last_known_good, c.created_at, c.updated_at, v.definition`
	fromActive = ` FROM connections c JOIN connection_versions v ON v.connection_id = c.id AND v.version = c.version`
)

func scanRow(s scanner) (row, error) {
	var (
		r                row
		good             sql.NullInt64
		created, updated int64
		definition       string
	)
	if err := s.Scan(&r.ID, &r.Version, &good, &created, &updated, &definition); err != nil {
		return row{}, err
	}
	if err := json.Unmarshal([]byte(definition), &r.def); err != nil {
		return row{}, fmt.Errorf("connections: version %d of %s is not readable: %w", r.Version, r.ID, err)
	}
	r.LastKnownGood, r.CreatedAt, r.UpdatedAt = int(good.Int64), db.Time(created), db.Time(updated)
	r.define(r.def)
	return r, nil
}

// define fills in what a definition says.
func (r *row) define(d Definition) {
	r.def = d
	r.Name, r.Slug, r.Kind, r.Provider, r.Environment = d.Name, d.Slug, d.Kind, d.Provider, d.Environment
	r.BaseURL, r.State, r.Policy, r.LogBodies, r.RequireChecklist = d.BaseURL, d.State, d.Policy, d.LogBodies, d.RequireChecklist
	r.Requirements, r.Documentation = d.Requirements, d.Documentation
	r.AuthType, r.AuthFields = d.Auth.Type, d.Auth.Fields
	r.AuthSecrets = slices.Sorted(maps.Keys(d.Auth.Marks))
	marks := make([]string, len(r.AuthSecrets))
	for i, name := range r.AuthSecrets {
		marks[i] = name + "=" + d.Auth.Marks[name]
	}
	r.CredentialMark = strings.Join(marks, " ")
}

func (store) bySlug(ctx context.Context, q reader, slug string) (row, error) {
	return scanRow(q.QueryRow(ctx, `SELECT `+rowColumns+fromActive+` WHERE c.slug = $1`, slug))
}

func (store) all(ctx context.Context, q reader) ([]row, error) {
	var out []row
	err := each(ctx, q, func(s scanner) error {
		r, err := scanRow(s)
		out = append(out, r)
		return err
	}, `SELECT `+rowColumns+fromActive)
	return out, err
}

// nameKey and searchKey are what lists sort and search by.
func nameKey(d Definition) string { return strings.ToLower(d.Name) }

func searchKey(d Definition) string {
	host := ""
	if u, err := url.Parse(d.BaseURL); err == nil {
		host = u.Host
	}
	// A line break is in no search word, so that no word matches across two of them.
	return strings.ToLower(strings.Join([]string{d.Name, d.Slug, d.Provider, host}, "\n"))
}

func (store) insert(ctx context.Context, tx *db.Tx, r row) error {
	d := r.def
	_, err := tx.Exec(ctx, `INSERT INTO connections
		(id, slug, version, created_at, updated_at, name_key, kind, provider, environment, state, search_key)
		VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10)`,
		r.ID, d.Slug, r.Version, db.Micros(r.CreatedAt), nameKey(d), d.Kind, d.Provider, d.Environment, d.State, searchKey(d))
	return err
}

// activate moves the active version from the one before to r.Version. It reports false when another
// change came first.
func (store) activate(ctx context.Context, tx *db.Tx, r row) (bool, error) {
	d := r.def
	result, err := tx.Exec(ctx, `UPDATE connections SET version = $2, updated_at = $3, name_key = $4, kind = $5,
		provider = $6, environment = $7, state = $8, search_key = $9 WHERE id = $1 AND version = $10`,
		r.ID, r.Version, db.Micros(r.UpdatedAt), nameKey(d), d.Kind, d.Provider, d.Environment, d.State, searchKey(d), r.Version-1)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func (store) insertVersion(ctx context.Context, tx *db.Tx, r row, v Version, a access.Actor) error {
	definition, err := json.Marshal(r.def)
	if err != nil {
		return err
	}
	var copied any
	if v.CopiedFrom > 0 {
		copied = v.CopiedFrom
	}
	_, err = tx.Exec(ctx, `INSERT INTO connection_versions
		(connection_id, version, definition, cause, copied_from, reason, author_kind, author_id, author_name, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.ID, r.Version, string(definition), v.Cause, copied, v.Reason, a.Kind, a.ID, a.Name, db.Micros(r.UpdatedAt))
	return err
}

// lastRollback returns the newest version that is a copy of another, or none.
func (s store) lastRollback(ctx context.Context, id string) (out Rollback, err error) {
	err = each(ctx, s.db, func(rows scanner) error {
		var created int64
		err := rows.Scan(&out.Version, &out.CopiedFrom, &created)
		out.At = db.Time(created)
		return err
	}, `SELECT version, copied_from, created_at FROM connection_versions
		WHERE connection_id = $1 AND copied_from IS NOT NULL ORDER BY version DESC LIMIT 1`, id)
	return out, err
}

// origins returns where a connection went to with each version of the credential of its default account: the
// newest definition that used it decides. 0 is where it goes to now.
func (s store) origins(ctx context.Context, q reader, id string) (map[int64]string, error) {
	out := map[int64]string{}
	err := each(ctx, q, func(rows scanner) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var d Definition
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return nil //nolint:nilerr // A definition that is not readable cannot be brought back either.
		}
		origin := credentials.OriginOf(d.BaseURL)
		out[0] = origin
		if d.Auth.CredentialVersion > 0 {
			out[d.Auth.CredentialVersion] = origin
		}
		return nil
	}, `SELECT definition FROM connection_versions WHERE connection_id = $1 ORDER BY version`, id)
	return out, err
}

const versionColumns = `version, definition, cause, copied_from, reason, author_kind, author_name, created_at`

func scanVersion(s scanner) (Version, error) {
	var (
		v          Version
		definition string
		copied     sql.NullInt64
		created    int64
	)
	if err := s.Scan(&v.Version, &definition, &v.Cause, &copied, &v.Reason, &v.AuthorKind, &v.AuthorName, &created); err != nil {
		return Version{}, err
	}
	if err := json.Unmarshal([]byte(definition), &v.Definition); err != nil {
		return Version{}, fmt.Errorf("connections: version %d is not readable: %w", v.Version, err)
	}
	v.CopiedFrom, v.CreatedAt = int(copied.Int64), db.Time(created)
	return v, nil
}

func (store) version(ctx context.Context, q reader, id string, version int) (Version, error) {
	return scanVersion(q.QueryRow(ctx, `SELECT `+versionColumns+` FROM connection_versions
		WHERE connection_id = $1 AND version = $2`, id, version))
}

// versions lists the newest versions first.
func (store) versions(ctx context.Context, q reader, id string, limit int) ([]Version, error) {
	var out []Version
	err := each(ctx, q, func(s scanner) error {
		v, err := scanVersion(s)
		out = append(out, v)
		return err
	}, `SELECT `+versionColumns+` FROM connection_versions WHERE connection_id = $1 ORDER BY version DESC LIMIT $2`, id, limit)
	return out, err
}

func (store) delete(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM connection_versions WHERE connection_id = $1`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM connections WHERE id = $1`, id)
	return err
}

// markGood moves the last known good version forward, never back and never past the active one.
func (store) markGood(ctx context.Context, tx *db.Tx, id string, version int) (bool, error) {
	result, err := tx.Exec(ctx, `UPDATE connections SET last_known_good = $2
		WHERE id = $1 AND version >= $2 AND (last_known_good IS NULL OR last_known_good < $2)`, id, version)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// role returns the role that a user has now, or a fault.NotFound when the account is gone or disabled.
func (store) role(ctx context.Context, tx *db.Tx, userID string) (access.Role, error) {
	var role access.Role
	err := tx.QueryRow(ctx, `SELECT role FROM users WHERE id = $1 AND disabled_at IS NULL`, userID).Scan(&role)
	return role, err
}

// revealSetting is who allowed that secrets are shown; a fault.NotFound while nobody did.
func (store) revealSetting(ctx context.Context, q reader) (text string, err error) {
	err = q.QueryRow(ctx, `SELECT value FROM meta WHERE key = 'reveal'`).Scan(&text)
	return text, err
}

// setRevealSetting stores it; an empty text takes it back.
func (store) setRevealSetting(ctx context.Context, tx *db.Tx, text string) error {
	if text == "" {
		_, err := tx.Exec(ctx, `DELETE FROM meta WHERE key = 'reveal'`)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO meta (key, value) VALUES ('reveal', $1) ON CONFLICT (key) DO UPDATE SET value = $1`, text)
	return err
}

// keyUsable reports whether an API key is neither revoked nor expired. Its scopes never change.
func (store) keyUsable(ctx context.Context, tx *db.Tx, keyID string, now time.Time) (bool, error) {
	var n int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM api_keys
		WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`, keyID, db.Micros(now)).Scan(&n)
	return n > 0, err
}

// orders are what lists may be sorted by. Each begins an index.
func orders() map[string]string {
	return map[string]string{
		"": "name_key", "name": "name_key", "slug": "slug", "created_at": "created_at", "updated_at": "updated_at",
		"kind": "kind, name_key", "provider": "provider, name_key", "environment": "environment, name_key", "state": "state, name_key",
	}
}

const maxWords = 5

// list reads a page and counts what matches.
func (s store) list(ctx context.Context, q Query) (Page, error) {
	var page Page
	count, query, args, window := listQueries(q)
	if err := s.db.QueryRow(ctx, count, args...).Scan(&page.Total); err != nil {
		return Page{}, err
	}
	err := each(ctx, s.db, func(sc scanner) error {
		r, err := scanRow(sc)
		page.Connections = append(page.Connections, r.Connection)
		return err
	}, query, append(args, window...)...)
	return page, err
}

// listQueries writes the statements of a list: the count, which takes args, and the page, which takes args
// and window. The page selects ids from an index first, so that the rows before it are never read.
func listQueries(q Query) (count, page string, args, window []any) {
	var conditions []string
	param := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	words := strings.Fields(strings.ToLower(q.Search))
	for _, word := range words[:min(len(words), maxWords)] {
		conditions = append(conditions, `search_key LIKE `+param("%"+db.Like(word)+"%")+` ESCAPE '\'`)
	}
	for _, f := range [][2]string{{"kind", q.Kind}, {"state", q.State}, {"environment", q.Environment}, {"provider", q.Provider}} {
		if f[1] != "" {
			conditions = append(conditions, f[0]+` = `+param(f[1]))
		}
	}
	where := ""
	if len(conditions) > 0 {
		where = ` WHERE ` + strings.Join(conditions, ` AND `)
	}
	n := len(args)
	return `SELECT COUNT(*) FROM connections` + where,
		`SELECT ` + rowColumns + fromActive + ` WHERE c.id IN (SELECT id FROM connections` + where +
			` ORDER BY ` + orderBy(q.Sort, "") + ` LIMIT $` + strconv.Itoa(n+1) + ` OFFSET $` + strconv.Itoa(n+2) + `)` +
			` ORDER BY ` + orderBy(q.Sort, "c."),
		args, []any{q.Limit, (q.Page - 1) * q.Limit}
}

func orderBy(sort, table string) string {
	name, descending := strings.CutPrefix(sort, "-")
	direction := ` ASC`
	if descending {
		direction = ` DESC`
	}
	var parts []string
	for column := range strings.SplitSeq(orders()[name]+", id", ", ") {
		parts = append(parts, table+column+direction)
	}
	return strings.Join(parts, ", ")
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

// notFound turns the store's plain answer into one that names what is missing.
func notFound(err error, code, message string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, code, message)
	}
	return err
}

func noConnection(err error) error {
	return notFound(err, "CONNECTION_NOT_FOUND", "There is no such connection.")
}
