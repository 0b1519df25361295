package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// Token is what may be known about the token of a credential: everything but the token.
type Token struct {
	// Version moves with every token.
	Version int64
	// Scopes are those that were granted; empty when the server did not say, which means all of them.
	Scopes []string
	// ExpiresAt is zero when the server did not say. RenewAt is when it is renewed ahead of that, zero for
	// never or with the next use.
	ObtainedAt, ExpiresAt, RenewAt time.Time
	// Renewable says that there is a refresh token.
	Renewable bool
	// Failures is how many renewals failed in a row, ErrorCode why the last one did, and RetryAt before when
	// none is tried.
	Failures  int
	ErrorCode string
	RetryAt   time.Time
	// Uncertain says that a renewal was sent whose answer never came: the refresh token may be used up.
	Uncertain bool
}

func (r tokenRow) info() *Token {
	if r.version == 0 && r.failures == 0 {
		return nil
	}
	return &Token{
		Version: r.version, Scopes: r.scopes, ObtainedAt: r.obtainedAt, ExpiresAt: r.expiresAt, RenewAt: r.renewAt, Renewable: r.renewable,
		Failures: r.failures, ErrorCode: r.errorCode, RetryAt: r.retryAt, Uncertain: !r.askedAt.IsZero() && r.leaseToken == "",
	}
}

// tokenSecrets are what is sealed of a token.
type tokenSecrets struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"`
	Type    string `json:"type,omitempty"`
	// Servers are the origins of the authorization server that it came from: it is sent to no other one, be it to
	// renew or to revoke it.
	Servers []string `json:"servers,omitempty"`
}

// heldToken is a token as calls use it: sealed, and opened at the moment of use.
type heldToken struct {
	origin    string     // that it may be sent to
	before    *heldToken // kept until this one has been in use for a while; nil when there is none
	version   int64
	aad       AAD
	sealed    string
	obtained  time.Time
	expiresAt time.Time
}

// usable reports whether the token is there and not about to end: a request takes its time to arrive.
func (h *heldToken) usable(now time.Time) bool {
	if h == nil || h.sealed == "" {
		return false
	}
	if h.expiresAt.IsZero() {
		return true
	}
	leeway := min(10*time.Second, h.expiresAt.Sub(h.obtained)/10)
	return now.Before(h.expiresAt.Add(-leeway))
}

func tokenAAD(c Credential, origin string, version int64) AAD {
	return AAD{Table: "credential_tokens", Row: c.ID, Column: "sealed", Owner: c.ConnectionID, Account: c.Account, Origin: origin, Version: version}
}

func (r sealedRow) held() *heldToken {
	h := &heldToken{
		version: r.token.version, origin: r.token.origin, aad: tokenAAD(r.Credential, r.token.origin, r.token.version), sealed: r.token.sealed,
		obtained: r.token.obtainedAt, expiresAt: r.token.expiresAt,
	}
	if r.token.previous != "" {
		h.before = &heldToken{
			version: r.token.previousVersion, origin: r.token.origin, aad: tokenAAD(r.Credential, r.token.origin, r.token.previousVersion), sealed: r.token.previous,
		}
	}
	return h
}

// refusedGrace is how long after it was obtained a token that is refused is not renewed again: the service
// may not know it everywhere yet, or refuses the account, and asking again would not help. It doubles, up to
// refusedGraceLimit, while tokens are refused that were obtained because the one before was.
const refusedGrace, refusedGraceLimit = 10 * time.Second, 15 * time.Minute

// liveToken is the newest token of a credential that is known to be committed. Snapshots of connections are
// not made anew for each token; calls ask here whether there is a newer one than in theirs.
type liveToken struct {
	newest atomic.Pointer[heldToken]

	mu sync.Mutex
	// refused is the last version that the service refused, because the last one that was obtained for it, and
	// inARow how many such ones were.
	refused, because int64
	inARow           int
}

