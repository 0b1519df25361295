package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"

	"switchgear/db"
	"switchgear/internal/fault"
)

// The states of a rotation of the data keys.
const (
	RotationRunning = "running"
	RotationPaused  = "paused"
	RotationDone    = "done"
)

// MinRetention is how long a disabled key is kept at least before it can be destroyed: whatever was under way
// when it was replaced has ended by then.
const MinRetention = time.Hour

// RotatorDeps are what a Rotator works with; all are required.
type RotatorDeps struct {
	DB      *db.DB
	Keyring *Keyring
	// Progress is called when values were sealed anew.
	Progress func()
	Logger   *slog.Logger
	Now      func() time.Time
}

// RotatorConfig tunes a Rotator; zero values are useful.
type RotatorConfig struct {
	// Batch is how many values are sealed anew in one transaction; 0 means 100.
	Batch int
	// Pause is how long it leaves the database to others after each; 0 means 10 milliseconds.
	Pause time.Duration
	// Look is how often values are looked for that an older key still seals; 0 means 5 minutes.
	Look time.Duration
}

// Rotator rotates the data key, which seals the values in the database, while they are used:
//
//	Begin   adds a key, which seals everything from then on; older keys still open what they sealed
//	Serve   seals older values anew, a few at a time, each only if nobody changed it meanwhile
//	        disables the older keys once no value names them
//	Destroy removes disabled keys for good
//
// All that it has to know is in the database, and what is left to do is counted there: a process that is
// killed at any point goes on where it was. Changes run in the caller's transaction; the caller also checks
// permission and records.
type Rotator struct {
	deps   RotatorDeps
	cfg    RotatorConfig
	sealer *Sealer
	wake   chan struct{}
	// running is held while values are sealed anew.
	running sync.Mutex
	pace    atomic.Pointer[pace]
	step    func(name string)
}

// pace is how much was done since when in this process.
type pace struct {
	since time.Time
	done  int64
}

// NewRotator returns a Rotator. It fails when a dependency is missing.
func NewRotator(d RotatorDeps, cfg RotatorConfig) (*Rotator, error) {
	if d.DB == nil || d.Keyring == nil || d.Progress == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("credentials: every dependency of the rotator is required")
	}
	sealer, err := d.Keyring.Sealer(PurposeCredential)
	if err != nil {
		return nil, err
	}
	setDefault(&cfg.Batch, 100)
	setDefault(&cfg.Pause, 10*time.Millisecond)
	setDefault(&cfg.Look, 5*time.Minute)
	return &Rotator{deps: d, cfg: cfg, sealer: sealer, wake: make(chan struct{}, 1), step: func(string) {}}, nil
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Begin adds a key to the keyset and makes it the one that seals. What it returns has to be called after the
// commit: it makes this process use the new key and begins to seal older values anew.
//
// It returns a fault.Conflict with the code ROTATION_UNDER_WAY while an earlier one has not ended.
func (r *Rotator) Begin(ctx context.Context, tx *db.Tx, by string) (committed func(), err error) {
	open, err := openRotation(ctx, tx)
	if err != nil {
		return nil, err
	}
	if open.ID != "" {
		return nil, fault.New(fault.Conflict, "ROTATION_UNDER_WAY", "A rotation of the data key is under way already.").
			WithSuggestion("Wait until it has ended; one that is paused can be resumed.")
	}
	template, err := PurposeCredential.template()
	if err != nil {
		return nil, err
	}
	now := r.moment()
	var old, added uint32
	handle, created, err := r.changeKeyset(ctx, tx, func(m *keyset.Manager, primary uint32) error {
		old = primary
		if added, err = m.Add(template); err != nil {
			return err
		}
		return m.SetPrimary(added)
	})
	if err != nil {
		return nil, err
	}
	if err := noteKey(ctx, tx, old, created); err != nil {
		return nil, err
	}
	if err := noteKey(ctx, tx, added, now); err != nil {
		return nil, err
	}
	if err := markKey(ctx, tx, old, "replaced_at", now); err != nil {
		return nil, err
	}
	counts, err := sealedWith(ctx, tx)
	if err != nil {
		return nil, err
	}
	rotation := Rotation{ID: db.NewID("rot"), KeyID: added, State: RotationRunning, Total: others(counts, added), StartedAt: now, StartedBy: by}
	if err := insertRotation(ctx, tx, rotation); err != nil {
		return nil, err
	}
	r.step("begun")
	return func() {
		if err := r.sealer.use(handle); err != nil { // it was opened like this before it was stored
			r.deps.Logger.LogAttrs(ctx, slog.LevelError, "the new data key is used from the next start on", slog.Any("error", err))
		}
		r.Wake()
	}, nil
}

