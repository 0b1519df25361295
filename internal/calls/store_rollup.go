package calls

import (
	"context"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// bucketKey is one row of the rollups by the minute.
type bucketKey struct {
	connection, operation string // empty operation: all calls of the connection
	at                    time.Time
}

const rollupColumns = `calls, attempts, request_bytes, response_bytes, duration_us, outcomes, waits, waited_us, refused, latency`

// openMinutes holds the sums of minutes that calls were added to lately, as they are stored, so that they are
// not read for every batch, and the operations that are told apart. It belongs to the one goroutine that
// stores calls.
type openMinutes struct {
	sums       map[bucketKey]*rollup
	operations map[string]map[string]bool // by connection
}

func newOpenMinutes() openMinutes {
	return openMinutes{map[bucketKey]*rollup{}, map[string]map[string]bool{}}
}

const maxOpenMinutes = 1024

// settle ends a transaction. After one that failed, or may have, what is stored is not known.
func (o openMinutes) settle(err error) {
	if err != nil {
		clear(o.sums)
		o.forgetOperations()
		return
	}
	if len(o.sums) <= maxOpenMinutes {
		return
	}
	var newest time.Time
	for key := range o.sums {
		if key.at.After(newest) {
			newest = key.at
		}
	}
	for key := range o.sums {
		if key.at.Before(newest.Add(-time.Minute)) {
			delete(o.sums, key)
		}
	}
	if len(o.sums) > maxOpenMinutes {
		clear(o.sums)
	}
}

func (o openMinutes) forgetOperations() { clear(o.operations) }

// told is the name under which the calls of an operation are counted.
func (o openMinutes) told(ctx context.Context, tx *db.Tx, connection, operation string) (string, error) {
	known := o.operations[connection]
	if known == nil {
		names, err := operationsOf(ctx, tx, connection)
		if err != nil {
			return "", err
		}
		known = map[string]bool{}
		for _, name := range names {
			known[name] = true
		}
		o.operations[connection] = known
	}
	switch {
	case known[operation]:
		return operation, nil
	case len(known) >= maxOperations: // counted with the one for the others, which may be among them
		return OtherOperations, nil
	}
	known[operation] = true
	return operation, nil
}

// querier is a database or a transaction on it.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) *db.Row
}

// operationsOf are the operations that there are rollups of. Each is found by the key of the table, so that the
// rows between are not read.
func operationsOf(ctx context.Context, q querier, connection string) ([]string, error) {
	var out []string
	for last := ""; len(out) <= maxOperations; {
		err := q.QueryRow(ctx, `SELECT operation FROM call_rollups WHERE connection_id = $1 AND operation > $2 ORDER BY operation LIMIT 1`, connection, last).Scan(&last)
		if fault.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		out = append(out, last)
	}
	return out, nil
}

