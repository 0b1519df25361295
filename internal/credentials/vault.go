package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// DefaultAccount is the account that a call uses when it names none.
const DefaultAccount = "default"

// The states of a credential. Only an active one is used.
const (
	StateActive      = "active"
	StateNeedsReauth = "needs_reauth"
	StateRevoked     = "revoked"
	StateCorrupt     = "corrupt" // it does not open: damaged or moved
)

// keptVersions is how many versions of a credential are kept, the one in use included, so that a rollback
// can bring one back. Secrets are not kept longer than they can be of use.
const keptVersions = 5

// Credential is what may be known about a credential: everything but its secrets.
type Credential struct {
	ID, ConnectionID, Account, AuthType string
	State                               string
	// Version is 1, 2, 3 … It moves only when a value changes.
	Version int64
	// Fields are the names of the fields that are set, sorted.
	Fields []string
	// Settings are the values of the fields that are not secret.
	Settings map[string]string
	// Marks maps each secret field that is set to a random mark, which changes exactly when its value
	// does. Comparing marks tells what changed between two versions and nothing else.
	Marks                            map[string]string
	CreatedAt, UpdatedAt, LastUsedAt time.Time
	// LastKey is the API key that it was last used for; the zero KeyUse when none is known.
	LastKey KeyUse
	// ExpiresOn is the last day of the secret, and ExpiresSetBy who said so; both are empty when nobody did.
	ExpiresOn    Day
	ExpiresSetBy string
	// Origin is the scheme, host and port that what is secret may be sent to, empty when nothing is.
	Origin string
	// Token is what is known about the token; nil for a kind that has none, and before the first one.
	Token *Token
	// Rollover is the rotation of the credential that is under way, in lists only; nil when there is none.
	Rollover *Rollover
}

// TokenEndpoint asks authorization servers; *oauth.Client is one.
type TokenEndpoint interface {
	Refresh(ctx context.Context, cfg oauth.Config, refreshToken string) (oauth.Token, error)
	ClientCredentials(ctx context.Context, cfg oauth.Config) (oauth.Token, error)
	JWTBearer(ctx context.Context, cfg oauth.Config) (oauth.Token, error)
	Revoke(ctx context.Context, cfg oauth.Config, token, hint string) error
}

// VaultDeps are what a Vault works with; all are required.
type VaultDeps struct {
	DB       *db.DB
	Sealer   *Sealer
	Endpoint TokenEndpoint
	// Changed is called after a commit that changed the state of a credential without anybody asking, such
	// as a refresh token that turned out to be revoked. It may take its time.
	Changed func(ctx context.Context, connectionID, account string)
	// Key names the API key of the application that a call is made for, from the context of the call; both are
	// empty when a person or the console itself makes it.
	Key    func(ctx context.Context) (id, name string)
	Logger *slog.Logger
	Now    func() time.Time
}

// Vault keeps the credentials of connections. Secrets go in and are put on requests; only Reveal returns
// one. Changes run in the caller's transaction; the caller also checks permission and records.
type Vault struct {
	store    vaultStore
	sealer   *Sealer
	endpoint TokenEndpoint
	changed  func(ctx context.Context, connectionID, account string)
	key      func(ctx context.Context) (id, name string)
	logger   *slog.Logger
	now      func() time.Time
	// uses holds when each credential was last used, live the token that calls use, renewals those under
	// way; all by the id of the credential.
	mu       sync.Mutex
	uses     map[string]*use
	live     map[string]*liveToken
	renewals map[string]*renewal
}

// NewVault returns a Vault. It fails when a dependency is missing.
func NewVault(d VaultDeps) (*Vault, error) {
	if d.DB == nil || d.Sealer == nil || d.Endpoint == nil || d.Changed == nil || d.Key == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("credentials: every dependency of the vault is required")
	}
	return &Vault{
		store: vaultStore{db: d.DB}, sealer: d.Sealer, endpoint: d.Endpoint, changed: d.Changed, key: d.Key, logger: d.Logger, now: d.Now,
		uses: map[string]*use{}, live: map[string]*liveToken{}, renewals: map[string]*renewal{},
	}, nil
}