// Pause stops sealing values anew until Resume. The new key goes on sealing new values.
func (r *Rotator) Pause(ctx context.Context, tx *db.Tx) error {
	return r.turn(ctx, tx, RotationRunning, RotationPaused)
}

// Resume goes on with a rotation that was paused. Call Wake after the commit.
func (r *Rotator) Resume(ctx context.Context, tx *db.Tx) error {
	return r.turn(ctx, tx, RotationPaused, RotationRunning)
}

func (r *Rotator) turn(ctx context.Context, tx *db.Tx, from, to string) error {
	open, err := openRotation(ctx, tx)
	if err != nil {
		return err
	}
	if open.State != from {
		return fault.New(fault.Conflict, "NO_SUCH_ROTATION", "There is no rotation of the data key that is "+from+".")
	}
	return setRotation(ctx, tx, open.ID, to, 0, time.Time{})
}

// Wake makes Serve look for work now.
func (r *Rotator) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Serve does the work of rotations until ctx ends. Run it under a supervisor.
func (r *Rotator) Serve(ctx context.Context) error {
	look := time.NewTicker(r.cfg.Look)
	defer look.Stop()
	for {
		if err := r.Work(ctx); err != nil && ctx.Err() == nil {
			r.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "values are not sealed anew yet", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.wake:
		case <-look.C:
		}
	}
}

// Work seals anew whatever an older key seals, and ends the rotation that is running. It returns when nothing
// is left to do, the rotation is paused, or ctx ends.
func (r *Rotator) Work(ctx context.Context) error {
	r.running.Lock()
	defer r.running.Unlock()
	defer r.pace.Store(nil)
	r.pace.Store(&pace{since: r.deps.Now()})
	for {
		swapped, failed, err := r.pass(ctx)
		if err != nil || swapped < 0 {
			return err
		}
		ended, err := r.end(ctx, failed, swapped == 0)
		if err != nil || ended {
			return err
		}
	}
}

// pass goes once over everything that is sealed. swapped is -1 when it was told to pause.
func (r *Rotator) pass(ctx context.Context) (swapped, failed int64, err error) {
	for _, column := range sealedColumns() {
		row, version := "", int64(-1)
		for {
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			open, err := openRotation(ctx, r.deps.DB)
			if err != nil {
				return 0, 0, err
			}
			if open.State == RotationPaused {
				return -1, 0, nil
			}
			batch, err := column.after(ctx, r.deps.DB, r.sealer.primary(), row, version, r.cfg.Batch)
			if err != nil {
				return 0, 0, err
			}
			if len(batch) == 0 {
				break
			}
			row, version = batch[len(batch)-1].row, batch[len(batch)-1].version
			n, bad, err := r.seal(ctx, column, batch)
			if err != nil {
				return 0, 0, err
			}
			swapped, failed = swapped+n, failed+bad
			if err := r.rest(ctx, n); err != nil {
				return 0, 0, err
			}
		}
	}
	return swapped, failed, nil
}

