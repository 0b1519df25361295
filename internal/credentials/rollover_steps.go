package credentials

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
)

// Switchover is how a staged credential is put in use.
type Switchover struct {
	// Revision is that of the rollover that was looked at, 0 for any.
	Revision int64
	// Keep is how long the old credential is kept; 0 is until somebody destroys it.
	Keep time.Duration
	// Anyway switches although no test passed. It needs a reason.
	Anyway bool
	Reason string
}

// Tested notes within tx what a test of the staged credential showed.
func (v *Vault) Tested(ctx context.Context, tx *db.Tx, connectionID, account string, revision int64, test RolloverTest, by Actor) (Rollover, error) {
	r, o, err := v.rolling(ctx, tx, connectionID, account, RolloverStaged, revision)
	if err != nil {
		return Rollover{}, err
	}
	test.At, test.By = v.moment(), by.Name
	o.Test = &test
	if err := v.step(ctx, tx, &o); err != nil {
		return Rollover{}, err
	}
	kind := EventTested
	if !test.Passed {
		kind = EventTestFailed
	}
	return o.Rollover, v.Record(ctx, tx, r.Credential, kind, "", by, test.text())
}

// text says how it ended.
func (t RolloverTest) text() string {
	if t.Status == 0 {
		return t.Request + ": no answer (" + t.Outcome + ")."
	}
	return strings.TrimSpace(fmt.Sprintf("%s: status %d. %s", t.Request, t.Status, t.Problem))
}

// Switch puts the staged credential of an account in use within tx, as its next version. Calls that began go
// on with the old one, which is kept. Tokens that were obtained with it are not used any more.
//
// Errors: NO_ROTATION, ROTATION_STEP, ROTATION_CHANGED, and ROTATION_NOT_TESTED when no test passed and
// nobody says to switch anyway.
func (v *Vault) Switch(ctx context.Context, tx *db.Tx, connectionID, account string, s Switchover, by Actor) (Credential, Rollover, error) {
	r, o, err := v.rolling(ctx, tx, connectionID, account, RolloverStaged, s.Revision)
	if err == nil {
		err = s.check(o.Rollover)
	}
	if err != nil {
		return Credential{}, Rollover{}, err
	}
	values, err := v.open(o.waiting(r.Credential))
	if err != nil {
		return Credential{}, Rollover{}, err
	}
	t, err := authtype.Lookup(o.AuthType)
	if err != nil {
		return Credential{}, Rollover{}, err
	}
	next := r
	next.AuthType, next.Settings, next.Marks, next.origin = o.AuthType, o.Settings, o.marks, o.origin
	if next.expiryOf(r); o.ExpiresOn != "" {
		next.ExpiresOn, next.ExpiresSetBy = o.ExpiresOn, o.ExpiresSetBy
	}
	o.State, o.OldVersion, o.SwitchedAt, o.SwitchedBy, o.Reason = RolloverSwitched, r.Version, v.moment(), by.Name, s.Reason
	o.DestroyAt, o.RolledBackAt, o.RolledBackBy = time.Time{}, time.Time{}, ""
	if s.Keep > 0 {
		o.DestroyAt = o.SwitchedAt.Add(s.Keep)
	}
	o.empty()
	if err := v.step(ctx, tx, &o); err != nil {
		return Credential{}, Rollover{}, err
	}
	before := map[string]string{}
	if opened, err := v.open(r); err == nil {
		before = opened
	}
	stored, err := v.replace(ctx, tx, t, r, before, next, values)
	if err != nil {
		return Credential{}, Rollover{}, err
	}
	return stored, o.Rollover, v.Record(ctx, tx, stored, EventSwitched, "", by, o.kept(), s.Reason)
}

func (s Switchover) check(o Rollover) error {
	switch passed := o.Test != nil && o.Test.Passed; {
	case s.Keep < 0 || s.Keep > MaxKeep:
		return fault.Field("INVALID_KEEP", "keep", "The old credential can be kept for 90 days at most, or until somebody destroys it.")
	case !passed && !s.Anyway:
		return fault.New(fault.Conflict, "ROTATION_NOT_TESTED", "The staged credential has passed no test.").
			WithSuggestion("Test it first, or say that it is to be switched anyway, and why.")
	case !passed && s.Reason == "":
		return fault.Field("REASON_MISSING", "reason", "Say why it is switched without a test that passed.")
	}
	return nil
}

// kept says for how long the old credential is there.
func (r Rollover) kept() string {
	if r.DestroyAt.IsZero() {
		return "The old one is kept until somebody destroys it."
	}
	return "The old one is kept until " + r.DestroyAt.UTC().Format("2 Jan 2006 15:04") + " UTC."
}