// Put stores the credential of an account within tx and makes it active. Secret fields that values leaves
// out, or leaves empty, keep their value while the auth type stays the same; other fields that are missing
// take their default. When nothing changes, no version is made; values without a secret that change
// nothing leave the state as it is, too. A credential that is being rotated is not replaced: that is a
// fault.Conflict ROTATION_UNDER_WAY.
// Secrets are bound to the origin of the connection that they were entered for. Those that are kept stay bound
// to it, wherever the connection goes; entering them again binds them to where it goes now.
//
// Errors are fault.Invalid about auth.type or auth.fields.<key> and never hold a value.
func (v *Vault) Put(ctx context.Context, tx *db.Tx, h Holder, authType string, values map[string]string) (Credential, error) {
	connectionID, account := h.ConnectionID, h.Account
	t, err := authtype.Lookup(authType)
	if err != nil {
		return Credential{}, err
	}
	old, err := v.store.current(ctx, tx, connectionID, account)
	exists := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Credential{}, fmt.Errorf("credentials: read %s: %w", account, err)
	}
	if exists && old.AuthType == authType && leavesAsIs(t, old.Settings, values) {
		return old.Credential, authtype.CheckOrigin(t, old.Settings, h.Origin)
	}
	before, servers := map[string]string{}, []string(nil)
	if exists && old.AuthType == authType {
		// What does not open cannot be kept; the checks below then ask for it again.
		if opened, known, err := v.openClient(old); err == nil {
			before, servers = opened, known
		}
	}
	client, err := v.clientOf(ctx, tx, t, connectionID, account)
	if err != nil {
		return Credential{}, err
	}
	after := complete(t, before, values)
	if client != nil {
		after = overrides(t, before, values)
	}
	if err := sameServer(t, under(client, before), under(client, after), values); err != nil {
		return Credential{}, err
	}
	if err := authtype.Validate(t, under(client, after)); err != nil {
		return Credential{}, err
	}
	if err := authtype.CheckOrigin(t, after, h.Origin); err != nil {
		return Credential{}, err
	}
	origin, err := rebound(t, old, before, values, h.Origin)
	if err != nil {
		return Credential{}, err
	}
	bound := servers
	if hasServers(t, account) {
		if bound, err = reboundClient(t, servers, before, values, under(client, after)); err != nil {
			return Credential{}, err
		}
	}
	if exists && old.AuthType == authType && old.State == StateActive && maps.Equal(before, after) && slices.Equal(bound, servers) && (origin == old.origin || authtype.Interactive(t)) {
		return old.Credential, nil
	}
	if !exists {
		next := sealedRow{Credential: newCredential(connectionID, account, v.moment()), servers: bound}
		next.AuthType, next.origin = authType, origin
		next.Settings, next.Marks = described(t, nil, before, after)
		return v.write(ctx, tx, next, after, true)
	}
	if err := v.notUnderWay(ctx, tx, old.ID); err != nil {
		return Credential{}, err
	}
	next := old
	next.AuthType, next.origin, next.servers = authType, origin, bound
	next.Settings, next.Marks = described(t, old.Marks, before, after)
	next.expiryOf(old)
	return v.replace(ctx, tx, t, old, before, next, after)
}

// described splits values into what is not secret, and marks for the rest: those of before where the value is
// the same.
func described(t authtype.Type, marksBefore, before, after map[string]string) (settings, marks map[string]string) {
	settings, marks = map[string]string{}, map[string]string{}
	for _, f := range t.Fields() {
		value, set := after[f.Key]
		switch mark := marksBefore[f.Key]; {
		case !set:
		case !f.Secret:
			settings[f.Key] = value
		case mark != "" && before[f.Key] == value:
			marks[f.Key] = mark
		default:
			marks[f.Key] = db.NewID("mark")
		}
	}
	return settings, marks
}