// rest leaves the database to others for a moment, and lets people see how far it is.
func (r *Rotator) rest(ctx context.Context, swapped int64) error {
	if p := r.pace.Load(); p != nil {
		r.pace.Store(&pace{since: p.since, done: p.done + swapped})
	}
	if swapped > 0 {
		r.deps.Progress()
	}
	timer := time.NewTimer(r.cfg.Pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// seal seals a batch anew. A value that does not open is left as it is, and so is one that was changed since
// it was read: whoever changed it sealed it with the new key, or it is found again.
func (r *Rotator) seal(ctx context.Context, column sealedColumn, batch []sealedValue) (swapped, failed int64, err error) {
	keys := r.sealer.keys.Load()
	ready := make([]sealedValue, 0, len(batch))
	for _, v := range batch {
		plaintext, err := r.sealer.Open(column.place(v), v.sealed)
		if err != nil {
			failed++
			r.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a sealed value does not open and is left as it is",
				slog.String("table", column.table), slog.String("row", v.row), slog.Int64("version", v.version))
			continue
		}
		v.again, err = keys.seal(column.place(v), plaintext)
		clear(plaintext)
		if err != nil {
			return 0, 0, err
		}
		ready = append(ready, v)
	}
	if len(ready) == 0 {
		return 0, failed, nil
	}
	r.step("sealed anew")
	err = r.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		swapped = 0
		for _, v := range ready {
			ok, err := column.swap(ctx, tx, v, keys.primary)
			if err != nil {
				return err
			}
			if ok {
				swapped++
			}
		}
		r.step("half stored")
		return nil
	})
	r.step("stored")
	return swapped, failed, err
}

// end disables the keys that nothing names any more, and ends the rotation when there is no more to do: every
// value is sealed with the new key, or what is left does not open.
func (r *Rotator) end(ctx context.Context, failed int64, stuck bool) (ended bool, err error) {
	err = r.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		open, err := openRotation(ctx, tx)
		if err != nil {
			return err
		}
		counts, err := sealedWith(ctx, tx)
		if err != nil {
			return err
		}
		left := others(counts, r.sealer.primary())
		ended = left == 0 || stuck && left <= failed
		if open.State != RotationRunning {
			// Without a rotation this was only about what came late. What is left has been tried.
			ended = ended || stuck
			return nil
		}
		if !ended {
			return nil
		}
		if err := r.disableUnused(ctx, tx, counts); err != nil {
			return err
		}
		r.step("disabled")
		return setRotation(ctx, tx, open.ID, RotationDone, left, r.moment())
	})
	r.step("ended")
	if err == nil && ended {
		r.deps.Progress()
	}
	return ended, err
}

// disableUnused disables the keys that no value names. This process goes on opening with them what it holds in
// memory.
func (r *Rotator) disableUnused(ctx context.Context, tx *db.Tx, counts map[uint32]int64) error {
	var disabled []uint32
	_, _, err := r.changeKeyset(ctx, tx, func(m *keyset.Manager, primary uint32) error {
		entries, err := keysOf(m)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.KeyID() == primary || e.KeyStatus() != keyset.Enabled || counts[e.KeyID()] > 0 {
				continue
			}
			if err := m.Disable(e.KeyID()); err != nil {
				return err
			}
			disabled = append(disabled, e.KeyID())
		}
		return nil
	})
	for _, id := range disabled {
		if err == nil {
			err = markKey(ctx, tx, id, "disabled_at", r.moment())
		}
	}
	return err
}

// Destroy removes the keys from the keyset that have been disabled for the retention, and returns how many
// they were. What was sealed with them in a copy of single rows is lost; a backup of the whole database holds
// its own keyset.
//
// It returns a fault.Invalid about the field retention when that is shorter than MinRetention.
func (r *Rotator) Destroy(ctx context.Context, tx *db.Tx, retention time.Duration) (int, error) {
	if retention < MinRetention {
		return 0, fault.Field("RETENTION_TOO_SHORT", "retention", "A disabled key is kept for an hour at least.")
	}
	counts, err := sealedWith(ctx, tx)
	if err != nil {
		return 0, err
	}
	notes, err := keyNotes(ctx, tx)
	if err != nil {
		return 0, err
	}
	now := r.moment()
	var gone []uint32
	_, _, err = r.changeKeyset(ctx, tx, func(m *keyset.Manager, primary uint32) error {
		entries, err := keysOf(m)
		if err != nil {
			return err
		}
		for _, e := range entries {
			id, note := e.KeyID(), notes[e.KeyID()]
			if id == primary || e.KeyStatus() != keyset.Disabled || counts[id] > 0 || note.disabledAt.IsZero() || now.Sub(note.disabledAt) < retention {
				continue
			}
			if err := m.Delete(id); err != nil {
				return err
			}
			gone = append(gone, id)
		}
		return nil
	})
	for _, id := range gone {
		if err == nil {
			err = markKey(ctx, tx, id, "destroyed_at", now)
		}
	}
	return len(gone), err
}