// refuse notes that the service refused a token. It reports whether a new one is to be asked for, and
// otherwise returns the token before, if that may be the better one.
func (l *liveToken) refuse(token *heldToken, now time.Time) (again bool, before *heldToken) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.refused
	l.refused = token.version
	grace := refusedGrace
	if token.version == l.because {
		grace = min(refusedGrace<<min(l.inARow, 10), refusedGraceLimit)
	}
	switch age := now.Sub(token.obtained); {
	case age >= grace:
		return true, nil
	case age < refusedGrace && token.before != nil && token.before.version > known:
		return false, token.before
	}
	return false, nil
}

// renewedFor notes a version that was obtained because the one before was refused.
func (l *liveToken) renewedFor(version int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.because == version: // Another call noted it.
	case l.because != 0 && l.because == l.refused:
		l.inARow++
		l.because = version
	default:
		l.inARow, l.because = 0, version
	}
}

// learn takes note of a committed token, unless a newer one is known.
func (l *liveToken) learn(h *heldToken) {
	for {
		known := l.newest.Load()
		if known != nil && known.version >= h.version || l.newest.CompareAndSwap(known, h) {
			return
		}
	}
}

// or returns the newer one of own and what is known.
func (l *liveToken) or(own *heldToken) *heldToken {
	if known := l.newest.Load(); known != nil && known.version > own.version {
		return known
	}
	return own
}

func (v *Vault) liveToken(id string) *liveToken {
	v.mu.Lock()
	defer v.mu.Unlock()
	l, ok := v.live[id]
	if !ok {
		l = &liveToken{}
		v.live[id] = l
	}
	return l
}

func (v *Vault) openToken(h *heldToken) (tokenSecrets, error) {
	plaintext, err := v.sealer.Open(h.aad, h.sealed)
	if err != nil {
		return tokenSecrets{}, err
	}
	defer clear(plaintext)
	var secrets tokenSecrets
	if json.Unmarshal(plaintext, &secrets) != nil {
		return tokenSecrets{}, corrupt(errors.New("credentials: not the form that was sealed"))
	}
	return secrets, nil
}

// tokenUser puts the tokens of a credential on requests.
type tokenUser struct {
	vault *Vault
	kind  authtype.Type
	id    string
	// origin is where calls go to: a token for another one, that came meanwhile, is not put on.
	origin string
	used   *use
	live   *liveToken
	own    *heldToken
}

func (v *Vault) tokenUser(r sealedRow, t authtype.Type) *tokenUser {
	return &tokenUser{vault: v, kind: t, id: r.ID, origin: r.tokenOrigin(), used: v.use(r.ID), live: v.liveToken(r.ID), own: r.held()}
}

// call returns the two sides of one call: what it was sent with decides what a refusal of it leads to.
func (u *tokenUser) call() (Authorize, Renew) {
	c := &tokenCall{tokenUser: u}
	return c.authorize, c.renew
}

// ready reports whether there is a token that can be used.
func (u *tokenUser) ready() bool { return u.live.or(u.own).usable(u.vault.now()) }

// obtain waits for a token that can be used.
func (u *tokenUser) obtain(ctx context.Context) error {
	token := u.live.or(u.own)
	if token.usable(u.vault.now()) {
		return nil
	}
	_, err := u.vault.renew(ctx, u.id, token.version)
	return err
}

// tokenCall is one call with the attempts that belong to it.
type tokenCall struct {
	*tokenUser
	sent atomic.Int64 // the version that was put on last
}

// authorize puts the newest token on. It gets one first when there is none that is usable, for who did not
// see to that before (see [Set.Token]).
func (c *tokenCall) authorize(ctx context.Context, request *http.Request) error {
	token := c.live.or(c.own)
	if !token.usable(c.vault.now()) {
		renewed, err := c.vault.renew(ctx, c.id, token.version)
		if err != nil {
			return err
		}
		token = renewed
	}
	return c.apply(ctx, request, token)
}