// expiryOf keeps the day on which a secret ends, unless it was said of another secret.
func (r *sealedRow) expiryOf(before sealedRow) {
	if !maps.Equal(r.Marks, before.Marks) {
		r.ExpiresOn, r.ExpiresSetBy = "", ""
	}
}

// replace writes values as the next version of a credential, and forgets a token that they make useless.
func (v *Vault) replace(ctx context.Context, tx *db.Tx, t authtype.Type, was sealedRow, before map[string]string, next sealedRow, values map[string]string) (Credential, error) {
	var shared map[string]string
	if client, err := v.clientOf(ctx, tx, t, next.ConnectionID, next.Account); err == nil { // What does not open is not compared.
		shared = client
	}
	stored, err := v.write(ctx, tx, next, values, false)
	if err == nil && (outdated(t, was.AuthType, under(shared, before), under(shared, values)) || next.origin != was.origin && !authtype.Interactive(t)) {
		stored.Token, err = nil, v.dropToken(ctx, tx, stored.ID)
	}
	if err == nil {
		// What kept renewals from working may be put right, for every account that shares the client.
		err = v.store.forgive(ctx, tx, next.ConnectionID)
	}
	return stored, err
}

func newCredential(connectionID, account string, now time.Time) Credential {
	return Credential{ID: db.NewID("cred"), ConnectionID: connectionID, Account: account, CreatedAt: now}
}

// leavesAsIs reports whether values hold no secret and nothing that differs from the settings.
func leavesAsIs(t authtype.Type, settings, values map[string]string) bool {
	for key := range values {
		if f, ok := authtype.Find(t, key); !ok || f.Secret && values[key] != "" {
			return false
		}
	}
	after := complete(t, nil, values)
	return maps.Equal(after, settings)
}

// complete lays values over what is stored and fills in defaults. Fields without a value are left out.
func complete(t authtype.Type, before, values map[string]string) map[string]string {
	after := maps.Clone(values)
	if after == nil {
		after = map[string]string{}
	}
	for _, f := range t.Fields() {
		if after[f.Key] != "" {
			continue
		}
		if f.Secret {
			after[f.Key] = before[f.Key]
		} else if _, given := values[f.Key]; !given || f.Required {
			after[f.Key] = f.Default
		}
		if after[f.Key] == "" {
			delete(after, f.Key)
		}
	}
	return after
}

// write seals values as the next version of c and makes it the one in use.
func (v *Vault) write(ctx context.Context, tx *db.Tx, c sealedRow, values map[string]string, insert bool) (Credential, error) {
	c.Version++
	c.State, c.UpdatedAt, c.Fields = StateActive, v.moment(), fieldsOf(c.Settings, c.Marks)
	c.Origin = c.boundTo()
	err := v.seal(&c, values)
	if err != nil {
		return Credential{}, err
	}
	if insert {
		err = v.store.insert(ctx, tx, c)
	} else {
		err = v.store.update(ctx, tx, c)
	}
	if err == nil {
		err = v.store.insertVersion(ctx, tx, c)
	}
	if err == nil {
		err = v.store.prune(ctx, tx, c.ID, c.Version-keptVersions)
	}
	if err != nil {
		return Credential{}, fmt.Errorf("credentials: store %s: %w", c.ID, err)
	}
	return c.Credential, nil
}

// seal seals values, and beside them the servers that they were entered for, in a row.
func (v *Vault) seal(r *sealedRow, values map[string]string) error {
	if len(r.servers) > 0 {
		values = maps.Clone(values)
		values[serversKey] = strings.Join(r.servers, " ")
	}
	plaintext, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("credentials: encode %s: %w", r.ID, err)
	}
	defer clear(plaintext)
	r.sealed, r.keyID, err = v.sealer.Seal(r.aad(), plaintext)
	return err
}

