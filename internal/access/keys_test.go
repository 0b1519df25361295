package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access/apikey"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func (w *world) key(name string, scopes ...Scope) (Key, string) {
	w.t.Helper()
	k, secret, err := w.CreateKey(w.t.Context(), System(), NewKey{Name: name, Scopes: scopes})
	must(w.t, err)
	return k, secret.Reveal()
}

func TestKeyLifecycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, owner := w.user("owner@example.com", RoleOwner)
	expires := w.moment().Add(time.Hour)
	k, secret, err := w.CreateKey(t.Context(), owner, NewKey{
		Name: " Billing ", Scopes: []Scope{"call:stripe", ScopeAPIRead, "call:stripe"}, ExpiresAt: expires,
	})
	must(t, err)
	want := Key{
		ID: k.ID, Name: "Billing", Scopes: []Scope{"call:stripe", ScopeAPIRead}, CreatedBy: "owner@example.com",
		CreatedAt: w.moment(), ExpiresAt: expires,
	}
	if diff := cmp.Diff(want, k); diff != "" || !strings.HasPrefix(secret.Reveal(), "sg_"+k.ID+"_") {
		t.Errorf("-want +got\n%s", diff)
	}
	e := w.newest()
	if e.Action != "key.create" || e.Target != (audit.Target{Kind: KindAPIKey, ID: k.ID, Name: "Billing"}) || e.Details["scopes"] != "call:stripe api:read" {
		t.Errorf("%+v", e)
	}
	parsed, err := apikey.Parse(secret.Reveal())
	must(t, err)
	if w.count(`SELECT COUNT(*) FROM api_keys WHERE mac LIKE $1 OR name LIKE $1 OR scopes LIKE $1`, "%"+parsed.Secret.Reveal()+"%") != 0 {
		t.Error("the secret is stored")
	}
	got, err := w.AuthenticateKey(t.Context(), secret.Reveal())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	got, err = w.Key(t.Context(), owner, k.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	_, err = w.Key(t.Context(), owner, "nothing")
	wantCode(t, err, fault.NotFound, "NOT_FOUND")
	_, err = w.Key(t.Context(), Actor{Role: RoleViewer}, k.ID)
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	// A new process knows it as well.
	again, err := New(w.deps, Config{})
	must(t, err)
	got, err = again.AuthenticateKey(t.Context(), secret.Reveal())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("after a restart: %v %s", err, diff)
	}
	w.clock.advance(time.Hour)
	_, err = w.AuthenticateKey(t.Context(), secret.Reveal())
	wantCode(t, err, fault.Unauthenticated, "API_KEY_EXPIRED")
	if k.Status(w.clock.read()) != KeyExpired {
		t.Error(k.Status(w.clock.read()))
	}
	must(t, w.RevokeKey(t.Context(), owner, k.ID, "leaked"))
	_, err = w.AuthenticateKey(t.Context(), secret.Reveal())
	wantCode(t, err, fault.Unauthenticated, "INVALID_API_KEY")
	if e := w.newest(); e.Action != "key.revoke" || e.Reason != "leaked" {
		t.Errorf("%+v", e)
	}
	before := len(w.actions())
	must(t, w.RevokeKey(t.Context(), owner, k.ID, "again"))
	if len(w.actions()) != before {
		t.Error("nothing changed, yet it is recorded")
	}
	again, err = New(w.deps, Config{})
	must(t, err)
	_, err = again.AuthenticateKey(t.Context(), secret.Reveal())
	wantCode(t, err, fault.Unauthenticated, "INVALID_API_KEY")
}

func TestAuthenticateKeyRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, text := w.key("Billing", ScopeCallAll)
	other, otherText := w.key("Other", ScopeAPIWrite)
	parsed, err := apikey.Parse(text)
	must(t, err)
	otherParsed, err := apikey.Parse(otherText)
	must(t, err)
	for name, presented := range map[string]string{
		"nothing":                "",
		"not a key":              "hunter2",
		"wrong checksum":         text[:len(text)-1] + "~",
		"unknown id":             apikey.New().Text().Reveal(),
		"right id, wrong secret": apikey.Key{ID: k.ID, Secret: apikey.New().Secret}.Text().Reveal(),
		"secret of another key":  apikey.Key{ID: other.ID, Secret: parsed.Secret}.Text().Reveal(),
		"and the other way":      apikey.Key{ID: k.ID, Secret: otherParsed.Secret}.Text().Reveal(),
		"with a space":           text + " ",
	} {
		got, err := w.AuthenticateKey(t.Context(), presented)
		if !fault.Is(err, fault.Unauthenticated) || fault.CodeOf(err) != "INVALID_API_KEY" || got.ID != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if presented != "" && strings.Contains(err.Error(), presented) {
			t.Errorf("%s: the error repeats the key", name)
		}
	}
}

func TestKeyRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("owner@example.com", RoleOwner)
	k, _ := w.key("Billing", ScopeAPIRead)
	for _, role := range []Role{RoleOperator, RoleViewer, RoleAuditor} {
		_, a := w.user(string(role)+"@example.com", role)
		_, _, err := w.CreateKey(t.Context(), a, NewKey{Name: "x", Scopes: []Scope{ScopeAPIRead}})
		wantCode(t, err, fault.Forbidden, "FORBIDDEN")
		wantCode(t, w.RevokeKey(t.Context(), a, k.ID, ""), fault.Forbidden, "FORBIDDEN")
	}
	// A key cannot make keys.
	_, _, err := w.CreateKey(t.Context(), Actor{Kind: KindAPIKey, ID: k.ID, Name: k.Name}, NewKey{Name: "x", Scopes: []Scope{ScopeAPIRead}})
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	wantCode(t, w.RevokeKey(t.Context(), System(), "nothing", ""), fault.NotFound, "NOT_FOUND")
	for _, tc := range []struct {
		key         NewKey
		code, field string
	}{
		{NewKey{Scopes: []Scope{ScopeAPIRead}}, "INVALID_NAME", "name"},
		{NewKey{Name: strings.Repeat("x", 121), Scopes: []Scope{ScopeAPIRead}}, "INVALID_NAME", "name"},
		{NewKey{Name: "x"}, "INVALID_SCOPES", "scopes"},
		{NewKey{Name: "x", Scopes: []Scope{"admin"}}, "UNKNOWN_SCOPE", "scopes"},
		{NewKey{Name: "x", Scopes: []Scope{ScopeAPIRead}, ExpiresAt: w.moment()}, "INVALID_EXPIRY", "expires_at"},
		{NewKey{Name: "x", Scopes: manyScopes(51)}, "INVALID_SCOPES", "scopes"},
	} {
		_, _, err := w.CreateKey(t.Context(), System(), tc.key)
		wantField(t, err, tc.code, tc.field)
	}
}

func manyScopes(n int) (out []Scope) {
	for i := range n {
		out = append(out, Scope(fmt.Sprintf("call:c%d", i)))
	}
	return out
}

func TestScopes(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"call:stripe": true, "call:*": true, "api:read": true, "api:write": true, "call:a-1": true, "call:1": true,
		"": false, "call:": false, "call:Stripe": false, "call:-a": false, "call:a b": false, "call:**": false, "api:*": false,
		"api": false, "*": false, " call:a": false, "call:a\n": false, "call:" + strings.Repeat("a", 64): false, "CALL:a": false,
	} {
		if got, err := ParseScope(text); (err == nil) != ok || ok && string(got) != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, tc := range []struct {
		has, wants Scope
		ok         bool
	}{
		{"call:stripe", "call:stripe", true},
		{"call:stripe", "call:stripe-eu", false},
		{"call:stripe-eu", "call:stripe", false},
		{"call:*", "call:stripe", true},
		{"call:*", "call:*", true},
		{"call:stripe", "call:*", false},
		{"call:*", "api:read", false},
		{"api:write", "api:read", true},
		{"api:read", "api:write", false},
		{"api:write", "call:stripe", false},
	} {
		if got := (Key{Scopes: []Scope{tc.has}}).Allows(tc.wants); got != tc.ok {
			t.Errorf("%s allows %s: %v", tc.has, tc.wants, got)
		}
	}
	if (Key{}).Allows("") {
		t.Error("a key without scopes allows something")
	}
}

