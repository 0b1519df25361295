package calls

import (
	"context"
	"encoding/json"
	"errors"
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
	db         *db.DB
	insertions map[int]string // the statement that stores so many entries, for each of insertSizes
	room       *room
}

// room is what one insertion after the other uses; there is one at a time.
type room struct {
	args arguments
	text []byte
}

func newStore(d *db.DB) store {
	s := store{db: d, insertions: map[int]string{}, room: &room{}}
	for _, rows := range insertSizes() {
		s.insertions[rows] = insertion(rows)
	}
	return s
}

const columns = `id, at, connection_id, slug, account, version, method, host, path, query, status, outcome, attempts,
	duration_us, first_byte_us, request_bytes, response_bytes, error_code, error_text, key_id, key_name, ip, user_id, user_name, operation, cache`

// insertSizes are how many entries one statement stores, the most first: a batch is made up of them. There are
// few, so that the database keeps them all prepared.
func insertSizes() [4]int { return [...]int{128, 32, 8, 1} }

// insert stores a batch with its figures. A call that is in the log already is left out; as there is none mostly,
// it is looked for only once the database has refused one.
func (s store) insert(ctx context.Context, batch []runtime.Record, open openMinutes, now time.Time) error {
	insert := func(calls func(context.Context, *db.Tx, []runtime.Record) ([]*runtime.Record, error)) error {
		err := s.db.InTx(ctx, func(tx *db.Tx) error {
			accepted, err := calls(ctx, tx, batch)
			if err != nil {
				return err
			}
			return addRollups(ctx, tx, accepted, open, now)
		})
		open.settle(err)
		return err
	}
	err := insert(s.insertCalls)
	if fault.Is(err, fault.Conflict) {
		return insert(s.insertMissing)
	}
	return err
}

// insertCalls stores entries, and returns them. None may be in the log already.
func (s store) insertCalls(ctx context.Context, tx *db.Tx, batch []runtime.Record) ([]*runtime.Record, error) {
	stored := make([]*runtime.Record, 0, len(batch))
	for _, rows := range insertSizes() {
		for rows <= len(batch) {
			part := batch[:rows]
			batch = batch[rows:]
			if err := s.insertPart(ctx, tx, part); err != nil {
				return nil, err
			}
			for i := range part {
				stored = append(stored, &part[i])
			}
		}
	}
	return stored, nil
}

// insertPart stores as many entries as one statement does.
func (s store) insertPart(ctx context.Context, tx *db.Tx, part []runtime.Record) error {
	args := slices.Grow(s.room.args[:0], len(part)*columnCount)
	for i := range part {
		s.room.text = args.entry(&part[i], s.room.text)
	}
	// As a query, all of its arguments are handed over at once, which costs less than the rest of it.
	rows, err := tx.Query(ctx, s.insertions[len(part)], args...)
	clear(args)
	s.room.args = args
	if err != nil {
		return err
	}
	rows.Next()
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for i := range part {
		if err := insertBodies(ctx, tx, &part[i]); err != nil {
			return err
		}
	}
	return nil
}

// insertMissing stores the entries that are not in the log already, and returns them.
func (s store) insertMissing(ctx context.Context, tx *db.Tx, batch []runtime.Record) ([]*runtime.Record, error) {
	var stored []*runtime.Record
	for i := range batch {
		r := &batch[i]
		var args arguments
		args.entry(r, nil)
		result, err := tx.Exec(ctx, insertion(1)+` ON CONFLICT (id) DO NOTHING`, args...)
		if err != nil {
			return nil, err
		}
		if n, err := result.RowsAffected(); err != nil {
			return nil, err
		} else if n == 0 {
			continue
		}
		if err := insertBodies(ctx, tx, r); err != nil {
			return nil, err
		}
		stored = append(stored, r)
	}
	return stored, nil
}

// arguments are those of several rows. Neighbours have most of their values in common: what is the same as
// in the row before is not allocated again.
type arguments []any

// entry adds those of one row. text is room for its detail, and is returned.
func (a *arguments) entry(r *runtime.Record, text []byte) []byte {
	text = appendDetail(text[:0], r)
	a.text(r.ID)
	a.number(db.Micros(r.StartedAt))
	a.text(r.ConnectionID, r.Slug, r.Account)
	a.number(int64(r.Version))
	a.text(r.Method, r.Host, r.Path, r.Query)
	a.number(int64(r.Status))
	a.text(string(r.Outcome))
	a.number(int64(r.Attempts), r.Duration.Microseconds(), r.FirstByte.Microseconds(), r.RequestBytes, r.ResponseBytes)
	a.text(r.ErrorCode, r.ErrorText, r.KeyID, r.KeyName, r.ClientIP, r.UserID, r.UserName, r.Operation, r.Cache, string(text))
	return text
}

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

// columnCount counts columns and detail.
const columnCount = 27

// insertion is the statement that stores so many entries.
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
	b.WriteByte(')')
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