// Restore brings back an older version of the credential of an account, as a new version with the same
// marks. It returns a fault.Conflict with the code CREDENTIAL_GONE when that version is no longer kept. A
// rotation that was switched is rolled back by it: what was in use is staged again.
func (v *Vault) Restore(ctx context.Context, tx *db.Tx, connectionID, account string, version int64) (Credential, error) {
	stored, _, err := v.restore(ctx, tx, connectionID, account, version, "")
	return stored, err
}

func (v *Vault) restore(ctx context.Context, tx *db.Tx, connectionID, account string, version int64, by string) (Credential, rolloverRow, error) {
	now, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Credential{}, rolloverRow{}, fmt.Errorf("credentials: read %s: %w", account, err)
	}
	if err != nil {
		return Credential{}, rolloverRow{}, gone()
	}
	old, err := v.store.version(ctx, tx, connectionID, account, version)
	if fault.Is(err, fault.NotFound) {
		return Credential{}, rolloverRow{}, gone()
	}
	if err != nil {
		return Credential{}, rolloverRow{}, fmt.Errorf("credentials: read %s: %w", account, err)
	}
	values, servers, err := v.openClient(old)
	if err != nil {
		return Credential{}, rolloverRow{}, err
	}
	t, err := authtype.Lookup(old.AuthType)
	if err != nil {
		return Credential{}, rolloverRow{}, err
	}
	var present map[string]string
	if opened, err := v.open(now); err == nil {
		present = opened
	}
	again, err := v.waitAgain(ctx, tx, now, present, by)
	if err != nil {
		return Credential{}, rolloverRow{}, err
	}
	next := now
	next.AuthType, next.Settings, next.Marks, next.origin, next.servers = old.AuthType, old.Settings, old.Marks, old.origin, servers
	next.ExpiresOn, next.ExpiresSetBy = old.ExpiresOn, old.ExpiresSetBy
	stored, err := v.replace(ctx, tx, t, now, present, next, values)
	return stored, again, err
}

func gone() error {
	return fault.New(fault.Conflict, "CREDENTIAL_GONE",
		"The credential of that version is no longer stored.").
		WithSuggestion("Edit the connection instead and enter the credential.")
}

// Copy gives another connection the credential of an account, for the origin that it was entered for.
func (v *Vault) Copy(ctx context.Context, tx *db.Tx, from, to, account string) (Credential, error) {
	old, err := v.store.current(ctx, tx, from, account)
	if err != nil {
		return Credential{}, noAccount(err)
	}
	values, servers, err := v.openClient(old)
	if err != nil {
		return Credential{}, err
	}
	next := sealedRow{Credential: newCredential(to, account, v.moment()), servers: servers}
	next.AuthType, next.Settings, next.Marks, next.origin = old.AuthType, old.Settings, old.Marks, old.origin
	next.ExpiresOn, next.ExpiresSetBy = old.ExpiresOn, old.ExpiresSetBy
	return v.write(ctx, tx, next, values, true)
}

// Find returns the credential of an account as tx sees it, or a fault.NotFound.
func (v *Vault) Find(ctx context.Context, tx *db.Tx, connectionID, account string) (Credential, error) {
	c, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil {
		return Credential{}, noAccount(err)
	}
	return c.Credential, nil
}

// List returns the credentials of a connection by account, the default one first.
func (v *Vault) List(ctx context.Context, connectionID string) ([]Credential, error) {
	return v.listed(ctx, v.store.db, connectionID)
}

// Within is List as tx sees it.
func (v *Vault) Within(ctx context.Context, tx *db.Tx, connectionID string) ([]Credential, error) {
	return v.listed(ctx, tx, connectionID)
}