func (c *tokenCall) apply(ctx context.Context, request *http.Request, token *heldToken) error {
	if token.origin != c.origin {
		return otherOrigin(token.origin, c.origin, authtype.Interactive(c.kind))
	}
	secrets, err := c.vault.openToken(token)
	if err != nil {
		return err
	}
	now := c.vault.now()
	if err := c.kind.Apply(request, authtype.Use{
		Token: authtype.Token{Access: secrets.Access, Type: secrets.Type, ExpiresAt: token.expiresAt}, Now: now,
	}); err != nil {
		return notApplicable(err)
	}
	c.sent.Store(token.version)
	c.vault.note(ctx, c.used, now)
	return nil
}

// renew gets another token after the service refused the one that the call was sent with: the newest one if
// that is another, the one before if the service may not know the newest everywhere yet, a new one otherwise.
func (c *tokenCall) renew(ctx context.Context) (func(ctx context.Context, r *http.Request) error, error) {
	token := c.live.or(c.own)
	if token.version != c.sent.Load() {
		return c.authorize, nil
	}
	again, before := c.live.refuse(token, c.vault.now())
	switch {
	case before != nil:
		return func(ctx context.Context, r *http.Request) error { return c.apply(ctx, r, before) }, nil
	case !again:
		return nil, fault.New(fault.Unavailable, "CREDENTIAL_REFUSED", "The service refuses a token that it gave just now.")
	}
	renewed, err := c.vault.renew(ctx, c.id, token.version)
	if err != nil {
		return nil, err
	}
	c.live.renewedFor(renewed.version)
	return c.authorize, nil
}

func notApplicable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "CREDENTIAL_UNUSABLE",
		"The stored credential cannot be put on the request. Enter it again.")
}

// mintedAuthorizer puts a token of our own making on requests. It is made anew shortly before its end, and
// kept in memory only.
func (v *Vault) mintedAuthorizer(r sealedRow, t authtype.Minter) Authorize {
	used, aad, sealed, settings := v.useOf(r), r.aad(), r.sealed, r.Settings
	var (
		minted  atomic.Pointer[authtype.Token]
		minting sync.Mutex // Calls that come together wait for one signature.
	)
	usable := func(now time.Time) *authtype.Token {
		if token := minted.Load(); token != nil && now.Before(token.ExpiresAt.Add(-mintLeeway)) {
			return token
		}
		return nil
	}
	mint := func(now time.Time) (*authtype.Token, error) {
		minting.Lock()
		defer minting.Unlock()
		if token := usable(now); token != nil {
			return token, nil
		}
		values, err := v.openSealed(aad, sealed)
		if err != nil {
			return nil, err
		}
		token, err := t.Mint(values, now)
		if err != nil {
			return nil, notApplicable(err)
		}
		minted.Store(&token)
		return &token, nil
	}
	return func(ctx context.Context, request *http.Request) error {
		now := v.now()
		token := usable(now)
		if token == nil {
			made, err := mint(now)
			if err != nil {
				return err
			}
			token = made
		}
		if err := t.Apply(request, authtype.Use{Values: settings, Token: *token, Now: now}); err != nil {
			return notApplicable(err)
		}
		v.note(ctx, used, now)
		return nil
	}
}

// mintLeeway is how long before its end a minted token is replaced: clocks differ, and requests travel.
const mintLeeway = 20 * time.Second

