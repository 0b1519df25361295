package calls

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// store holds all SQL of the call log.
type store struct {
	db            *db.DB
	fullInsertion string
	room          *room
}

// room is what one insertion after the other uses; there is one at a time.
type room struct {
	args  arguments
	text  []byte
	added map[string]bool
}

func newStore(d *db.DB) store {
	return store{db: d, fullInsertion: insertion(rowsPerInsert), room: &room{added: map[string]bool{}}}
}

const columns = `id, at, connection_id, slug, account, version, method, host, path, query, status, outcome, attempts,
	duration_us, first_byte_us, request_bytes, response_bytes, error_code, error_text, key_id, key_name, ip, user_id, user_name, operation, cache`

// rowsPerInsert is how many entries one statement stores: most of the work of a small statement is to
// prepare it.
const rowsPerInsert = 32

func (s store) insert(ctx context.Context, batch []runtime.Record, open openMinutes, now time.Time) error {
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		accepted, err := s.insertCalls(ctx, tx, batch)
		if err != nil {
			return err
		}
		return addRollups(ctx, tx, accepted, open, now)
	})
	open.settle(err)
	return err
}

// insertCalls returns those that were not in the log already.
func (s store) insertCalls(ctx context.Context, tx *db.Tx, batch []runtime.Record) ([]*runtime.Record, error) {
	accepted := make([]*runtime.Record, 0, len(batch))
	for part := range slices.Chunk(batch, rowsPerInsert) {
		var err error
		if accepted, err = s.insertPart(ctx, tx, part, accepted); err != nil {
			return nil, err
		}
	}
	return accepted, nil
}

func (s store) insertPart(ctx context.Context, tx *db.Tx, part []runtime.Record, accepted []*runtime.Record) ([]*runtime.Record, error) {
	args, text := slices.Grow(s.room.args[:0], len(part)*columnCount), s.room.text
	defer func() {
		clear(args)
		s.room.args, s.room.text = args, text
	}()
	for i := range part {
		r := &part[i]
		text = appendDetail(text[:0], r)
		args.text(r.ID)
		args.number(db.Micros(r.StartedAt))
		args.text(r.ConnectionID, r.Slug, r.Account)
		args.number(int64(r.Version))
		args.text(r.Method, r.Host, r.Path, r.Query)
		args.number(int64(r.Status))
		args.text(string(r.Outcome))
		args.number(int64(r.Attempts), r.Duration.Microseconds(), r.FirstByte.Microseconds(), r.RequestBytes, r.ResponseBytes)
		args.text(r.ErrorCode, r.ErrorText, r.KeyID, r.KeyName, r.ClientIP, r.UserID, r.UserName, r.Operation, r.Cache, string(text))
	}
	added, err := s.insertedIDs(ctx, tx, len(part), args)
	if err != nil {
		return nil, err
	}
	for i := range part {
		r := &part[i]
		if err := insertBodies(ctx, tx, *r); err != nil {
			return nil, err
		}
		if added[r.ID] {
			delete(added, r.ID) // An id that comes twice was stored once.
			accepted = append(accepted, r)
		}
	}
	return accepted, nil
}

// arguments are those of several rows. Neighbours have most of their values in common: what is the same as
// in the row before is not allocated again.
type arguments []any

func (a *arguments) text(values ...string) {
	for _, v := range values {
		if before, ok := a.above().(string); ok && before == v {
			*a = append(*a, a.above())
			continue
		}
		*a = append(*a, v)
	}
}

func (a *arguments) number(values ...int64) {
	for _, v := range values {
		if before, ok := a.above().(int64); ok && before == v {
			*a = append(*a, a.above())
			continue
		}
		*a = append(*a, v)
	}
}

// above is the value of the row before in the column that comes next.
func (a *arguments) above() any {
	if len(*a) < columnCount {
		return nil
	}
	return (*a)[len(*a)-columnCount]
}

// insertedIDs stores entries and returns the ids that were new.
func (s store) insertedIDs(ctx context.Context, tx *db.Tx, count int, args []any) (map[string]bool, error) {
	rows, err := tx.Query(ctx, s.insertion(count), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	added := s.room.added
	clear(added)
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		added[id] = true
	}
	return added, rows.Err()
}

// insertion is the statement that stores so many entries.
func (s store) insertion(rows int) string {
	if rows == rowsPerInsert {
		return s.fullInsertion
	}
	return insertion(rows)
}

// columnCount counts columns and detail.
const columnCount = 27