func TestKeysList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alpha, alphaText := w.key("alpha 100%", "call:stripe")
	w.clock.advance(time.Minute)
	beta, _, err := w.CreateKey(t.Context(), System(), NewKey{Name: "Beta", Scopes: []Scope{ScopeAPIRead}, ExpiresAt: w.clock.read().Add(time.Minute)})
	must(t, err)
	w.clock.advance(time.Minute)
	gamma, _ := w.key("gamma", ScopeCallAll)
	must(t, w.RevokeKey(t.Context(), System(), gamma.ID, ""))
	_, err = w.AuthenticateKey(t.Context(), alphaText)
	must(t, err)
	must(t, w.flushKeyUse(t.Context()))
	ids := []string{alpha.ID, beta.ID, gamma.ID}
	for _, tc := range []struct {
		name  string
		query KeyQuery
		total int
		want  []int
	}{
		{"by name", KeyQuery{}, 3, []int{0, 1, 2}},
		{"reversed", KeyQuery{Sort: "-name"}, 3, []int{2, 1, 0}},
		{"newest", KeyQuery{Sort: "-created_at", Limit: 1}, 3, []int{2}},
		{"second page", KeyQuery{Sort: "-created_at", Limit: 2, Page: 2}, 3, []int{0}},
		{"expiring first", KeyQuery{Sort: "expires_at", Limit: 1}, 3, []int{1}},
		{"last used", KeyQuery{Sort: "-last_used_at", Limit: 1}, 3, []int{0}},
		{"active", KeyQuery{Status: KeyActive}, 1, []int{0}},
		{"expired", KeyQuery{Status: KeyExpired}, 1, []int{1}},
		{"revoked", KeyQuery{Status: KeyRevoked}, 1, []int{2}},
		{"search name", KeyQuery{Search: "BETA"}, 1, []int{1}},
		{"search scope", KeyQuery{Search: "stripe"}, 1, []int{0}},
		{"search id", KeyQuery{Search: beta.ID}, 1, []int{1}},
		{"wildcard is literal", KeyQuery{Search: "%"}, 1, []int{0}},
	} {
		page, err := w.Keys(t.Context(), System(), tc.query)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var got []int
		for _, k := range page.Keys {
			got = append(got, slices.Index(ids, k.ID))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || page.Total != tc.total {
			t.Errorf("%s: total %d, want %d\n%s", tc.name, page.Total, tc.total, diff)
		}
	}
	_, err = w.Keys(t.Context(), System(), KeyQuery{Sort: "mac"})
	wantField(t, err, "UNKNOWN_SORT", "sort")
	_, err = w.Keys(t.Context(), System(), KeyQuery{Status: "lost"})
	wantField(t, err, "UNKNOWN_STATUS", "status")
}

// What is pending is written when the worker stops.
func TestServeFlushesAtTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, text := w.key("Billing", ScopeCallAll)
	w.clock.advance(time.Minute)
	_, err := w.AuthenticateKey(t.Context(), text)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Serve(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	page, err := w.Keys(t.Context(), System(), KeyQuery{})
	if err != nil || !page.Keys[0].LastUsedAt.Equal(w.moment()) {
		t.Errorf("%+v, %v", page, err)
	}
	w.announced()
	must(t, w.flushKeyUse(t.Context()))
	if got := w.announced(); len(got) != 0 {
		t.Errorf("an empty flush announces %v", got)
	}
}

// While requests use keys, others are made and revoked: what is revoked stays out.
func TestKeysInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, text := w.key("stays", ScopeCallAll)
	errs := parallel(16, func(i int) error {
		if i%2 == 0 {
			for range 200 {
				if _, err := w.AuthenticateKey(t.Context(), text); err != nil {
					return err
				}
			}
			return w.flushKeyUse(t.Context())
		}
		k, secret, err := w.CreateKey(t.Context(), System(), NewKey{Name: "comes and goes", Scopes: []Scope{ScopeAPIRead}})
		if err != nil {
			return err
		}
		if _, err := w.AuthenticateKey(t.Context(), secret.Reveal()); err != nil {
			return err
		}
		if err := w.RevokeKey(t.Context(), System(), k.ID, ""); err != nil {
			return err
		}
		if _, err := w.AuthenticateKey(t.Context(), secret.Reveal()); err == nil {
			return errors.New("a revoked key works")
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if n := len(*w.keys.current.Load()); n != 1 {
		t.Errorf("%d keys are usable", n)
	}
}

func TestKeyUseNeverGoesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &keyUse{}
		for i := range 100 {
			go u.note(int64(i))
		}
		synctest.Wait()
		if got := u.last.Load(); got != 99 {
			t.Errorf("%d", got)
		}
	})
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, drop := range map[string]func(d *Deps){
		"DB": func(d *Deps) { d.DB = nil }, "Audit": func(d *Deps) { d.Audit = nil }, "KeyMAC": func(d *Deps) { d.KeyMAC = nil },
		"Notify": func(d *Deps) { d.Notify = nil }, "Logger": func(d *Deps) { d.Logger = nil }, "Now": func(d *Deps) { d.Now = nil },
	} {
		d := w.deps
		drop(&d)
		if _, err := New(d, Config{}); err == nil {
			t.Errorf("made without %s", name)
		}
	}
}

