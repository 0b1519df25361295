package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
)

// Authorize puts a credential on a request, in place of what the caller authenticated with. An error
// means that the request must not be sent.
type Authorize func(ctx context.Context, r *http.Request) error

// Renew gets a new token after the service refused the present one, and returns what then authorizes. It is
// bounded in time; an error means that there is no other credential to try.
type Renew = func(ctx context.Context) (func(ctx context.Context, r *http.Request) error, error)

// Set is an immutable snapshot of the credentials of one connection. Values stay sealed in it and are
// decrypted for each use.
type Set struct {
	origin   string // where the connection goes to
	accounts map[string]account
	damaged  []Credential
	mended   []Credential
	// lost says that there was a default account, or another one where there is none at all by now.
	lost bool
}

// account is one entry of a Set: what authorizes, or why it cannot.
type account struct {
	id        string
	version   int64
	origin    string // that its secrets are bound to, empty without any
	consent   bool   // what is bound is the consent of a person
	authorize Authorize
	token     *tokenUser  // in place of authorize, for a kind with a token that can be renewed
	ready     func() bool // with token
	obtain    func(ctx context.Context) error
	signsBody func(contentType string) bool // nil for a kind that does not
	clientTLS func() (ClientTLS, error)     // nil for a kind that presents no certificate
	problem   error
}

// Authorizer returns what authorizes one call of an account, and what gets it another token after the service
// refused the present one, which is nil where there is nothing to renew. It reads memory only. It fails with
// CREDENTIAL_MISSING, _REVOKED, _CORRUPT, _NEEDS_REAUTH, _NOT_CONNECTED, _OTHER_ORIGIN or ACCOUNT_NOT_FOUND.
func (s *Set) Authorizer(name string) (Authorize, Renew, error) {
	a, ok := s.accounts[name]
	if ok {
		if err := a.refusal(s.origin); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case ok && a.token != nil:
		authorize, renew := a.token.call()
		return authorize, renew, nil
	case ok:
		return a.authorize, nil, nil
	case name == DefaultAccount && s.lost:
		return nil, nil, fault.New(fault.Unavailable, "CREDENTIAL_MISSING",
			"The credential of the connection was deleted. Enter one on its accounts page.")
	case name == DefaultAccount:
		return nil, nil, fault.Wrap(errNotSetUp, fault.Unavailable, "CREDENTIAL_MISSING",
			"The connection has no credential yet. Enter one on its accounts page.")
	}
	return nil, nil, noAccount(fault.Newf(fault.NotFound, "no account"))
}

// Token returns what says whether the token of an account is at hand, and what gets it: at once, or by a
// renewal that all who ask for it share, and that goes on for the others when one of them leaves. Both are
// nil for an account that needs no token of somebody else's.
func (s *Set) Token(name string) (ready func() bool, obtain func(ctx context.Context) error) {
	a := s.accounts[name]
	return a.ready, a.obtain
}

// refusal is why an account cannot be used where the connection goes to.
func (a account) refusal(origin string) error {
	if a.problem == nil && a.origin != "" && a.origin != origin {
		return otherOrigin(a.origin, origin, a.consent)
	}
	return a.problem
}

// At is the Set of a connection that goes to an origin. Without one, no secret can be used.
func (s *Set) At(origin string) *Set {
	if s.origin == origin {
		return s
	}
	next := *s
	next.origin = origin
	return &next
}

// SignsBody returns what says whether the credential of an account needs the body of a content type. It is
// nil where none is needed.
func (s *Set) SignsBody(name string) func(contentType string) bool {
	return s.accounts[name].signsBody
}

// Identity names the credential of an account, and a number that moves whenever it may be another one: with
// its values, and with each consent, but not with the tokens in between. Both are empty when there is none.
func (s *Set) Identity(name string) (id string, version int64) {
	a := s.accounts[name]
	return a.id, a.version
}

// errNotSetUp is the cause of a problem with what has never been there.
var errNotSetUp = errors.New("it was not set up yet")

// NotSetUp reports whether a problem of a credential is no loss: none was entered yet, or nobody connected the
// account yet.
func NotSetUp(err error) bool { return errors.Is(err, errNotSetUp) }