func insertion(rows int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO calls (` + columns + `, detail) VALUES `)
	for n := range rows * columnCount {
		switch {
		case n == 0:
			b.WriteString("($")
		case n%columnCount == 0:
			b.WriteString("), ($")
		default:
			b.WriteString(", $")
		}
		b.WriteString(strconv.Itoa(n + 1))
	}
	b.WriteString(`) ON CONFLICT (id) DO NOTHING RETURNING id`)
	return b.String()
}

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

func scan(row scanner, more ...any) (runtime.Record, error) {
	var (
		r                         runtime.Record
		at, duration, firstByteUS int64
		outcome                   string
	)
	err := row.Scan(append([]any{
		&r.ID, &at, &r.ConnectionID, &r.Slug, &r.Account, &r.Version, &r.Method, &r.Host, &r.Path, &r.Query, &r.Status, &outcome, &r.Attempts,
		&duration, &firstByteUS, &r.RequestBytes, &r.ResponseBytes, &r.ErrorCode, &r.ErrorText, &r.KeyID, &r.KeyName, &r.ClientIP, &r.UserID, &r.UserName, &r.Operation, &r.Cache,
	}, more...)...)
	if err != nil {
		return runtime.Record{}, err
	}
	r.StartedAt, r.Outcome = db.Time(at), runtime.Outcome(outcome)
	r.Duration, r.FirstByte = time.Duration(duration)*time.Microsecond, time.Duration(firstByteUS)*time.Microsecond
	return r, nil
}

func (s store) each(ctx context.Context, fn func(runtime.Record), query string, args ...any) error {
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

func (s store) since(ctx context.Context, from time.Time, fn func(runtime.Record)) error {
	return s.each(ctx, fn, `SELECT `+columns+` FROM calls WHERE at >= $1 ORDER BY at`, db.Micros(from))
}

// newest calls fn with the newest calls of a connection, until both a success and a failure were among
// them, and with a bounded number of them.
func (s store) newest(ctx context.Context, connectionID string, fn func(at time.Time, o runtime.Outcome)) error {
	const most = 100
	rows, err := s.db.Query(ctx, `SELECT at, duration_us, outcome FROM calls WHERE connection_id = $1 ORDER BY at DESC LIMIT $2`, connectionID, most)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	succeeded, fell := false, false
	for rows.Next() && (!succeeded || !fell) {
		var (
			at, took int64
			outcome  runtime.Outcome
		)
		if err := rows.Scan(&at, &took, &outcome); err != nil {
			return err
		}
		fn(db.Time(at+took), outcome)
		succeeded, fell = succeeded || outcome == runtime.OutcomeSuccess, fell || failed(outcome)
	}
	return rows.Err()
}

func (s store) find(ctx context.Context, id string) (runtime.Record, error) {
	var text string
	r, err := scan(s.db.QueryRow(ctx, `SELECT `+columns+`, detail FROM calls WHERE id = $1`, id), &text)
	if err != nil {
		return runtime.Record{}, err
	}
	var d detail
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return runtime.Record{}, fault.Wrap(err, fault.Internal, "", "the call's details are not readable")
	}
	r.RequestHeader, r.ResponseHeader, r.Steps = d.RequestHeader, d.ResponseHeader, d.Steps
	r.Retried, r.SentAt = d.Retried, d.SentAt
	if d.Fallback != nil {
		r.Fallback = *d.Fallback
	}
	r.Bodies, err = s.bodies(ctx, id)
	return r, err
}

// list counts what matches and reads a page.
func (s store) list(ctx context.Context, q Query, offset int) (List, error) {
	wanted := path(q)
	filters(q, wanted)
	where, args := wanted.where(), wanted.args
	var list List
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM calls`+where, args...).Scan(&list.Total); err != nil {
		return List{}, err
	}
	order := ` ORDER BY at DESC, id DESC`
	if q.Oldest {
		order = ` ORDER BY at, id`
	}
	args = append(args, q.Limit, offset)
	err := s.each(ctx, func(r runtime.Record) { list.Calls = append(list.Calls, r) },
		`SELECT `+columns+` FROM calls`+where+order+` LIMIT $`+strconv.Itoa(len(args)-1)+` OFFSET $`+strconv.Itoa(len(args)), args...)
	return list, err
}

// pruned is how many entries one deletion takes at most, so that it never holds writers up.
const pruned = 5_000

// prune deletes the oldest entries, by age and by number, and reports whether some that have to go are left.
// What is too much is looked up before the transaction.
func (s store) prune(ctx context.Context, before time.Time, keep int) (more bool, err error) {
	oldest := db.Micros(before)
	var surplus int64
	err = s.db.QueryRow(ctx, `SELECT at FROM calls ORDER BY at DESC, id DESC LIMIT 1 OFFSET $1`, keep).Scan(&surplus)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	if err == nil {
		oldest = max(oldest, surplus+1)
	}
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		result, err := tx.Exec(ctx, `DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE at < $1 ORDER BY at, id LIMIT $2)`, oldest, pruned)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		more = n == pruned
		return err
	})
	return more, err
}