func (r *Rotator) moment() time.Time { return db.Time(db.Micros(r.deps.Now())) }

// changeKeyset changes the stored keyset, and returns it with the moment at which it was made.
func (r *Rotator) changeKeyset(ctx context.Context, tx *db.Tx, change func(m *keyset.Manager, primary uint32) error) (*keyset.Handle, time.Time, error) {
	return r.deps.Keyring.change(ctx, tx, PurposeCredential, change)
}

// change changes a keyset as tx sees it and stores it when it is another one afterwards.
func (k *Keyring) change(ctx context.Context, tx *db.Tx, p Purpose, change func(m *keyset.Manager, primary uint32) error) (*keyset.Handle, time.Time, error) {
	row, created, err := findKeyset(ctx, tx, p)
	if err != nil {
		return nil, created, err
	}
	master := k.wrapping(row.fingerprint)
	handle, err := unwrap(master.wrapper, row.wrapped, k.installation, p)
	if err != nil {
		return nil, created, fmt.Errorf("credentials: unwrap keyset %s: %w", p, err)
	}
	primary, err := handle.Primary()
	if err != nil {
		return nil, created, fmt.Errorf("credentials: keyset %s: %w", p, err)
	}
	before := handle.String()
	manager := keyset.NewManagerFromHandle(handle)
	if err := change(manager, primary.KeyID()); err != nil {
		return nil, created, fmt.Errorf("credentials: change keyset %s: %w", p, err)
	}
	next, err := manager.Handle()
	if err != nil {
		return nil, created, fmt.Errorf("credentials: change keyset %s: %w", p, err)
	}
	if next.String() == before {
		return next, created, nil
	}
	wrapped, err := wrap(master.wrapper, next, k.installation, p)
	if err != nil {
		return nil, created, fmt.Errorf("credentials: wrap keyset %s: %w", p, err)
	}
	return next, created, updateKeyset(ctx, tx, row.wrapped, keysetRow{string(p), wrapped, master.fingerprint}, k.deps.Now())
}

// keysOf lists the keys of the keyset under change.
func keysOf(m *keyset.Manager) ([]*keyset.Entry, error) {
	handle, err := m.Handle()
	if err != nil {
		return nil, err
	}
	return entriesOf(handle)
}

func entriesOf(handle *keyset.Handle) ([]*keyset.Entry, error) {
	out := make([]*keyset.Entry, handle.Len())
	for i := range out {
		e, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

// revive enables disabled keys that a value names after all: it was sealed before its key was replaced and
// stored after the key was disabled.
func (k *Keyring) revive(ctx context.Context) error {
	var handle *keyset.Handle
	var revived []uint32
	err := k.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		counts, err := sealedWith(ctx, tx)
		if err != nil {
			return err
		}
		handle, _, err = k.change(ctx, tx, PurposeCredential, func(m *keyset.Manager, _ uint32) error {
			entries, err := keysOf(m)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e.KeyStatus() != keyset.Disabled || counts[e.KeyID()] == 0 {
					continue
				}
				if err := m.Enable(e.KeyID()); err != nil {
					return err
				}
				revived = append(revived, e.KeyID())
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range revived {
			if err := markKey(ctx, tx, id, "disabled_at", time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(revived) == 0 {
		return err
	}
	k.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a disabled data key is needed after all and is enabled again", slog.Any("keys", revived))
	return k.sealers[PurposeCredential].use(handle)
}

// others is how many values another key than id seals.
func others(counts map[uint32]int64, id uint32) int64 {
	var n int64
	for key, count := range counts {
		if key != id {
			n += count
		}
	}
	return n
}