// PutToken stores a token that a person's consent led to, or that was imported, as the one in use of an
// account, within tx, for the origin of the connection and the authorization server that it is from. The state of
// the credential becomes active. There must be a credential of a kind that has tokens.
func (v *Vault) PutToken(ctx context.Context, tx *db.Tx, h Holder, token oauth.Token) (Credential, error) {
	r, err := v.store.current(ctx, tx, h.ConnectionID, h.Account)
	if err != nil {
		return Credential{}, noAccount(err)
	}
	t, err := authtype.Lookup(r.AuthType)
	if err != nil {
		return Credential{}, err
	}
	if _, ok := t.(authtype.Granted); !ok {
		return Credential{}, fault.New(fault.Conflict, "NOT_A_TOKEN_ACCOUNT", "The account does not authenticate with a token of OAuth 2.")
	}
	r.token.origin = h.Origin
	cfg, _, err := v.client(ctx, tx, r)
	if err != nil {
		return Credential{}, err
	}
	if token.TokenURL != "" { // The client may be another one since it was asked with.
		cfg.TokenURL, cfg.RevokeURL = token.TokenURL, token.RevokeURL
	}
	next, err := v.sealToken(r, token, tokenSecrets{Servers: tokenServers(cfg)})
	if err != nil {
		return Credential{}, err
	}
	// Nothing may come back from the grant before.
	next.previous, next.previousVersion, next.previousKeyID = "", 0, 0
	next.scopes = token.Scopes
	if ok, err := v.store.replaceToken(ctx, tx, r.ID, r.token.version, next); err != nil || !ok {
		return Credential{}, storeError(r.ID, err)
	}
	if err := v.store.setState(ctx, tx, r.ID, StateActive, v.moment()); err != nil {
		return Credential{}, err
	}
	r.State, r.token = StateActive, next
	r.Token, r.Origin = next.info(), r.boundTo()
	return r.Credential, nil
}

// sealToken makes the row of the next token after that of r. keep holds the refresh token that stays in use
// when none came, and the servers.
func (v *Vault) sealToken(r sealedRow, token oauth.Token, keep tokenSecrets) (tokenRow, error) {
	secrets := tokenSecrets{Access: token.Access, Refresh: token.Refresh, Type: token.Type, Servers: keep.Servers}
	if secrets.Refresh == "" {
		secrets.Refresh = keep.Refresh
	}
	plaintext, err := json.Marshal(secrets)
	if err != nil {
		return tokenRow{}, fmt.Errorf("credentials: encode the token of %s: %w", r.ID, err)
	}
	defer clear(plaintext)
	now := v.moment()
	next := tokenRow{
		version: r.token.version + 1, origin: r.tokenOrigin(), renewable: secrets.Refresh != "", obtainedAt: now,
		previousVersion: r.token.version, previous: r.token.sealed, previousKeyID: r.token.keyID, scopes: token.Scopes,
	}
	if next.scopes == nil {
		next.scopes = r.token.scopes // Unchanged, says RFC 6749 6.
	}
	if token.ExpiresIn > 0 {
		next.expiresAt = now.Add(token.ExpiresIn)
		next.renewAt = renewalTime(now, next.expiresAt)
	}
	next.sealed, next.keyID, err = v.sealer.Seal(tokenAAD(r.Credential, next.origin, next.version), plaintext)
	return next, err
}

// renewalTime is when a token is renewed ahead of its end: after most of its life, at a moment of its own,
// so that tokens that were obtained together are not renewed together.
func renewalTime(obtained, expires time.Time) time.Time {
	life := expires.Sub(obtained)
	ahead := min(max(life/10, 5*time.Second), 10*time.Minute)
	return expires.Add(-min(ahead+spread(ahead), life/2))
}

// dropToken forgets the token of a credential: it belongs to another client, or another way to authenticate.
func (v *Vault) dropToken(ctx context.Context, tx *db.Tx, id string) error {
	r, err := v.store.byID(ctx, tx, id)
	if err != nil || r.token.version == 0 {
		return err
	}
	// The version moves on, so that nobody takes the old token for a newer one.
	_, err = v.store.replaceToken(ctx, tx, id, r.token.version, tokenRow{version: r.token.version + 1})
	return err
}

// storeError is why a token could not be stored: an error, or another one that came in between.
func storeError(id string, err error) error {
	if err == nil {
		err = fault.New(fault.Conflict, "TOKEN_CHANGED", "The token of the account was changed at the same time. Try again.")
	}
	return fmt.Errorf("credentials: store the token of %s: %w", id, err)
}
