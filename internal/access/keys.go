package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"switchgear/db"
	"switchgear/internal/access/apikey"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// Scope is one thing that a key may be used for: call:<connection>, call:*, api:read or api:write.
type Scope string

// The scopes that do not name a connection.
const (
	ScopeCallAll  Scope = "call:*"
	ScopeAPIRead  Scope = "api:read"
	ScopeAPIWrite Scope = "api:write"
)

const maxScopes = 50

// ParseScope returns the scope of that name, or a fault.Invalid about the field scopes.
func ParseScope(text string) (Scope, error) {
	switch s := Scope(text); s {
	case ScopeCallAll, ScopeAPIRead, ScopeAPIWrite:
		return s, nil
	}
	if slug, ok := strings.CutPrefix(text, "call:"); ok && regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(slug) {
		return Scope(text), nil
	}
	return "", fault.Field("UNKNOWN_SCOPE", "scopes", "There is no such scope.").
		WithSuggestion("Use call:<connection>, call:*, api:read or api:write.")
}

// Covers reports whether a key with scope s may do what needs the scope other.
func (s Scope) Covers(other Scope) bool {
	return s == other || s == ScopeCallAll && strings.HasPrefix(string(other), "call:") || s == ScopeAPIWrite && other == ScopeAPIRead
}

// Grants reports whether the scope allows p. A scope that names connections to call allows nothing here,
// and no scope reaches people, keys or the record: those are for users.
func (s Scope) Grants(p Permission) bool {
	switch p {
	case PermissionSystemRead:
		return s.Covers(ScopeAPIRead)
	case PermissionOperate, PermissionConfigure:
		return s.Covers(ScopeAPIWrite)
	case PermissionUsersRead, PermissionUsersWrite, PermissionKeysRead, PermissionKeysWrite, PermissionAuditRead, PermissionRotate, PermissionReveal:
	}
	return false
}

// The states of a key.
const (
	KeyActive  = "active"
	KeyExpired = "expired"
	KeyRevoked = "revoked"
)

// Key is an API key without its secret. CreatedBy is an e-mail address, or the name of whoever used
// the command line.
type Key struct {
	ID, Name                                    string
	Scopes                                      []Scope
	CreatedBy                                   string
	CreatedAt, ExpiresAt, LastUsedAt, RevokedAt time.Time
}

// Status is active, expired or revoked.
func (k Key) Status(now time.Time) string {
	switch {
	case !k.RevokedAt.IsZero():
		return KeyRevoked
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return KeyExpired
	}
	return KeyActive
}

// Allows reports whether a scope of the key covers what is asked for.
func (k Key) Allows(scope Scope) bool {
	return slices.ContainsFunc(k.Scopes, func(s Scope) bool { return s.Covers(scope) })
}

// Actor is the key as who asks for something, from the address ip. It may do what its scopes grant.
func (k Key) Actor(ip string) Actor {
	return Actor{Kind: KindAPIKey, ID: k.ID, Name: k.Name, Scopes: k.Scopes, IP: ip}
}

func (k Key) target() audit.Target { return audit.Target{Kind: KindAPIKey, ID: k.ID, Name: k.Name} }

// NewKey is what a key is made of. A zero ExpiresAt means that it does not expire.
type NewKey struct {
	Name      string
	Scopes    []Scope
	ExpiresAt time.Time
}

// KeyQuery selects keys; empty fields select every key.
type KeyQuery struct {
	Search string // part of the name, id or a scope
	Scope  string // exactly this one among its scopes
	Status string // active, expired or revoked
	Sort   string // name, created_at, expires_at or last_used_at; a leading "-" reverses
	Page   int    // from 1
	Limit  int    // 50 when zero, 200 at most
}

// KeyPage is one page of keys and the number of all that match.
type KeyPage struct {
	Keys  []Key
	Total int
}

