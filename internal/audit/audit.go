// Package audit keeps the append-only record of who did what, and proves that nobody rewrote it.
//
// Every entry carries a MAC over the entry before it and over itself:
//
//	mac(n) = MAC(key, mac(n-1) ‖ canonical(entry n))        mac(0) = 32 zero bytes
//
// so that a row which is edited, moved, inserted or deleted breaks the chain at that place. The key is
// not in the database: whoever holds only the database cannot mend the chain. Cutting off the newest
// rows leaves a chain that is intact but short; only an [Anchor] kept somewhere else shows that.
//
// Invariants:
//
//   - an entry is written in the transaction of the change that it describes: both exist, or neither;
//   - sequence numbers are 1, 2, 3 … without gaps;
//   - an entry never carries a secret. Callers pass names, ids and short facts.
//
// This package does not ask who is reading; whoever serves it checks the audit:read permission.
package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// Caps on what one entry stores, in characters.
const (
	maxName   = 200
	maxReason = 1000
	maxDetail = 1000
	macSize   = 32
)

// Actor is who acted. Kind is user, api_key, system, cli or anonymous.
type Actor struct{ Kind, ID, Name string }

// Target is what was acted on.
type Target struct{ Kind, ID, Name string }

// Entry is one line of the record.
type Entry struct {
	Seq       int64
	At        time.Time
	Actor     Actor
	Action    string // subject.verb, such as user.invite
	Target    Target
	Reason    string
	Details   map[string]string
	RequestID string
	IP        string
	MAC       string // hex
}

// Deps are what a Log works with; all are required.
type Deps struct {
	DB *db.DB
	// MAC computes a 32 byte MAC under the audit key.
	MAC func(message []byte) []byte
	// Now is the clock.
	Now func() time.Time
}

// Log writes, searches and verifies the record. It is safe for concurrent use.
type Log struct {
	store store
	mac   func([]byte) []byte
	now   func() time.Time
}

// New returns a Log on an open database. It fails when a dependency is missing.
func New(d Deps) (*Log, error) {
	if d.DB == nil || d.MAC == nil || d.Now == nil {
		return nil, errors.New("audit: DB, MAC and Now are required")
	}
	return &Log{store: store{db: d.DB}, mac: d.MAC, now: d.Now}, nil
}

// Record appends e within tx, so that it is stored exactly when the change is. Seq and MAC are always
// filled in, At when it is zero, RequestID from ctx when it is empty. Overlong and unprintable text is
// cut rather than refused: a change must not fail because its description is odd.
func (l *Log) Record(ctx context.Context, tx *db.Tx, e Entry) error {
	if e.Action == "" || e.Actor.Kind == "" {
		return fault.New(fault.Internal, "", "audit: an entry needs an action and an actor")
	}
	if e.At.IsZero() {
		e.At = l.now()
	}
	if e.RequestID == "" {
		e.RequestID = telemetry.RequestID(ctx)
	}
	r, err := newRow(e)
	if err != nil {
		return err
	}
	head, err := l.store.head(ctx, tx)
	if err != nil {
		return fmt.Errorf("audit: read the head: %w", err)
	}
	previous, err := decodeMAC(head.MAC)
	if err != nil {
		// The row is damaged; going on would hide where. Verify names it.
		previous = make([]byte, macSize)
	}
	r.seq = head.Seq + 1
	r.mac = hex.EncodeToString(l.sum(previous, r))
	if err := l.store.insert(ctx, tx, r); err != nil {
		return fmt.Errorf("audit: record %s: %w", r.action, err)
	}
	return nil
}

func (l *Log) sum(previous []byte, r row) []byte {
	return l.mac(append(slices.Clip(previous), r.canonical()...))
}

// newRow makes the stored form of an entry, without its place in the chain.
func newRow(e Entry) (row, error) {
	details := make(map[string]string, len(e.Details))
	for k, v := range e.Details {
		details[clean(k, maxName)] = clean(v, maxDetail)
	}
	text, err := json.Marshal(details) // sorts the keys
	if err != nil {
		return row{}, fmt.Errorf("audit: encode details: %w", err)
	}
	r := row{
		at:        db.Micros(e.At),
		actorKind: clean(e.Actor.Kind, maxName), actorID: clean(e.Actor.ID, maxName), actorName: clean(e.Actor.Name, maxName),
		action:     clean(e.Action, maxName),
		targetKind: clean(e.Target.Kind, maxName), targetID: clean(e.Target.ID, maxName), targetName: clean(e.Target.Name, maxName),
		reason: clean(e.Reason, maxReason), details: string(text),
		requestID: clean(e.RequestID, maxName), ip: clean(e.IP, maxName),
	}
	r.fold()
	return r, nil
}

// entry is the public form of a stored row.
func (r row) entry() Entry {
	var details map[string]string
	if err := json.Unmarshal([]byte(r.details), &details); err != nil {
		// Somebody edited the row. Show what is there; Verify says that it does not hold.
		details = map[string]string{"unreadable": r.details}
	}
	return Entry{
		Seq: r.seq, At: db.Time(r.at),
		Actor:  Actor{Kind: r.actorKind, ID: r.actorID, Name: r.actorName},
		Action: r.action,
		Target: Target{Kind: r.targetKind, ID: r.targetID, Name: r.targetName},
		Reason: r.reason, Details: details, RequestID: r.requestID, IP: r.ip, MAC: r.mac,
	}
}

// clean makes text storable: valid UTF-8, no control characters, at most limit characters.
func clean(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
