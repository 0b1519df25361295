package calls

import (
	"context"
	"fmt"
	"time"

	"switchgear/internal/runtime"
)

// Past is a call as far as somebody needs it who goes through many: nothing of what was sent or answered.
type Past struct {
	At      time.Time
	Method  string
	Path    string // as the caller wrote it, below the base URL
	Account string
	Outcome runtime.Outcome
	// ErrorCode is ours: it says why a call was refused.
	ErrorCode string
	Cache     string
	Attempts  int
	Duration  time.Duration
	FirstByte time.Duration
	// Retried are the attempts before the last one; empty as well where the entry does not tell.
	Retried []runtime.Retried
	// SentAt is when the attempt after those began, from the start of the call.
	SentAt time.Duration
}

// Stretch is a part of the log of one connection.
type Stretch struct {
	ConnectionID string
	// Since is what was asked for, From what there is to go through: later where the log is cut. Until ends it.
	Since, From, Until time.Time
	// Calls is how many there were between From and Until, Older how many of those asked for were left out
	// because they are too many.
	Calls, Older int
	// Oldest is the oldest entry of the whole log; zero when it is empty.
	Oldest time.Time
}

// Stretch measures the calls of a connection that began in a time, the newest most of them.
func (l *Log) Stretch(ctx context.Context, connectionID string, since, until time.Time, most int) (Stretch, error) {
	s := Stretch{ConnectionID: connectionID, Since: since, From: since, Until: until}
	if err := l.store.measure(ctx, &s, most); err != nil {
		return Stretch{}, fmt.Errorf("calls: measure: %w", err)
	}
	return s, nil
}

// Newest is the part of a stretch with its newest calls.
func (l *Log) Newest(ctx context.Context, s Stretch, most int) (Stretch, error) {
	older := s.Older
	if err := l.store.measure(ctx, &s, most); err != nil {
		return Stretch{}, fmt.Errorf("calls: measure: %w", err)
	}
	s.Older += older
	return s, nil
}

// EachPast calls fn with the calls of a stretch in the order in which they began, a page at a time. Each page
// is one short reading, so that neither writers nor a checkpoint wait for whoever goes through the log. fn
// must not keep the page; its error ends the reading.
func (l *Log) EachPast(ctx context.Context, s Stretch, fn func(page []Past) error) error {
	var (
		page  = make([]Past, 0, pastPage)
		after = position{at: -1}
	)
	for {
		var err error
		if page, after, err = l.store.past(ctx, s, after, page[:0]); err != nil {
			return fmt.Errorf("calls: go through the log: %w", err)
		}
		if len(page) > 0 {
			if err := fn(page); err != nil {
				return err
			}
		}
		if len(page) < pastPage {
			return nil
		}
	}
}