// empty forgets what waits.
func (o *rolloverRow) empty() {
	o.Settings, o.marks, o.Fields, o.origin, o.sealed, o.keyID = map[string]string{}, map[string]string{}, nil, "", "", 0
	o.ExpiresOn, o.ExpiresSetBy = "", ""
}

// RollBack puts the old credential of an account in use again within tx. The new one waits as before.
func (v *Vault) RollBack(ctx context.Context, tx *db.Tx, connectionID, account string, revision int64, by Actor) (Credential, Rollover, error) {
	_, o, err := v.rolling(ctx, tx, connectionID, account, RolloverSwitched, revision)
	if err != nil {
		return Credential{}, Rollover{}, err
	}
	stored, again, err := v.restore(ctx, tx, connectionID, account, o.OldVersion, by.Name)
	if err != nil {
		return Credential{}, Rollover{}, err
	}
	return stored, again.Rollover, v.Record(ctx, tx, stored, EventRolledBack, "", by)
}

// waitAgain turns a rollover back when an older version of the credential comes back: what was in use is
// staged again. Nothing happens to one that has not been switched.
func (v *Vault) waitAgain(ctx context.Context, tx *db.Tx, was sealedRow, values map[string]string, by string) (rolloverRow, error) {
	o, err := v.store.rollover(ctx, tx, was.ID)
	if fault.Is(err, fault.NotFound) || err == nil && o.State != RolloverSwitched {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("credentials: read the rotation of %s: %w", was.ID, err)
	}
	if values == nil { // It does not open, so there is nothing that could wait.
		return rolloverRow{}, v.store.deleteRollover(ctx, tx, o.ID)
	}
	o.State, o.AuthType, o.Settings, o.marks, o.Fields = RolloverStaged, was.AuthType, was.Settings, was.Marks, was.Fields
	o.ExpiresOn, o.ExpiresSetBy = was.ExpiresOn, was.ExpiresSetBy
	o.version++
	o.origin = was.origin
	o.Test, o.OldVersion, o.SwitchedAt, o.SwitchedBy, o.Reason, o.DestroyAt = nil, 0, time.Time{}, "", "", time.Time{}
	o.RolledBackAt, o.RolledBackBy = v.moment(), by
	if err := v.sealWaiting(&o, was.Credential, values); err != nil {
		return o, err
	}
	return o, v.step(ctx, tx, &o)
}

// DestroyOld forgets the old credential of an account, and every version before it, within tx: there is no way
// back to them.
func (v *Vault) DestroyOld(ctx context.Context, tx *db.Tx, connectionID, account string, revision int64, by Actor) (Rollover, error) {
	r, o, err := v.rolling(ctx, tx, connectionID, account, RolloverSwitched, revision)
	if err != nil {
		return Rollover{}, err
	}
	o.State, o.DestroyAt, o.DestroyedAt, o.DestroyedBy = RolloverDone, time.Time{}, v.moment(), by.Name
	if err := v.step(ctx, tx, &o); err != nil {
		return Rollover{}, err
	}
	if err := v.store.prune(ctx, tx, r.ID, r.Version-1); err != nil {
		return Rollover{}, fmt.Errorf("credentials: destroy the old versions of %s: %w", r.ID, err)
	}
	return o.Rollover, v.Record(ctx, tx, r.Credential, EventOldDestroyed, "", by)
}

// Discard forgets the staged credential of an account within tx. The one in use stays.
func (v *Vault) Discard(ctx context.Context, tx *db.Tx, connectionID, account string, revision int64, by Actor) error {
	r, o, err := v.rolling(ctx, tx, connectionID, account, RolloverStaged, revision)
	if err != nil {
		return err
	}
	err = v.store.deleteRollover(ctx, tx, o.ID)
	if err == nil && !o.RolledBackAt.IsZero() && !maps.Equal(o.marks, r.Marks) {
		// It was in use, so it is a version, too.
		err = v.store.forgetVersions(ctx, tx, r.ID, o.marks, r.Version)
	}
	if err != nil {
		return fmt.Errorf("credentials: discard what is staged for %s: %w", r.ID, err)
	}
	return v.Record(ctx, tx, r.Credential, EventDiscarded, "", by)
}

// DueRollover is an old credential whose time is over.
type DueRollover struct {
	ConnectionID, Account string
	Revision              int64
}

// DueRollovers returns the old credentials that are to be destroyed by now. Whoever does so compares the
// revision.
func (v *Vault) DueRollovers(ctx context.Context) ([]DueRollover, error) {
	due, err := v.store.dueRollovers(ctx, v.store.db, v.moment())
	if err != nil {
		return nil, fmt.Errorf("credentials: read the old credentials that are due: %w", err)
	}
	return due, nil
}
