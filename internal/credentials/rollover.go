package credentials

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
)

// The states of a Rollover.
const (
	RolloverStaged   = "staged"   // the new credential waits; calls use the old one
	RolloverSwitched = "switched" // calls use the new one; the old one is kept
	RolloverDone     = "done"     // the old one is destroyed
)

// MaxKeep is how long an old credential may be kept before it is destroyed by itself.
const MaxKeep = 90 * 24 * time.Hour

// Rollover is the rotation of a credential with overlap: a new one is staged beside the one in use, tested,
// and switched to; the old one is kept for a way back, and destroyed in the end. It holds no secret.
//
// The credential itself, and not the rollover, says what calls use. A rollover that is rolled back is staged
// again.
type Rollover struct {
	ID, CredentialID, Account string
	// Revision moves with every step.
	Revision int64
	State    string
	AuthType string
	// Fields are the names of the fields that were staged, Settings the values of those that are not secret.
	// All of this is empty once the new credential is in use: it is its own then.
	Fields   []string
	Settings map[string]string
	// ExpiresOn is the last day of the secret that waits, and ExpiresSetBy who said so. It is in force with it.
	ExpiresOn    Day
	ExpiresSetBy string
	StagedAt     time.Time
	StagedBy     string
	// Test is the last test of the staged credential; nil when there was none.
	Test *RolloverTest
	// OldVersion is the version of the credential that is kept, 0 before it is replaced.
	OldVersion             int64
	SwitchedAt             time.Time
	SwitchedBy, Reason     string
	DestroyAt, DestroyedAt time.Time // DestroyAt is zero when it is kept until somebody destroys it
	DestroyedBy            string
	RolledBackAt           time.Time
	RolledBackBy           string
}

// RolloverTest is what one request with the staged credential showed.
type RolloverTest struct {
	// Request is its method and path, Status 0 when nothing came back, and Problem why.
	Request          string
	Status           int
	Outcome, Problem string
	Passed           bool
	At               time.Time
	By               string
}

// UnderWay reports whether there is something left to do: until then the credential is not replaced in
// another way.
func (r Rollover) UnderWay() bool { return r.State == RolloverStaged || r.State == RolloverSwitched }

// rolloverRow is a rollover with what is sealed of it.
type rolloverRow struct {
	Rollover
	version int64
	marks   map[string]string
	origin  string // that what waits was entered for
	sealed  string
	keyID   uint32
}

// waiting is the staged credential in the form of one that is in use.
func (o rolloverRow) waiting(of Credential) sealedRow {
	of.AuthType, of.Settings, of.Marks, of.Version, of.State, of.UpdatedAt = o.AuthType, o.Settings, o.marks, o.version, StateActive, o.StagedAt
	of.ExpiresOn, of.ExpiresSetBy = o.ExpiresOn, o.ExpiresSetBy
	r := sealedRow{Credential: of, origin: o.origin, sealed: o.sealed, keyID: o.keyID, rollover: o.ID}
	r.Origin = r.boundTo()
	return r
}

// Rotatable reports whether credentials of a kind can be rotated with overlap: those that a person enters.
func Rotatable(authType string) bool {
	t, err := authtype.Lookup(authType)
	return err == nil && rotatable(t) == nil
}

func rotatable(t authtype.Type) error {
	if authtype.Interactive(t) {
		return fault.New(fault.Conflict, "NOT_ROTATABLE", "A person consents to this credential, so there is no value to stage.").
			WithSuggestion("Connect the account again, or enter a new client secret by editing the client: its tokens stay.")
	}
	for _, f := range t.Fields() {
		if f.Secret {
			return nil
		}
	}
	return fault.New(fault.Conflict, "NOT_ROTATABLE", "The account authenticates with nothing that could be rotated.")
}

// Stage stores the next credential of an account within tx, beside the one that calls go on using. It is of
// the same auth type; fields that values leaves out are as they are in the one in use. It is bound to the
// origin of the connection, as Put binds. last is the last day of the new secret, empty when none is known.
//
// Errors: ACCOUNT_NOT_FOUND, NOT_ROTATABLE, ROTATION_UNDER_WAY, those of Put about auth.fields.<key>, and those of
// SetExpiry about auth.expires_on.
func (v *Vault) Stage(ctx context.Context, tx *db.Tx, h Holder, values map[string]string, last Day, by Actor) (Rollover, error) {
	r, err := v.store.current(ctx, tx, h.ConnectionID, h.Account)
	if err != nil {
		return Rollover{}, noAccount(err)
	}
	t, err := authtype.Lookup(r.AuthType)
	if err == nil {
		err = rotatable(t)
	}
	if err == nil {
		err = v.notUnderWay(ctx, tx, r.ID)
	}
	if err != nil {
		return Rollover{}, err
	}
	before := map[string]string{}
	if opened, err := v.open(r); err == nil { // What does not open is asked for again.
		before = opened
	}
	given := maps.Clone(values)
	if given == nil {
		given = map[string]string{}
	}
	for key, value := range r.Settings {
		if _, entered := given[key]; !entered {
			given[key] = value
		}
	}
	after := complete(t, before, given)
	if err := sameServer(t, before, after, given); err != nil {
		return Rollover{}, err
	}
	if err := authtype.Validate(t, after); err != nil {
		return Rollover{}, err
	}
	if err := authtype.CheckOrigin(t, after, h.Origin); err != nil {
		return Rollover{}, err
	}
	if maps.Equal(before, after) {
		return Rollover{}, nothingNew(t)
	}
	origin, err := rebound(t, r, before, given, h.Origin)
	if err != nil {
		return Rollover{}, err
	}
	o := rolloverRow{
		Rollover: Rollover{
			ID: db.NewID("rol"), CredentialID: r.ID, Account: h.Account, Revision: 1, State: RolloverStaged, AuthType: r.AuthType,
			StagedAt: v.moment(), StagedBy: by.Name,
		},
		version: 1, origin: origin,
	}
	o.Settings, o.marks = described(t, r.Marks, before, after)
	o.Fields = fieldsOf(o.Settings, o.marks)
	if last != "" {
		o.ExpiresOn, o.ExpiresSetBy = last, by.Name
		if err := v.mayEnd(o.waiting(r.Credential).Credential, last); err != nil {
			return Rollover{}, err
		}
	}
	if err := v.sealWaiting(&o, r.Credential, after); err != nil {
		return Rollover{}, err
	}
	if err := v.store.insertRollover(ctx, tx, o); err != nil {
		return Rollover{}, fmt.Errorf("credentials: stage for %s: %w", r.ID, err)
	}
	return o.Rollover, v.Record(ctx, tx, r.Credential, EventStaged, "", by, o.ends())
}

