package credentials

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/telemetry"
)

// calledBy is a context of a call that is made with an API key.
func calledBy(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, callerKey{}, key)
}

type callerKey struct{}

// callingKey finds the key that calledBy put there.
func callingKey(ctx context.Context) (id, name string) {
	if key, ok := ctx.Value(callerKey{}).(string); ok {
		return key, "the key " + key
	}
	return "", ""
}

// Which key used a credential last is known at once, written down with the next flush and never undone by what
// came before.
func TestLastKeyOfACredential(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.still = true
	w.put(DefaultAccount, "bearer", "token", canary)
	w.put("minted", "signed_jwt", "algorithm", "HS256", "secret", "0123456789abcdef0123456789abcdef", "issuer", "us", "lifetime", "300")
	set := w.load("con_1")
	call := func(account, key string) time.Time {
		t.Helper()
		w.mu.Lock()
		w.at = w.at.Add(time.Minute)
		at := w.at
		w.mu.Unlock()
		authorize, _, err := set.Authorizer(account)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if key != "" {
			ctx = calledBy(ctx, key)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := authorize(ctx, r); err != nil {
			t.Fatal(err)
		}
		return at
	}
	want := func(step string, v *Vault, account string, key KeyUse, used time.Time) {
		t.Helper()
		list, err := v.List(t.Context(), "con_1")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if c.Account != account {
				continue
			}
			if diff := cmp.Diff(key, c.LastKey); diff != "" || !c.LastUsedAt.Equal(used) {
				t.Errorf("%s: used at %s, want %s %s", step, c.LastUsedAt, used, diff)
			}
		}
	}
	want("before", w.Vault, DefaultAccount, KeyUse{}, time.Time{})
	a := call(DefaultAccount, "a")
	want("one key", w.Vault, DefaultAccount, KeyUse{"a", "the key a", a}, a)
	b := call(DefaultAccount, "b")
	person := call(DefaultAccount, "") // A person who tries it is no key.
	minted := call("minted", "a")
	want("another key, then a person", w.Vault, DefaultAccount, KeyUse{"b", "the key b", b}, person)
	want("not flushed", w.fresh(), DefaultAccount, KeyUse{}, time.Time{})
	flush := func(v *Vault) {
		t.Helper()
		if err := v.FlushUse(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	flush(w.Vault)
	want("flushed", w.fresh(), DefaultAccount, KeyUse{"b", "the key b", b}, person)
	want("another account", w.fresh(), "minted", KeyUse{"a", "the key a", minted}, minted)
	again := call(DefaultAccount, "b")
	flush(w.Vault)
	want("the same key again", w.fresh(), DefaultAccount, KeyUse{"b", "the key b", again}, again)
}

// What a call pays for it allocates nothing while the key is the same.
func TestNoteAllocatesNothing(t *testing.T) {
	var u use
	u.note("key_1", "shop", 1)
	if n := testing.AllocsPerRun(100, func() { u.note("key_1", "shop", 2) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// fresh is a vault that knows only what is stored.
func (w *vaultWorld) fresh() *Vault {
	w.t.Helper()
	v, err := NewVault(VaultDeps{
		DB: w.db, Sealer: w.sealer, Endpoint: &oauthtest.Endpoint{}, Key: callingKey, Changed: func(context.Context, string, string) {},
		Logger: telemetry.Discard(), Now: w.now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}
