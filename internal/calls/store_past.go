package calls

import (
	"context"
	"encoding/json"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// pastPage is how many calls are read at once by who goes through many.
const pastPage = 2_000

// measure counts the calls of a stretch and moves its beginning, so that no more than most are left.
func (s store) measure(ctx context.Context, part *Stretch, most int) error {
	const within = ` FROM calls WHERE connection_id = $1 AND at >= $2 AND at < $3`
	args := []any{part.ConnectionID, db.Micros(part.From), db.Micros(part.Until)}
	part.Older = 0
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*)`+within, args...).Scan(&part.Calls); err != nil {
		return err
	}
	if part.Calls > most {
		var first int64
		if err := s.db.QueryRow(ctx, `SELECT at`+within+` ORDER BY at DESC LIMIT 1 OFFSET $4`, append(args, most-1)...).Scan(&first); err != nil {
			return err
		}
		part.From, part.Older, part.Calls = db.Time(first), part.Calls-most, most
	}
	var oldest int64
	switch err := s.db.QueryRow(ctx, `SELECT at FROM calls ORDER BY at, id LIMIT 1`).Scan(&oldest); {
	case err == nil:
		part.Oldest = db.Time(oldest)
	case !fault.Is(err, fault.NotFound):
		return err
	}
	return nil
}

// past appends the calls after a position to page, until that is full.
func (s store) past(ctx context.Context, part Stretch, after position, page []Past) ([]Past, position, error) {
	rows, err := s.db.Query(ctx, `SELECT id, at, method, path, account, outcome, error_code, cache, attempts, duration_us, first_byte_us,
		CASE WHEN attempts > 1 THEN detail ELSE '' END
		FROM calls WHERE connection_id = $1 AND at >= $2 AND at < $3 AND (at > $4 OR at = $4 AND id > $5) ORDER BY at, id LIMIT $6`,
		part.ConnectionID, max(db.Micros(part.From), after.at), db.Micros(part.Until), after.at, after.id, cap(page))
	if err != nil {
		return page, after, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			c               Past
			took, firstByte int64
			text            string
		)
		if err := rows.Scan(&after.id, &after.at, &c.Method, &c.Path, &c.Account, &c.Outcome, &c.ErrorCode, &c.Cache, &c.Attempts, &took, &firstByte, &text); err != nil {
			return page, after, err
		}
		c.At, c.Duration, c.FirstByte = db.Time(after.at), time.Duration(took)*time.Microsecond, time.Duration(firstByte)*time.Microsecond
		if text != "" {
			if err := c.attemptsOf(text); err != nil {
				return page, after, err
			}
		}
		page = append(page, c)
	}
	return page, after, rows.Err()
}

func (c *Past) attemptsOf(text string) error {
	var d struct {
		Retried []runtime.Retried `json:"retried"`
		SentAt  time.Duration     `json:"sent_at"`
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return fault.Wrap(err, fault.Internal, "", "the call's details are not readable")
	}
	c.Retried, c.SentAt = d.Retried, d.SentAt
	return nil
}
