package passwords

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/alexedwards/argon2id"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	p := NewPolicy()
	for _, tc := range []struct {
		password string
		ok       bool
	}{
		{"tidal-copper-lantern-94", true},
		{"four unrelated words here", true},
		{"ein Überfluß an Möglichkeiten", true},
		{"日本語のパスワードは長いです", true},
		{strings.Repeat("ab3!x", 20), true},
		{"kX9#mT2$vL5!", true},
		{"7391-8264-5520-love", true}, // much around a common word is enough
		{"short", false},
		{"elevenchars", false},
		{"ééééééééééé", false}, // 11 characters, 22 bytes
		{strings.Repeat("x1y2z3w4", 17), false},
		{"aaaaaaaaaaaa", false},
		{"abababababab", false},
		{"abc1abc1abc1abc1", false},
		{"abcdefghijklm", false},
		{"mlkjihgfedcba", false},
		{"123456789012", false},
		{"098765432109", false},
		{"qwertyuiopasdf", false},
		{"passwordpassword", false},
		{"Password1234", false},
		{"P@ssw0rd2024!", false},
		{"!!password!!!", false},
		{"Summer-2026!", false},
		{"iloveyou1234", false},
		{"correct horse battery staple", false},
		{"correcthorsebatterystaple", false},
		{"1q2w3e4r5t6y", false},
		{"Administrator1", false},
		{"Switchgear123", false},
		{"switchgearswitchgear", false},
		{"ada.lovelace@example.com", false},
		{"Ada.Lovelace1815", false},
		{"adalovelace!", false},
		{"Example.com2026", false},
		{"invalid\xffutf8 text", false},
	} {
		err := p.Check(telemetry.NewSecret(tc.password), "ada.lovelace@example.com", "Ada Lovelace")
		if (err == nil) != tc.ok {
			t.Errorf("%q: %v", tc.password, err)
		}
		if err != nil {
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Kind != fault.Invalid || f.Code != "WEAK_PASSWORD" || f.Details.Field != "password" || f.Details.Value != "" {
				t.Errorf("%q: %+v", tc.password, f)
			}
			if strings.Contains(err.Error(), tc.password) {
				t.Errorf("the error repeats the password %q", tc.password)
			}
		}
	}
}

// Every entry of the list that is long enough for a password is refused, as it stands and shouted.
func TestPolicyCoversItsList(t *testing.T) {
	t.Parallel()
	p := NewPolicy()
	if len(p.common) < 500 {
		t.Errorf("only %d common passwords", len(p.common))
	}
	for word := range p.common {
		if word != strings.ToLower(word) {
			t.Errorf("%q is not lower case", word)
		}
		for _, text := range []string{word, strings.ToUpper(word), word + "2026", word + "!"} {
			if len(text) >= MinLength && p.Check(telemetry.NewSecret(text)) == nil {
				t.Errorf("%q is accepted", text)
			}
		}
	}
}

func TestHasher(t *testing.T) {
	t.Parallel()
	ctx, h, secret := t.Context(), NewHasher(2), telemetry.NewSecret("tidal-copper-lantern-94")
	hash, err := h.Hash(ctx, secret)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q, %v", hash, err)
	}
	if match, stale, err := h.Verify(ctx, secret, hash); !match || stale || err != nil {
		t.Errorf("right password: match %v, stale %v, %v", match, stale, err)
	}
	if match, _, err := h.Verify(ctx, telemetry.NewSecret("another one"), hash); match || err != nil {
		t.Errorf("wrong password: match %v, %v", match, err)
	}
	old, err := argon2id.CreateHash(secret.Reveal(), &argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	if match, stale, err := h.Verify(ctx, secret, old); !match || !stale || err != nil {
		t.Errorf("old parameters: match %v, stale %v, %v", match, stale, err)
	}
	if _, _, err := h.Verify(ctx, secret, "not a hash"); err == nil {
		t.Error("a broken hash is no error")
	}
	if err := h.VerifyNobody(ctx, secret); err != nil {
		t.Error(err)
	}
	// What an unknown account costs is what a known one costs.
	if got, _, _, err := argon2id.DecodeHash(nobody); err != nil || *got != *parameters() {
		t.Errorf("the dummy hash has parameters %+v, %v", got, err)
	}
}

func TestHasherWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(1)
		release, err := h.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := h.Hash(ctx, telemetry.NewSecret("x")); !errors.Is(err, context.Canceled) {
				t.Errorf("canceled while waiting: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if _, err := h.Hash(t.Context(), telemetry.NewSecret("x")); !fault.Is(err, fault.RateLimited) || fault.CodeOf(err) != "BUSY" {
			t.Errorf("no turn in time: %v", err)
		}
		release()
		if _, err := h.acquire(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A full queue answers at once instead of growing.
func TestHasherQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(1)
		release, err := h.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var busy, done atomic.Int64
		for range 200 {
			go func() {
				release, err := h.acquire(t.Context())
				if fault.CodeOf(err) == "BUSY" {
					busy.Add(1)
					return
				}
				done.Add(1)
				release()
			}()
		}
		synctest.Wait()
		if n := busy.Load(); n != 200-maxWaiting {
			t.Errorf("%d were turned away", n)
		}
		release()
		synctest.Wait()
		if n := done.Load(); n != maxWaiting {
			t.Errorf("%d had their turn", n)
		}
	})
}

func TestNothingPrintsThePassword(t *testing.T) {
	t.Parallel()
	_, err := NewHasher(1).Hash(canceled(t), telemetry.NewSecret("tidal-copper-lantern-94"))
	if strings.Contains(fmt.Sprintf("%+v", err), "tidal") {
		t.Error(err)
	}
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