func (v *Vault) listed(ctx context.Context, q reader, connectionID string) ([]Credential, error) {
	rows, err := v.store.list(ctx, q, connectionID)
	if err != nil {
		return nil, fmt.Errorf("credentials: list: %w", err)
	}
	rollovers, err := v.store.rollovers(ctx, q, connectionID)
	if err != nil {
		return nil, fmt.Errorf("credentials: list rotations: %w", err)
	}
	out := make([]Credential, len(rows))
	for i, r := range rows {
		out[i] = r.Credential
		out[i].Rollover = rollovers[r.ID]
		v.use(r.ID).onto(&out[i])
	}
	slices.SortStableFunc(out, func(a, b Credential) int {
		switch {
		case a.Account == b.Account:
			return 0
		case a.Account == DefaultAccount:
			return -1
		case b.Account == DefaultAccount:
			return 1
		}
		return 0
	})
	return out, nil
}

// Delete forgets the credential of an account, with every version of it.
func (v *Vault) Delete(ctx context.Context, tx *db.Tx, connectionID, account string) error {
	c, err := v.store.current(ctx, tx, connectionID, account)
	if err != nil {
		return noAccount(err)
	}
	if err := v.store.delete(ctx, tx, c.ID); err != nil {
		return fmt.Errorf("credentials: delete %s: %w", c.ID, err)
	}
	return nil
}

// DeleteAll forgets every credential of a connection.
func (v *Vault) DeleteAll(ctx context.Context, tx *db.Tx, connectionID string) error {
	if err := v.store.deleteAll(ctx, tx, connectionID); err != nil {
		return fmt.Errorf("credentials: delete those of %s: %w", connectionID, err)
	}
	return nil
}

// SetState changes the state of a credential. It returns a fault.NotFound when there is none of that id.
func (v *Vault) SetState(ctx context.Context, tx *db.Tx, id, state string) error {
	switch state {
	case StateActive, StateNeedsReauth, StateRevoked, StateCorrupt:
	default:
		return fault.Newf(fault.Internal, "credentials: unknown state %q", state)
	}
	return noAccount(v.store.setState(ctx, tx, id, state, v.moment()))
}

func noAccount(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "ACCOUNT_NOT_FOUND", "The connection has no such account.")
	}
	return err
}

// open decrypts a row.
func (v *Vault) open(r sealedRow) (map[string]string, error) {
	values, _, err := v.openClient(r)
	return values, err
}

func (v *Vault) openSealed(aad AAD, sealed string) (map[string]string, error) {
	e, err := newEnvelope(aad, sealed)
	if err != nil {
		return nil, err
	}
	return v.openEnvelope(e)
}

func (v *Vault) openEnvelope(e envelope) (map[string]string, error) {
	plaintext, err := v.sealer.open(e)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	return parseValues(plaintext)
}

// sealedRow is a credential with its sealed values.
type sealedRow struct {
	Credential
	origin string // that the values were entered for
	// servers are what the secrets of the client were entered for, on their way to being sealed (see hasServers).
	servers []string
	sealed  string
	keyID   uint32
	token   tokenRow
	// rollover is the id of the one that it waits in; empty for a credential in use.
	rollover string
}

func (r sealedRow) aad() AAD {
	if r.rollover != "" {
		return AAD{
			Table: "credential_rollovers", Row: r.rollover, Column: "sealed",
			Owner: r.ConnectionID, Account: r.Account, Origin: r.origin, Version: r.Version,
		}
	}
	return AAD{
		Table: "credential_versions", Row: r.ID, Column: "sealed",
		Owner: r.ConnectionID, Account: r.Account, Origin: r.origin, Version: r.Version,
	}
}

func fieldsOf(settings, marks map[string]string) []string {
	return slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]string{settings, marks} {
			for key := range m {
				if !yield(key) {
					return
				}
			}
		}
	})
}

// moment is the present in the precision of the store.
func (v *Vault) moment() time.Time { return db.Time(db.Micros(v.now())) }

// useOf is where the use of a credential is noted. That of one that waits is noted nowhere.
func (v *Vault) useOf(r sealedRow) *use {
	if r.rollover != "" {
		return &use{}
	}
	return v.use(r.ID)
}
