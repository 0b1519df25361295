package credentials

import (
	"context"
	"slices"
	"time"
)

// Rotation is one rotation of the data key.
type Rotation struct {
	ID        string
	KeyID     uint32
	State     string
	Total     int64
	Failed    int64
	StartedAt time.Time
	StartedBy string
	// FinishedAt is zero until it has ended.
	FinishedAt time.Time
}

// DataKey is one key of the keyset that seals values.
type DataKey struct {
	ID uint32
	// Primary is the one that seals; Disabled is one that opens nothing any more.
	Primary, Disabled                 bool
	CreatedAt, ReplacedAt, DisabledAt time.Time
	// Values is how many it seals.
	Values int64
}

// ColumnProgress is how far one kind of values is.
type ColumnProgress struct {
	// Label is what people call the values, Table where they are.
	Label, Table string
	Done, Total  int64
}

// KeyStatus is the state of the keys and of their rotation. It holds no key.
type KeyStatus struct {
	// Fingerprint is that of the master key; Previous are those of the earlier ones that can be read.
	Fingerprint string
	Previous    []string
	// WrappedAt is since when the master key wraps the keysets.
	WrappedAt time.Time
	// Keys are the data keys, the one that seals first.
	Keys []DataKey
	// Destroyed is how many data keys were destroyed so far.
	Destroyed int
	// Last is the rotation under way, or the last one; nil when there was none.
	Last *Rotation
	// Columns say how far each kind of values is; Done of Total are sealed with the present key.
	Columns     []ColumnProgress
	Done, Total int64
	// Left is about how long the rotation that is running still takes; 0 when that is not known.
	Left time.Duration
}

// Status returns the state of the keys.
func (r *Rotator) Status(ctx context.Context) (KeyStatus, error) {
	k := r.deps.Keyring
	out := KeyStatus{Fingerprint: k.Fingerprint(), Previous: k.Previous()}
	err := r.status(ctx, r.deps.DB, &out)
	if p := r.pace.Load(); err == nil && p != nil && p.done > 0 && out.Last != nil && out.Last.State == RotationRunning {
		out.Left = time.Duration(float64(r.deps.Now().Sub(p.since)) / float64(p.done) * float64(out.Total-out.Done))
	}
	return out, err
}

func (r *Rotator) status(ctx context.Context, q reader, out *KeyStatus) error {
	k := r.deps.Keyring
	row, created, err := findKeyset(ctx, q, PurposeCredential)
	if err != nil {
		return err
	}
	if out.WrappedAt, err = wrappedAt(ctx, q); err != nil {
		return err
	}
	handle, err := unwrap(k.wrapping(row.fingerprint).wrapper, row.wrapped, k.installation, PurposeCredential)
	if err != nil {
		return err
	}
	entries, err := entriesOf(handle)
	if err != nil {
		return err
	}
	notes, err := keyNotes(ctx, q)
	if err != nil {
		return err
	}
	all := map[uint32]int64{}
	primary := r.sealer.primary()
	for _, c := range sealedColumns() {
		counts, err := c.counts(ctx, q)
		if err != nil {
			return err
		}
		p := ColumnProgress{Label: c.label, Table: c.table, Done: counts[primary]}
		for id, n := range counts {
			all[id] += n
			p.Total += n
		}
		out.Columns = append(out.Columns, p)
		out.Done, out.Total = out.Done+p.Done, out.Total+p.Total
	}
	for _, e := range entries {
		note, noted := notes[e.KeyID()]
		if !noted {
			note.createdAt = created
		}
		out.Keys = append(out.Keys, DataKey{
			ID: e.KeyID(), Primary: e.IsPrimary(), Disabled: !note.disabledAt.IsZero(),
			CreatedAt: note.createdAt, ReplacedAt: note.replacedAt, DisabledAt: note.disabledAt, Values: all[e.KeyID()],
		})
	}
	slices.SortStableFunc(out.Keys, func(a, b DataKey) int {
		switch {
		case a.Primary:
			return -1
		case b.Primary:
			return 1
		}
		return b.CreatedAt.Compare(a.CreatedAt)
	})
	for _, note := range notes {
		if !note.destroyedAt.IsZero() {
			out.Destroyed++
		}
	}
	out.Last, err = lastRotation(ctx, q)
	return err
}