// ends says until when the secret that waits is good.
func (r Rollover) ends() string {
	if r.ExpiresOn == "" {
		return ""
	}
	return "It expires on " + r.ExpiresOn.End().Format("2 Jan 2006") + "."
}

// nothingNew is about the first secret field: that is the one that a rotation is for.
func nothingNew(t authtype.Type) error {
	for _, f := range t.Fields() {
		if f.Secret {
			return fault.Field("CREDENTIAL_UNCHANGED", authtype.FieldPath(f.Key), "This is the credential in use. Enter the new one.")
		}
	}
	return fault.Newf(fault.Internal, "credentials: %s has no secret field", t.Kind())
}

func (v *Vault) sealWaiting(o *rolloverRow, of Credential, values map[string]string) error {
	plaintext, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("credentials: encode what is staged for %s: %w", of.ID, err)
	}
	defer clear(plaintext)
	o.sealed, o.keyID, err = v.sealer.Seal(o.waiting(of).aad(), plaintext)
	return err
}

// notUnderWay returns a fault.Conflict while the credential is being rotated: replacing it in another way
// would leave open which one is the old one.
func (v *Vault) notUnderWay(ctx context.Context, tx *db.Tx, id string) error {
	o, err := v.store.rollover(ctx, tx, id)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && o.State == RolloverDone:
		return nil
	case err != nil:
		return fmt.Errorf("credentials: read the rotation of %s: %w", id, err)
	case o.State == RolloverStaged:
		return fault.New(fault.Conflict, "ROTATION_UNDER_WAY", "The credential is being rotated: a new one is staged.").
			WithSuggestion("Switch to the staged credential, or discard it, and try again.")
	}
	return fault.New(fault.Conflict, "ROTATION_UNDER_WAY", "The credential is being rotated: the old one is still kept.").
		WithSuggestion("Destroy the old credential, or roll back to it, and try again.")
}

// Rollover returns the rotation of the credential of an account that is under way, or the last one, or a
// fault.NotFound NO_ROTATION.
func (v *Vault) Rollover(ctx context.Context, connectionID, account string) (Rollover, error) {
	r, err := v.store.current(ctx, v.store.db, connectionID, account)
	if err != nil {
		return Rollover{}, noAccount(err)
	}
	o, err := v.store.rollover(ctx, v.store.db, r.ID)
	if err != nil {
		return Rollover{}, noRollover(err)
	}
	return o.Rollover, nil
}

func noRollover(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "NO_ROTATION", "The credential of this account is not being rotated.")
	}
	return err
}

// rolling returns the credential of an account and its rollover, if that is in a state and at a revision; 0 is
// any.
func (v *Vault) rolling(ctx context.Context, tx *db.Tx, connectionID, account, state string, revision int64) (sealedRow, rolloverRow, error) {
	r, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil {
		return r, rolloverRow{}, noAccount(err)
	}
	o, err := v.store.rollover(ctx, tx, r.ID)
	switch {
	case err != nil:
		return r, o, noRollover(err)
	case revision != 0 && revision != o.Revision:
		return r, o, rolloverMoved()
	case o.State == state:
		return r, o, nil
	case o.State == RolloverDone:
		return r, o, fault.New(fault.Conflict, "ROTATION_STEP", "This rotation has ended: the old credential is destroyed.")
	case o.State == RolloverStaged:
		return r, o, fault.New(fault.Conflict, "ROTATION_STEP", "The new credential is staged and not in use yet.").
			WithSuggestion("Switch to it first.")
	}
	return r, o, fault.New(fault.Conflict, "ROTATION_STEP", "The new credential is in use already.").
		WithSuggestion("Roll back, or destroy the old one.")
}

func rolloverMoved() error {
	return fault.New(fault.PreconditionFailed, "ROTATION_CHANGED", "The rotation has moved on since. Look at it again, then repeat the step.")
}

// step stores the next state of a rollover, unless another step came first.
func (v *Vault) step(ctx context.Context, tx *db.Tx, o *rolloverRow) error {
	o.Revision++
	moved, err := v.store.moveRollover(ctx, tx, *o)
	if err != nil {
		return fmt.Errorf("credentials: store the rotation of %s: %w", o.CredentialID, err)
	}
	if !moved {
		return rolloverMoved()
	}
	return nil
}