// CreateKey makes a key and returns it with its text, which is shown now and never again. It needs
// keys:write.
func (s *Service) CreateKey(ctx context.Context, a Actor, n NewKey) (Key, telemetry.Secret, error) {
	if err := a.Require(PermissionKeysWrite); err != nil {
		return Key{}, telemetry.Secret{}, err
	}
	k, err := s.prepareKey(n)
	if err != nil {
		return Key{}, telemetry.Secret{}, err
	}
	made := apikey.New()
	mac := s.keys.sum(made)
	k.ID, k.CreatedBy = made.ID, a.Name
	err = s.change(ctx, []string{topicKeys}, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, PermissionKeysWrite)
		if err != nil {
			return err
		}
		if err := s.store.insertKey(ctx, tx, k, mac); err != nil {
			return err
		}
		details := map[string]string{"scopes": joinScopes(k.Scopes)}
		if !k.ExpiresAt.IsZero() {
			details["expires_at"] = k.ExpiresAt.Format(time.RFC3339)
		}
		return s.record(ctx, tx, a, audit.Entry{Action: "key.create", Target: k.target(), Details: details})
	})
	if err != nil {
		return Key{}, telemetry.Secret{}, fmt.Errorf("access: create key: %w", err)
	}
	s.keys.put(&liveKey{Key: k, mac: mac, use: &keyUse{}})
	return k, made.Text(), nil
}

func (s *Service) prepareKey(n NewKey) (Key, error) {
	name, err := line("INVALID_NAME", "name", n.Name, maxNameLength)
	if err != nil {
		return Key{}, err
	}
	if name == "" {
		return Key{}, fault.Field("INVALID_NAME", "name", "Name the application that will use the key.")
	}
	var scopes []Scope
	for _, text := range n.Scopes {
		scope, err := ParseScope(string(text))
		if err != nil {
			return Key{}, err
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 || len(scopes) > maxScopes {
		return Key{}, fault.Field("INVALID_SCOPES", "scopes", fmt.Sprintf("Choose at least one scope and at most %d.", maxScopes))
	}
	now, expires := s.moment(), n.ExpiresAt
	if !expires.IsZero() {
		if !expires.After(now) {
			return Key{}, fault.Field("INVALID_EXPIRY", "expires_at", "The key must expire in the future.")
		}
		expires = db.Time(db.Micros(expires))
	}
	return Key{Name: name, Scopes: scopes, CreatedAt: now, ExpiresAt: expires}, nil
}

func joinScopes(scopes []Scope) string {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = string(scope)
	}
	return strings.Join(texts, " ")
}

// Keys lists keys. It needs keys:read.
func (s *Service) Keys(ctx context.Context, a Actor, q KeyQuery) (KeyPage, error) {
	if err := a.Require(PermissionKeysRead); err != nil {
		return KeyPage{}, err
	}
	if err := oneOf("status", q.Status, "", KeyActive, KeyExpired, KeyRevoked); err != nil {
		return KeyPage{}, err
	}
	if err := oneOf("sort", strings.TrimPrefix(q.Sort, "-"), "", "name", "created_at", "expires_at", "last_used_at"); err != nil {
		return KeyPage{}, err
	}
	q.Page, q.Limit = paging(q.Page, q.Limit)
	page, err := s.store.keyPage(ctx, q, s.now())
	if err != nil {
		return KeyPage{}, fmt.Errorf("access: list keys: %w", err)
	}
	return page, nil
}

// Key returns one key. It needs keys:read.
func (s *Service) Key(ctx context.Context, a Actor, id string) (Key, error) {
	if err := a.Require(PermissionKeysRead); err != nil {
		return Key{}, err
	}
	k, err := s.store.key(ctx, s.db, id)
	if err != nil {
		return Key{}, fmt.Errorf("access: find key: %w", notFound(err, "API key"))
	}
	return k, nil
}

// RevokeKey makes a key useless from now on. It needs keys:write. A key that is already revoked stays so.
func (s *Service) RevokeKey(ctx context.Context, a Actor, id, reason string) error {
	if err := a.Require(PermissionKeysWrite); err != nil {
		return err
	}
	reason, err := reasonLine(reason)
	if err != nil {
		return err
	}
	err = s.change(ctx, []string{topicKeys}, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, PermissionKeysWrite)
		if err != nil {
			return err
		}
		k, err := s.store.key(ctx, tx, id)
		if err != nil {
			return notFound(err, "API key")
		}
		if !k.RevokedAt.IsZero() {
			return nil
		}
		if err := s.store.revokeKey(ctx, tx, id, a.Name, s.moment()); err != nil {
			return err
		}
		return s.record(ctx, tx, a, audit.Entry{Action: "key.revoke", Target: k.target(), Reason: reason})
	})
	if err == nil || fault.CodeOf(err) == "COMMIT_UNKNOWN" { // unsure counts as revoked until the next start
		s.keys.forget(id)
	}
	if err != nil {
		return fmt.Errorf("access: revoke key: %w", err)
	}
	return nil
}