// NotSetUp reports whether an account cannot be used because it never could: nothing was lost.
func (s *Set) NotSetUp(name string) bool {
	_, _, err := s.Authorizer(name)
	return NotSetUp(err)
}

// Problem is why the calls of an account are refused, and of which one: what was lost before what is not set up
// yet, and the default account before others. It is nil when there is a credential, and every one that is stored
// can be used. An account that works makes up for those that are not set up yet,
// and not for a default one that was deleted.
func (s *Set) Problem() (account string, err error) {
	if s.lost || len(s.accounts) == 0 {
		_, _, err := s.Authorizer(DefaultAccount)
		return DefaultAccount, err
	}
	unfinished, works := "", false
	for _, name := range append([]string{DefaultAccount}, slices.Sorted(maps.Keys(s.accounts))...) {
		a, ok := s.accounts[name]
		switch err := a.refusal(s.origin); {
		case !ok:
		case err == nil:
			works = true
		case !NotSetUp(err):
			return name, err
		case unfinished == "":
			unfinished = name
		}
	}
	if works || unfinished == "" {
		return "", nil
	}
	return unfinished, s.accounts[unfinished].problem
}

// Recovered reports whether what kept an account from being used at a moment is over: its credential is another one,
// it was connected or deleted since, or the token that did not come is there. code is what its call was refused with.
func (s *Set) Recovered(name, code string, at time.Time) bool {
	a, ok := s.accounts[name]
	switch {
	case !ok:
		return name != DefaultAccount // nobody can call it any more
	case a.version > db.Micros(at):
		return true
	case code == codeRenewalFailed || code == codeRenewalLate:
		return a.ready != nil && a.ready()
	}
	return false
}

// What calls are refused with that got no new token: because of what the service said, or in time.
const (
	codeRenewalFailed = "CREDENTIAL_RENEWAL_FAILED"
	codeRenewalLate   = "CREDENTIAL_TIMEOUT"
)

// Damaged are the credentials that do not open and are not marked so yet.
func (s *Set) Damaged() []Credential { return s.damaged }

// Mended are the credentials that are marked as corrupt and open again.
func (s *Set) Mended() []Credential { return s.mended }

// Load reads the credentials of one connection as tx sees them.
func (v *Vault) Load(ctx context.Context, tx *db.Tx, connectionID string) (*Set, error) {
	rows, err := v.store.list(ctx, tx, connectionID)
	if err != nil {
		return nil, fmt.Errorf("credentials: load those of %s: %w", connectionID, err)
	}
	set := v.newSet(rows)
	return set, v.lookBack(ctx, tx, connectionID, set)
}

// lookBack finds out whether a connection without a default account had one.
func (v *Vault) lookBack(ctx context.Context, tx *db.Tx, connectionID string, s *Set) (err error) {
	if _, ok := s.accounts[DefaultAccount]; ok {
		return nil
	}
	if s.lost, err = v.store.lost(ctx, tx, connectionID); err != nil {
		return fmt.Errorf("credentials: look for those that %s had: %w", connectionID, err)
	}
	return nil
}

// LoadAccounts returns old with the named accounts read again, as tx sees them. It costs the same however
// many accounts the connection has.
func (v *Vault) LoadAccounts(ctx context.Context, tx *db.Tx, old *Set, connectionID string, accounts ...string) (*Set, error) {
	next := &Set{origin: old.origin, accounts: maps.Clone(old.accounts)}
	if next.accounts == nil {
		next.accounts = map[string]account{}
	}
	for _, name := range accounts {
		delete(next.accounts, name)
		r, err := v.store.current(ctx, tx, connectionID, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("credentials: load %s of %s: %w", name, connectionID, err)
		}
		next.add(v, r)
	}
	return next, v.lookBack(ctx, tx, connectionID, next)
}

// LoadAll is Load for every connection that has or had a credential, by connection id.
func (v *Vault) LoadAll(ctx context.Context, tx *db.Tx) (map[string]*Set, error) {
	rows, err := v.store.all(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("credentials: load all: %w", err)
	}
	grouped := map[string][]sealedRow{}
	for _, r := range rows {
		grouped[r.ConnectionID] = append(grouped[r.ConnectionID], r)
	}
	sets := make(map[string]*Set, len(grouped))
	for id, rows := range grouped {
		sets[id] = v.newSet(rows)
	}
	lost, err := v.store.allLost(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("credentials: look for those that were: %w", err)
	}
	for _, id := range lost {
		if sets[id] == nil {
			sets[id] = &Set{}
		}
		sets[id].lost = true
	}
	return sets, nil
}