// A key that was verified is recognised without its MAC: that key, in that ring, as long as it is there.
func TestKeyIsVerifiedOnce(t *testing.T) {
	t.Parallel()
	made, other := apikey.New(), apikey.New()
	wrong := apikey.Key{ID: made.ID, Secret: other.Secret}
	macs := 0
	ring := &keyring{mac: func(m []byte) []byte { macs++; sum := sha256.Sum256(m); return sum[:] }}
	live := map[string]*liveKey{made.ID: {Key: Key{ID: made.ID}, mac: ring.sum(made), use: &keyUse{}}}
	ring.current.Store(&live)
	for _, step := range []struct {
		name string
		key  apikey.Key
		ok   bool
		macs int
	}{
		{"another secret", wrong, false, 1},
		{"another id", other, false, 1},
		{"the key", made, true, 1},
		{"the key again", made, true, 0},
		{"another secret again", wrong, false, 1},
		{"another id again", other, false, 1},
		{"the key after those", made, true, 0},
	} {
		macs = 0
		if _, ok := ring.find(step.key.Text().Reveal()); ok != step.ok || macs != step.macs {
			t.Errorf("%s: %v after %d MACs", step.name, ok, macs)
		}
	}
	ring.forget(made.ID)
	if _, ok := ring.find(made.Text().Reveal()); ok {
		t.Error("a forgotten key is still found")
	}
	// The same id with another secret, as after a key was made anew: what was verified for the old one is gone.
	ring.put(&liveKey{Key: Key{ID: made.ID}, mac: ring.sum(wrong), use: &keyUse{}})
	if _, ok := ring.find(made.Text().Reveal()); ok {
		t.Error("the old secret is still found")
	}
}

func BenchmarkAuthenticateKey(b *testing.B) {
	made := apikey.New()
	s := &Service{now: time.Now, keys: keyring{mac: func(m []byte) []byte { return m[:32] }}}
	live := map[string]*liveKey{made.ID: {Key: Key{ID: made.ID, Scopes: []Scope{ScopeCallAll}}, mac: s.keys.sum(made), use: &keyUse{}}}
	s.keys.current.Store(&live)
	text := telemetry.Secret.Reveal(made.Text())
	for b.Loop() {
		if _, err := s.AuthenticateKey(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

// What a key may do beside calling: its scopes decide, and no scope reaches people, keys or the record.
func TestScopesGrant(t *testing.T) {
	t.Parallel()
	for _, p := range Permissions() {
		for scopes, want := range map[string]bool{
			"":                  false,
			"call:*":            false,
			"call:stripe":       false,
			"api:read":          p == PermissionSystemRead,
			"api:write":         p == PermissionSystemRead || p == PermissionOperate || p == PermissionConfigure,
			"call:* api:read":   p == PermissionSystemRead,
			"unknown:api:write": false,
		} {
			key := Key{ID: "k", Name: "deploy"}
			for s := range strings.FieldsSeq(scopes) {
				key.Scopes = append(key.Scopes, Scope(s))
			}
			a := key.Actor("192.0.2.1")
			a.Role = RoleOwner // a key has no role, whatever somebody writes there
			if err := a.Require(p); (err == nil) != want || err != nil && !fault.Is(err, fault.Forbidden) {
				t.Errorf("%q and %s: %v", scopes, p, err)
			}
			if a.Kind != KindAPIKey || a.ID != "k" || a.Name != "deploy" || a.IP != "192.0.2.1" {
				t.Errorf("actor %+v", a)
			}
		}
	}
	if ScopeAPIWrite.Grants("no:such") {
		t.Error("a permission that does not exist is granted")
	}
}
