package credentials

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"switchgear/db"
)

// KeyUse is that a credential was used for an API key. The key may be revoked by now.
type KeyUse struct {
	ID, Name string
	At       time.Time
}

// use is when a credential was last used, in microseconds, and for which API key; and what of that is stored.
type use struct {
	at, stored, storedKey atomic.Int64
	key                   atomic.Pointer[keyUse]
}

// keyUse is the key that used a credential last, and when it did last. Another key is another value.
type keyUse struct {
	id, name string
	at       atomic.Int64
}

// note is called for every call: it neither waits nor, as long as the key is the same, allocates.
func (u *use) note(id, name string, at int64) {
	u.at.Store(at)
	if id == "" {
		return
	}
	k := u.key.Load()
	if k == nil || k.id != id {
		k = &keyUse{id: id, name: name}
		k.at.Store(at)
		u.key.Store(k)
		return
	}
	k.at.Store(at)
}

// onto lays what is known in memory over what was stored.
func (u *use) onto(c *Credential) {
	if at := u.at.Load(); at > 0 && db.Time(at).After(c.LastUsedAt) {
		c.LastUsedAt = db.Time(at)
	}
	if k := u.key.Load(); k != nil {
		c.LastKey = KeyUse{ID: k.id, Name: k.name, At: db.Time(k.at.Load())}
	}
}

func (v *Vault) use(id string) *use {
	v.mu.Lock()
	defer v.mu.Unlock()
	u, ok := v.uses[id]
	if !ok {
		u = &use{}
		v.uses[id] = u
	}
	return u
}

// note remembers that a credential was put on a request.
func (v *Vault) note(ctx context.Context, u *use, now time.Time) {
	id, name := v.key(ctx)
	u.note(id, name, db.Micros(now))
}

// usage is what is to be written down of the use of one credential.
type usage struct {
	u  *use
	at int64
	// key is nil when no key used it since the last time; keyAt is when it did last.
	key   *keyUse
	keyAt int64
}

// FlushUse writes down when credentials were last used, and for which API key. Call it every few seconds and
// before the end.
func (v *Vault) FlushUse(ctx context.Context) error {
	pending := map[string]usage{}
	v.mu.Lock()
	for id, u := range v.uses {
		one := usage{u: u, at: u.at.Load()}
		if k := u.key.Load(); k != nil && k.at.Load() > u.storedKey.Load() {
			one.key, one.keyAt = k, k.at.Load()
		}
		if one.at > u.stored.Load() || one.key != nil {
			pending[id] = one
		}
	}
	v.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	if err := v.store.used(ctx, pending); err != nil {
		return fmt.Errorf("credentials: note the last use: %w", err)
	}
	for _, one := range pending {
		one.u.stored.Store(one.at)
		if one.key != nil {
			one.u.storedKey.Store(one.keyAt)
		}
	}
	return nil
}