// AuthenticateKey returns the key that an application presented, or a fault.Unauthenticated. It reads
// memory only; that the key was used is written down within seconds (see [Service.Serve]).
func (s *Service) AuthenticateKey(_ context.Context, presented string) (Key, error) {
	now := s.now()
	k, ok := s.keys.find(presented)
	if !ok {
		return Key{}, fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid.")
	}
	if k.Status(now) == KeyExpired {
		return Key{}, fault.New(fault.Unauthenticated, "API_KEY_EXPIRED", "This API key has expired.")
	}
	k.use.note(db.Micros(now))
	return k.Key, nil
}

// keyring is what the hot path knows about keys: an immutable map, replaced as a whole after each
// commit. Revoked keys are not in it.
//
// A MAC costs as much as all the rest of authenticating. What was verified once is therefore recognised by a
// digest of it under a salt of this process, which is kept with the key and goes with it.
type keyring struct {
	mac     func([]byte) []byte
	salt    [32]byte   // random
	mu      sync.Mutex // held by whoever replaces the map
	current atomic.Pointer[map[string]*liveKey]
}

type liveKey struct {
	Key
	mac []byte
	use *keyUse
	// verified is the digest of the key as it was presented and found right; nil until then.
	verified atomic.Pointer[[sha256.Size]byte]
}

// keyUse is when a key was last used, and up to when that is stored.
type keyUse struct{ last, stored atomic.Int64 }

func (u *keyUse) note(at int64) {
	for {
		last := u.last.Load()
		if at <= last || u.last.CompareAndSwap(last, at) {
			return
		}
	}
}

// sum is the MAC of a key's secret. It covers the id, so that a stored MAC fits no other row.
func (r *keyring) sum(k apikey.Key) []byte {
	return r.mac([]byte("switchgear api key v1\x00" + k.ID + "\x00" + k.Secret.Reveal()))
}

// find returns the key whose secret was presented. For a wrong one it computes one digest and one MAC, whether
// there is a key of that id or not.
func (r *keyring) find(presented string) (*liveKey, bool) {
	parsed, err := apikey.Parse(presented)
	if err != nil {
		return nil, false
	}
	digest := r.digest(presented)
	k, known := (*r.current.Load())[parsed.ID]
	if known {
		if seen := k.verified.Load(); seen != nil && hmac.Equal(seen[:], digest[:]) {
			return k, true
		}
	}
	got := r.sum(parsed)
	want := make([]byte, len(got))
	if known {
		want = k.mac
	}
	if !hmac.Equal(got, want) || !known {
		return nil, false
	}
	kept := digest // Only what is kept need be on the heap.
	k.verified.Store(&kept)
	return k, true
}

// digest recognises a key that was verified before. The salt keeps it useless outside of this process.
func (r *keyring) digest(presented string) [sha256.Size]byte {
	var buffer [160]byte // A key is shorter than what is left.
	return sha256.Sum256(append(append(buffer[:0], r.salt[:]...), presented...))
}

func (r *keyring) put(k *liveKey) {
	r.replace(func(next map[string]*liveKey) { next[k.ID] = k })
}

func (r *keyring) forget(id string) {
	r.replace(func(next map[string]*liveKey) { delete(next, id) })
}

func (r *keyring) replace(edit func(next map[string]*liveKey)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(*r.current.Load())
	edit(next)
	r.current.Store(&next)
}

// loadKeys reads every usable key at the start.
func (s *Service) loadKeys(ctx context.Context) error {
	keys, macs, err := s.store.usableKeys(ctx)
	if err != nil {
		return fmt.Errorf("access: load API keys: %w", err)
	}
	next := make(map[string]*liveKey, len(keys))
	for i, k := range keys {
		next[k.ID] = &liveKey{Key: k, mac: macs[i], use: &keyUse{}}
	}
	s.keys.current.Store(&next)
	return nil
}

// flushKeyUse stores when keys were last used since the last flush.
func (s *Service) flushKeyUse(ctx context.Context) error {
	used, flushed := map[string]time.Time{}, map[*keyUse]int64{}
	for id, k := range *s.keys.current.Load() {
		if last := k.use.last.Load(); last > k.use.stored.Load() {
			used[id], flushed[k.use] = db.Time(last), last
		}
	}
	if len(used) == 0 {
		return nil
	}
	if err := s.store.keyUsed(ctx, used); err != nil {
		return fmt.Errorf("access: store the last use of keys: %w", err)
	}
	for use, at := range flushed {
		use.stored.Store(at)
	}
	s.notify(topicKeys)
	return nil
}
