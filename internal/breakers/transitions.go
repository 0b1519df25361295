package breakers

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/runtime/breaker"
)

// Transitions are what the breakers of a connection did by themselves, those of its operations included. What
// people commanded is not among them.
type Transitions struct {
	// Opened is how often one opened because of failures, Recovered how often one closed after probes that
	// succeeded, Stuck how often probes did not end in their time.
	Opened, Recovered, Stuck  int
	LastOpened, LastRecovered time.Time
}

// Transitions counts what the breakers of a connection did from then on. It checks no permission: it is for
// whoever judges connections.
func (s *Service) Transitions(ctx context.Context, connectionID string, from time.Time) (Transitions, error) {
	out, err := s.store.transitions(ctx, connectionID, from)
	if err != nil {
		return Transitions{}, fmt.Errorf("breakers: transitions of %s: %w", connectionID, err)
	}
	return out, nil
}

func (s store) transitions(ctx context.Context, connectionID string, from time.Time) (out Transitions, err error) {
	err = s.each(ctx, func(rows *sql.Rows) error {
		var (
			to    breaker.State
			cause breaker.Cause
			n     int
			last  int64
		)
		if err := rows.Scan(&to, &cause, &n, &last); err != nil {
			return err
		}
		switch {
		case cause == breaker.CauseWatchdog:
			out.Stuck += n
		case to == breaker.StateOpen:
			out.Opened, out.LastOpened = n, db.Time(last)
		case to == breaker.StateClosed:
			out.Recovered, out.LastRecovered = n, db.Time(last)
		}
		return nil
	}, `SELECT to_state, cause, COUNT(*), MAX(at) FROM breaker_events
		WHERE connection_id = $1 AND at >= $2 AND (cause = $3 AND from_state IN ($4, $5) OR cause = $6) GROUP BY to_state, cause`,
		connectionID, db.Micros(from), string(breaker.CauseAuto), string(breaker.StateClosed), string(breaker.StateHalfOpen), string(breaker.CauseWatchdog))
	return out, err
}