// addRollups adds stored calls to their minutes, in the transaction that stores them, so that the sums are
// those of the calls that were accepted. A sum of an hour that is over may have been made: it is dropped, and
// made again later. open must be settled when the transaction has ended.
func addRollups(ctx context.Context, tx *db.Tx, accepted []*runtime.Record, open openMinutes, now time.Time) error {
	changed := map[bucketKey]*rollup{}
	add := func(r *runtime.Record, operation string) error {
		key := bucketKey{r.ConnectionID, operation, floor(r.StartedAt, time.Minute)}
		sum, ok := changed[key]
		if !ok {
			var err error
			if sum, err = open.find(ctx, tx, key); err != nil {
				return err
			}
			changed[key] = sum
		}
		return sum.count(r)
	}
	for _, r := range accepted {
		if err := add(r, ""); err != nil {
			return err
		}
		if r.Operation == "" {
			continue
		}
		operation, err := open.told(ctx, tx, r.ConnectionID, r.Operation)
		if err != nil {
			return err
		}
		if err := add(r, operation); err != nil {
			return err
		}
	}
	thisHour := floor(now, time.Hour)
	for key, sum := range changed {
		if err := putRollup(ctx, tx, key, 60, sum); err != nil {
			return err
		}
		hour := floor(key.at, time.Hour)
		if !hour.Before(thisHour) {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM call_rollups WHERE connection_id = $1 AND operation = $2 AND seconds = 3600 AND at = $3`,
			key.connection, key.operation, db.Micros(hour)); err != nil {
			return err
		}
	}
	return nil
}

// find returns the sum of a minute as it is stored, empty when it is not.
func (o openMinutes) find(ctx context.Context, tx *db.Tx, key bucketKey) (*rollup, error) {
	if sum, ok := o.sums[key]; ok {
		return sum, nil
	}
	sum, err := scanRollup(tx.QueryRow(ctx, `SELECT `+rollupColumns+` FROM call_rollups
		WHERE connection_id = $1 AND operation = $2 AND seconds = 60 AND at = $3`, key.connection, key.operation, db.Micros(key.at)))
	if fault.Is(err, fault.NotFound) {
		sum, err = &rollup{}, nil
	}
	if err != nil {
		return nil, err
	}
	o.sums[key] = sum
	return sum, nil
}

func putRollup(ctx context.Context, tx *db.Tx, key bucketKey, seconds int, r *rollup) error {
	outcomes, refused, latency, err := r.encode()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO call_rollups (connection_id, operation, seconds, at, `+rollupColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (connection_id, operation, seconds, at) DO UPDATE SET calls = excluded.calls, attempts = excluded.attempts,
			request_bytes = excluded.request_bytes, response_bytes = excluded.response_bytes, duration_us = excluded.duration_us,
			outcomes = excluded.outcomes, waits = excluded.waits, waited_us = excluded.waited_us, refused = excluded.refused, latency = excluded.latency`,
		key.connection, key.operation, seconds, db.Micros(key.at), r.calls, r.attempts, r.requestBytes, r.responseBytes, r.duration.Microseconds(), outcomes,
		r.waits, r.waited.Microseconds(), refused, latency)
	return err
}

func scanRollup(row scanner, before ...any) (*rollup, error) {
	var (
		r                          rollup
		duration, waited           int64
		outcomes, refused, latency string
	)
	err := row.Scan(append(before, &r.calls, &r.attempts, &r.requestBytes, &r.responseBytes, &duration, &outcomes, &r.waits, &waited, &refused, &latency)...)
	if err != nil {
		return nil, err
	}
	r.duration, r.waited = time.Duration(duration)*time.Microsecond, time.Duration(waited)*time.Microsecond
	return &r, r.decode(outcomes, refused, latency)
}

// rollups calls fn with the rows of a time: the minutes, or the hours and the minutes of those hours that
// are not made. Both ends are whole hours for that.
func (s store) rollups(ctx context.Context, connection, operation string, from, to time.Time, hours bool, fn func(at time.Time, r *rollup) error) error {
	const rows = `SELECT m.at, m.calls, m.attempts, m.request_bytes, m.response_bytes, m.duration_us, m.outcomes, m.waits, m.waited_us, m.refused, m.latency FROM call_rollups AS m
		WHERE m.seconds = $1 AND m.at >= $2 AND m.at < $3`
	of := ` AND m.operation = $4`
	args := []any{60, db.Micros(from), db.Micros(to), operation}
	if connection != "" {
		of += ` AND m.connection_id = $5`
		args = append(args, connection)
	}
	if !from.Before(to) {
		return nil
	}
	if !hours {
		return s.eachRollup(ctx, fn, rows+of, args...)
	}
	// One statement, so that an hour made in between is not counted twice, or not at all.
	text := rows + of + ` AND NOT EXISTS (SELECT 1 FROM call_rollups AS h WHERE h.connection_id = m.connection_id
		AND h.operation = m.operation AND h.seconds = 3600 AND h.at = m.at - m.at % 3600000000) UNION ALL ` +
		`SELECT m.at, m.calls, m.attempts, m.request_bytes, m.response_bytes, m.duration_us, m.outcomes, m.waits, m.waited_us, m.refused, m.latency FROM call_rollups AS m
		WHERE m.seconds = 3600 AND m.at >= $2 AND m.at < $3` + of
	return s.eachRollup(ctx, fn, text, args...)
}

func (s store) eachRollup(ctx context.Context, fn func(at time.Time, r *rollup) error, query string, args ...any) error {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at int64
		r, err := scanRollup(rows, &at)
		if err != nil {
			return err
		}
		if err := fn(db.Time(at), r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// makeHours sums up a bounded number of hours from from until before to that have minutes and no sum yet,
// the oldest first. It returns until when all are made.
func (s store) makeHours(ctx context.Context, from, to time.Time) (time.Time, error) {
	const most = 100
	type hour struct {
		connection, operation string
		at                    int64
	}
	var missing []hour
	err := func() error {
		rows, err := s.db.Query(ctx, `SELECT DISTINCT m.at - m.at % 3600000000 AS hour, m.connection_id, m.operation FROM call_rollups AS m
			WHERE m.seconds = 60 AND m.at >= $1 AND m.at < $2 AND NOT EXISTS (SELECT 1 FROM call_rollups AS h
				WHERE h.connection_id = m.connection_id AND h.operation = m.operation AND h.seconds = 3600 AND h.at = m.at - m.at % 3600000000)
			ORDER BY 1 LIMIT $3`, db.Micros(from), db.Micros(to), most)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var h hour
			if err := rows.Scan(&h.at, &h.connection, &h.operation); err != nil {
				return err
			}
			missing = append(missing, h)
		}
		return rows.Err()
	}()
	if err != nil {
		return from, err
	}
	if len(missing) == 0 {
		return to, nil
	}
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, h := range missing {
			if err := makeHour(ctx, tx, bucketKey{h.connection, h.operation, db.Time(h.at)}); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return from, err
	case len(missing) == most:
		return db.Time(missing[most-1].at), nil
	}
	return to, nil
}

func makeHour(ctx context.Context, tx *db.Tx, key bucketKey) error {
	rows, err := tx.Query(ctx, `SELECT `+rollupColumns+` FROM call_rollups
		WHERE connection_id = $1 AND operation = $2 AND seconds = 60 AND at >= $3 AND at < $4`,
		key.connection, key.operation, db.Micros(key.at), db.Micros(key.at.Add(time.Hour)))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var sum rollup
	for rows.Next() {
		minute, err := scanRollup(rows)
		if err != nil {
			return err
		}
		if err := sum.add(minute); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := rows.Close(); err != nil {
		return err
	}
	return putRollup(ctx, tx, key, 3600, &sum)
}

// pruneRollups deletes what is too old, a bounded amount at a time: whole hours, so that no sum outlives a
// part of its minutes.
func (s store) pruneRollups(ctx context.Context, before time.Time) error {
	const most = 20_000
	before = floor(before, time.Hour)
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		for _, seconds := range []int{60, 3600} {
			if _, err := tx.Exec(ctx, `DELETE FROM call_rollups WHERE seconds = $1 AND at < $2 AND at < COALESCE(
				(SELECT at FROM call_rollups WHERE seconds = $1 AND at < $2 ORDER BY at LIMIT 1 OFFSET $3), $2)`,
				seconds, db.Micros(before), most); err != nil {
				return err
			}
		}
		return nil
	})
}