func (v *Vault) newSet(rows []sealedRow) *Set {
	s := &Set{accounts: make(map[string]account, len(rows))}
	for _, r := range rows {
		s.add(v, r)
	}
	return s
}

// add is for a Set that nobody else has yet.
func (s *Set) add(v *Vault, r sealedRow) {
	a := account{id: r.ID, version: db.Micros(r.UpdatedAt), origin: r.Origin, problem: stateProblem(r.State)}
	t, typeErr := authtype.Lookup(r.AuthType)
	a.consent = typeErr == nil && authtype.Interactive(t)
	_, openErr := v.open(r)
	switch {
	case openErr != nil:
		a.problem = openErr
		if r.State != StateCorrupt {
			s.damaged = append(s.damaged, r.Credential)
		}
	case typeErr != nil:
		// A newer release wrote it. It must not go out without a credential.
		a.problem = fault.Wrap(typeErr, fault.Unavailable, "CREDENTIAL_UNUSABLE",
			"This release does not know how to use the stored credential.")
	case r.State == StateCorrupt:
		s.mended = append(s.mended, r.Credential)
	}
	if a.problem == nil && authtype.Interactive(t) && r.token.sealed == "" {
		a.problem = v.notConnected(r)
	}
	if a.problem == nil {
		v.ready(&a, r, t)
	}
	s.accounts[r.Account] = a
}

// ready fills in what authorizes calls, by the kind of the credential.
func (v *Vault) ready(a *account, r sealedRow, t authtype.Type) {
	switch t := t.(type) {
	case authtype.Granted:
		a.token = v.tokenUser(r, t)
		a.ready, a.obtain = a.token.ready, a.token.obtain
	case authtype.Minter:
		a.authorize = v.mintedAuthorizer(r, t)
	case authtype.TLSConfigurer:
		a.authorize = v.settingsAuthorizer(r, t)
	default:
		a.authorize = v.authorizer(r, t)
	}
	if t, ok := t.(authtype.BodySigner); ok {
		settings := r.Settings
		a.signsBody = func(contentType string) bool { return t.SignsBody(settings, contentType) }
	}
	if t, ok := t.(authtype.TLSConfigurer); ok {
		a.clientTLS = v.clientTLS(r, t)
	}
}

func stateProblem(state string) error {
	switch state {
	case StateActive, StateCorrupt: // whether it opens decides
		return nil
	case StateNeedsReauth:
		return fault.New(fault.Unavailable, "CREDENTIAL_NEEDS_REAUTH",
			"The service no longer accepts the credential. Connect the account again.")
	case StateRevoked:
		return fault.New(fault.Unavailable, "CREDENTIAL_REVOKED", "The credential was revoked. Enter a new one.")
	}
	return fault.Newf(fault.Internal, "credentials: unknown state %q", state)
}

// authorizer decrypts at the moment of use, so that no plaintext is kept.
func (v *Vault) authorizer(r sealedRow, t authtype.Type) Authorize {
	used := v.useOf(r)
	e, sealErr := newEnvelope(r.aad(), r.sealed)
	return func(ctx context.Context, request *http.Request) error {
		if sealErr != nil {
			return sealErr
		}
		values, err := v.openEnvelope(e)
		if err != nil {
			return err
		}
		now := v.now()
		if err := t.Apply(request, authtype.Use{Values: values, Now: now}); err != nil {
			return notApplicable(err)
		}
		v.note(ctx, used, now)
		return nil
	}
}

// settingsAuthorizer is for a kind whose secret is not on the request.
func (v *Vault) settingsAuthorizer(r sealedRow, t authtype.Type) Authorize {
	used, settings := v.useOf(r), r.Settings
	return func(ctx context.Context, request *http.Request) error {
		now := v.now()
		if err := t.Apply(request, authtype.Use{Values: settings, Now: now}); err != nil {
			return notApplicable(err)
		}
		v.note(ctx, used, now)
		return nil
	}
}
