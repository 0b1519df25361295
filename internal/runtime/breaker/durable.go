package breaker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"switchgear/internal/fault"
)

// Durable is what of a breaker survives a restart. Its JSON form is what a store keeps.
type Durable struct {
	Key   Key   `json:"key"`
	Mode  Mode  `json:"mode"`
	Lease Lease `json:"lease,omitzero"`
	// State is the automatic state and Since when it began.
	State     State         `json:"state"`
	Since     time.Time     `json:"since,omitzero"`
	Reason    string        `json:"reason,omitempty"`
	Actor     string        `json:"actor,omitempty"` // who opened it, when it was not the calls
	OpenUntil time.Time     `json:"open_until,omitzero"`
	Hold      Lease         `json:"hold,omitzero"`
	Backoff   int           `json:"backoff,omitempty"` // doublings of the open time
	Reopens   int           `json:"reopens,omitempty"`
	OpenTotal time.Duration `json:"open_total,omitempty"` // in nanoseconds, without the present state
	Epoch     uint64        `json:"epoch"`
	Seq       uint64        `json:"seq"`
}

// maxBackoff is more doublings than any open time can have.
const maxBackoff = 64

// DecodeDurable reads the JSON form. What it does not know, or what makes no sense, is fault.Invalid.
func DecodeDurable(text []byte) (Durable, error) {
	var d Durable
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Durable{}, fault.Wrap(err, fault.Invalid, "INVALID_BREAKER_STATE", "The stored state of a breaker cannot be read.")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Durable{}, fault.New(fault.Invalid, "INVALID_BREAKER_STATE", "Something follows the stored state of a breaker.")
	}
	if err := d.Validate(); err != nil {
		return Durable{}, err
	}
	return d, nil
}

// Validate reports the first field that is wrong as fault.Invalid.
func (d Durable) Validate() error {
	wrong := func(field, message string) error { return fault.Field("INVALID_BREAKER_STATE", field, message) }
	if d.Key.Connection == "" {
		return wrong("key.connection", "The connection is missing.")
	}
	if _, err := ParseMode(string(d.Mode)); err != nil {
		return err
	}
	switch {
	case !slices.Contains(automatic(), d.State):
		return wrong("state", fmt.Sprintf("There is no automatic state %.40q.", d.State))
	case d.Mode == ModeAuto && d.Lease != Lease{}:
		return wrong("lease", "There is a lease without an override.")
	case (d.Mode == ModeForcedOpen || d.Mode == ModeForcedClosed) && d.Lease.Until.IsZero():
		return wrong("lease.until", "A forced mode has no end.")
	case d.State == StateOpen && d.OpenUntil.IsZero():
		return wrong("open_until", "The breaker is open without an end.")
	case d.State == StateHeld && d.Hold.Until.IsZero():
		return wrong("hold.until", "The breaker is held without an end.")
	case d.State != StateHeld && d.Hold != Lease{}:
		return wrong("hold", "There is a hold, but the breaker is not held.")
	case d.Backoff < 0 || d.Backoff > maxBackoff:
		return wrong("backoff", fmt.Sprintf("It must be between 0 and %d.", maxBackoff))
	case d.Reopens < 0:
		return wrong("reopens", "It must not be negative.")
	case d.OpenTotal < 0:
		return wrong("open_total", "It must not be negative.")
	}
	return nil
}

// Durable returns what has to survive a restart.
func (b *Breaker) Durable() Durable {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.durable()
}

// durable holds no reading of the monotonic clock, which would mean nothing to the next process.
func (b *Breaker) durable() Durable {
	wall := func(l Lease) Lease {
		l.Since, l.Until = l.Since.Round(0), l.Until.Round(0)
		return l
	}
	return Durable{
		Key: b.key, Mode: b.mode, Lease: wall(b.lease), State: b.state, Since: b.stateSince.Round(0), Reason: b.reason, Actor: b.actor,
		OpenUntil: b.openUntil.Round(0), Hold: wall(b.hold), Backoff: b.backoff, Reopens: b.reopens,
		OpenTotal: b.openTotal, Epoch: b.epoch, Seq: b.seq,
	}
}

// restore takes up a valid stored state: open stays open for the rest of its time and then becomes
// half-open; half-open begins its probes again; leases and holds go on, and end at once when their time has
// passed.
func (b *Breaker) restore(d Durable) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.now()
	past := func(t time.Time) time.Time {
		if t.IsZero() || t.After(now) {
			return now
		}
		return t
	}
	n := b.note(now, CauseRestore, "", "taken up again after a restart")
	from := effective(b.mode, b.state)
	b.epoch, b.seq = max(b.epoch, d.Epoch), max(b.seq, d.Seq)
	b.mode, b.lease, b.hold = d.Mode, d.Lease, d.Hold
	b.state, b.stateSince, b.reason, b.actor = d.State, past(d.Since), d.Reason, d.Actor
	b.install(now)
	b.openUntil, b.backoff, b.reopens, b.openTotal = d.OpenUntil, d.Backoff, d.Reopens, d.OpenTotal
	b.recovering = d.State == StateHalfOpen || !d.OpenUntil.IsZero()
	if b.state != StateClosed {
		b.arm() // half-open, the next question makes it so again
	}
	b.seen, b.since, b.refused = effective(b.mode, b.state), b.stateSince, 0
	if b.mode != ModeAuto {
		b.since = past(b.lease.Since)
	}
	if b.seen == StateClosed {
		b.publish(now) // nothing happened that would have to be told
		return
	}
	b.record(now, from, b.seen, n)
	b.advance(now)
}
