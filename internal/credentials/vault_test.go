package credentials

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

const canary = "canary-vault-4711"

// vaultWorld is a Vault on a real database with two connections.
type vaultWorld struct {
	*Vault
	t   *testing.T
	db  *db.DB
	dir string
	mu  sync.Mutex
	at  time.Time
	// still stops the clock, which otherwise moves by a second with every look at it.
	still bool
}

func newVaultWorld(t *testing.T) *vaultWorld {
	t.Helper()
	w := &vaultWorld{t: t, dir: t.TempDir(), at: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}
	d, err := db.Open(t.Context(), db.Config{Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	w.db = d
	w.Vault, err = NewVault(VaultDeps{DB: d, Sealer: sealerOf(t, mustOpen(t, d, KeySource{Value: keyText(1)})), Endpoint: &oauthtest.Endpoint{}, Key: callingKey, Changed: func(context.Context, string, string) {}, Logger: telemetry.Discard(), Now: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.still {
			w.at = w.at.Add(time.Second)
		}
		return w.at
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"con_1", "con_2"} {
		w.exec(`INSERT INTO connections (id, slug, version, created_at, updated_at, name_key, kind, provider, environment, state, search_key)
			VALUES ($1, $1, 1, 0, 0, '', 'rest', '', '', 'active', '')`, id)
	}
	return w
}

func (w *vaultWorld) tx(fn func(ctx context.Context, tx *db.Tx) error) {
	w.t.Helper()
	if err := w.db.InTx(w.t.Context(), func(tx *db.Tx) error { return fn(w.t.Context(), tx) }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *vaultWorld) exec(query string, args ...any) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

// upstream is where the connections of the tests go to.
const upstream = "https://api.example.com"

// holderOf is an account of con_1.
func holderOf(account string) Holder {
	return Holder{ConnectionID: "con_1", Account: account, Origin: upstream}
}

// put stores a credential of con_1.
func (w *vaultWorld) put(account, kind string, pairs ...string) Credential {
	w.t.Helper()
	var c Credential
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		c, err = w.Put(ctx, tx, holderOf(account), kind, mapOf(pairs))
		return err
	})
	return c
}

func mapOf(pairs []string) map[string]string {
	values := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// try runs fn in a transaction that is rolled back when fn fails, and returns its error.
func (w *vaultWorld) try(fn func(ctx context.Context, tx *db.Tx) error) error {
	w.t.Helper()
	return w.db.InTx(w.t.Context(), func(tx *db.Tx) error { return fn(w.t.Context(), tx) })
}

func (w *vaultWorld) load(connection string) *Set {
	w.t.Helper()
	var s *Set
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		s, err = w.Load(ctx, tx, connection)
		s = s.At(upstream)
		return err
	})
	return s
}

// sent is the Authorization header of a call.
func sent(t *testing.T, s *Set, account string) (string, error) {
	t.Helper()
	authorize, _, err := s.Authorizer(account)
	if err != nil {
		return "", err
	}
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)
	r.Header.Set("Authorization", "Bearer theirs")
	err = authorize(t.Context(), r)
	return r.Header.Get("Authorization"), err
}

func wantSent(t *testing.T, s *Set, account, want string) {
	t.Helper()
	if got, err := sent(t, s, account); err != nil || got != want {
		t.Errorf("%s sent %q, %v; want %q", account, got, err, want)
	}
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || fault.CodeOf(err) != code {
		t.Errorf("got %v (%v %s), want %v %s", err, fault.KindOf(err), fault.CodeOf(err), kind, code)
	}
}

func TestPutKeepsWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	first := w.put("default", "basic", "username", "u", "password", "p1")
	if diff := cmp.Diff([]string{"password", "username"}, first.Fields); diff != "" || first.Version != 1 || first.State != StateActive {
		t.Errorf("%+v\n%s", first, diff)
	}
	wantSent(t, w.load("con_1"), "default", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p1")))

	second := w.put("default", "basic", "username", "", "password", "p2")
	wantSent(t, w.load("con_1"), "default", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p2")))
	if second.Version != 2 || second.Marks["username"] != first.Marks["username"] || second.Marks["password"] == first.Marks["password"] {
		t.Errorf("marks %v, then %v", first.Marks, second.Marks)
	}
	for _, same := range [][]string{nil, {"password", "p2"}, {"username", "u", "password", "p2"}} {
		if got := w.put("default", "basic", same...); got.Version != 2 || !cmp.Equal(got.Marks, second.Marks) {
			t.Errorf("%v made version %d", same, got.Version)
		}
	}

	// Another type keeps nothing, not even a field of the same name.
	wantCode(t, w.try(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Put(ctx, tx, holderOf("default"), "bearer", nil)
		return err
	}), fault.Invalid, "AUTH_FIELD_REQUIRED")
	w.put("default", "bearer", "token", "t")
	wantSent(t, w.load("con_1"), "default", "Bearer t")
}

func TestSettingsAreShownAndDefaulted(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	c := w.put("default", "api_key", "key", canary, "prefix", "Bot")
	want := map[string]string{"in": "header", "name": "X-API-Key", "prefix": "Bot"}
	if diff := cmp.Diff(want, c.Settings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c = w.put("default", "api_key", "in", "query", "name", "k", "prefix", "")
	if diff := cmp.Diff(map[string]string{"in": "query", "name": "k"}, c.Settings); diff != "" || c.Version != 2 {
		t.Errorf("version %d (-want +got):\n%s", c.Version, diff)
	}
	authorize, _, err := w.load("con_1").Authorizer("default")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/x?a=1", nil)
	if err := authorize(t.Context(), r); err != nil || r.URL.RawQuery != "a=1&k="+canary {
		t.Errorf("%s, %v", r.URL, err)
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", "good")
	for name, c := range map[string]struct {
		kind, code string
		pairs      []string
	}{
		"kind":      {canary, "UNKNOWN_AUTH_TYPE", nil},
		"field":     {"bearer", "UNKNOWN_AUTH_FIELD", []string{canary, canary}},
		"injection": {"bearer", "INVALID_AUTH_FIELD", []string{"token", canary + "\r\nX: 1"}},
		"missing":   {"api_key", "AUTH_FIELD_REQUIRED", []string{"name", canary}},
	} {
		err := w.try(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Put(ctx, tx, holderOf("default"), c.kind, mapOf(c.pairs))
			return err
		})
		if wantCode(t, err, fault.Invalid, c.code); strings.Contains(fmt.Sprintf("%v %+v", err, err), canary) {
			t.Errorf("%s: the error repeats a value: %v", name, err)
		}
	}
	wantSent(t, w.load("con_1"), "default", "Bearer good")
}

func TestRestoreAndPrune(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	first := w.put("default", "bearer", "token", "t1")
	w.put("default", "basic", "username", "u")
	restore := func(version int64) (c Credential, err error) {
		err = w.try(func(ctx context.Context, tx *db.Tx) error {
			c, err = w.Restore(ctx, tx, "con_1", "default", version)
			return err
		})
		return c, err
	}
	back, err := restore(1)
	if err != nil || back.Version != 3 || back.ID != first.ID || !cmp.Equal(back.Marks, first.Marks) {
		t.Fatalf("%+v, %v", back, err)
	}
	wantSent(t, w.load("con_1"), "default", "Bearer t1")
	for i := range keptVersions {
		w.put("default", "bearer", "token", fmt.Sprintf("n%d", i))
	}
	for _, version := range []int64{1, 3, 99} {
		_, err := restore(version)
		wantCode(t, err, fault.Conflict, "CREDENTIAL_GONE")
	}
	var n int
	if err := w.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM credential_versions`).Scan(&n); err != nil || n != keptVersions {
		t.Errorf("%d versions are kept, %v", n, err)
	}
}

func TestCopyAndDelete(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", "t1")
	w.put("acme", "bearer", "token", "t2")
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Copy(ctx, tx, "con_1", "con_2", "default")
		return err
	})
	w.tx(func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, "con_1", "default") })
	old := w.load("con_1")
	wantSent(t, w.load("con_2"), "default", "Bearer t1")
	_, _, err := old.Authorizer("default")
	wantCode(t, err, fault.Unavailable, "CREDENTIAL_MISSING")
	_, _, err = old.Authorizer("nobody")
	wantCode(t, err, fault.NotFound, "ACCOUNT_NOT_FOUND")
	wantCode(t, w.try(func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, "con_1", "default") }), fault.NotFound, "ACCOUNT_NOT_FOUND")

	// A snapshot that was taken before stays as it was.
	w.tx(func(ctx context.Context, tx *db.Tx) error { return w.DeleteAll(ctx, tx, "con_1") })
	wantSent(t, old, "acme", "Bearer t2")
	_, _, err = w.load("con_1").Authorizer("acme")
	wantCode(t, err, fault.NotFound, "ACCOUNT_NOT_FOUND")
}

// What was never there is told apart from what was lost, by whoever loads it and however.
func TestNotSetUp(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	client := []string{"authorize_url", "https://as.example.com/authorize", "token_url", "https://as.example.com/token", "client_id", "c", "client_secret", "s"}
	connect := func(account string) {
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.PutToken(ctx, tx, holderOf(account), oauth.Token{Access: "a", Refresh: "r", ExpiresIn: time.Hour})
			return err
		})
	}
	set := w.load("con_1")
	want := func(account string, notSetUp bool, code string) {
		t.Helper()
		var accounts Set
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			all, err := w.LoadAll(ctx, tx)
			if err != nil {
				return err
			}
			if all["con_1"] != nil {
				accounts = *all["con_1"]
			}
			set, err = w.LoadAccounts(ctx, tx, set, "con_1", "default", "acme")
			return err
		})
		for how, s := range map[string]*Set{"one": w.load("con_1"), "all": accounts.At(upstream), "accounts": set.At(upstream)} {
			name, err := s.Problem()
			got := ""
			if err != nil {
				got = fault.CodeOf(err)
			}
			if name != account || NotSetUp(err) != notSetUp || got != code {
				t.Errorf("loaded by %s: account %q, not set up %t, %q, want %q, %t, %q", how, name, NotSetUp(err), got, account, notSetUp, code)
			}
		}
	}
	want("default", true, "CREDENTIAL_MISSING")
	w.put("default", "oauth2_authorization_code", client...)
	want("default", true, "CREDENTIAL_NOT_CONNECTED")
	w.put("acme", "oauth2_authorization_code")
	want("default", true, "CREDENTIAL_NOT_CONNECTED")
	connect("acme")
	want("", false, "") // the default account only holds the client
	connect("default")
	w.put("default", "oauth2_authorization_code", append(slices.Clone(client), "client_id", "another", "client_secret", "s2")...)
	want("default", false, "CREDENTIAL_NOT_CONNECTED") // its token was good before
	for _, account := range []string{"default", "acme"} {
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			c, err := w.store.current(ctx, tx, "con_1", account)
			if err == nil {
				err = w.Delete(ctx, tx, "con_1", account)
			}
			if err == nil {
				err = w.Record(ctx, tx, c.Credential, EventDeleted, "", Actor{Kind: "system"})
			}
			return err
		})
	}
	want("default", false, "CREDENTIAL_MISSING")
}

// What was there and is lost is no less so because other accounts work, and it is told what became of it.
func TestLostBesideOthers(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	remove := func(account string) {
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			c, err := w.store.current(ctx, tx, "con_1", account)
			if err == nil {
				err = w.Delete(ctx, tx, "con_1", account)
			}
			if err == nil {
				err = w.Record(ctx, tx, c.Credential, EventDeleted, "", Actor{Kind: "system"})
			}
			return err
		})
	}
	changed := w.load("con_1")
	want := func(account, code, text string) {
		t.Helper()
		var all map[string]*Set
		w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			if all, err = w.LoadAll(ctx, tx); err == nil {
				changed, err = w.LoadAccounts(ctx, tx, changed, "con_1", "default", "two", "three")
			}
			return err
		})
		for how, s := range map[string]*Set{"one": w.load("con_1"), "all": all["con_1"].At(upstream), "accounts": changed.At(upstream)} {
			name, err := s.Problem()
			if code == "" && (name != "" || err != nil) {
				t.Errorf("loaded by %s: %q, %v", how, name, err)
			}
			if code != "" && (name != account || fault.CodeOf(err) != code || NotSetUp(err) || !strings.Contains(fault.PublicMessage(err), text)) {
				t.Errorf("loaded by %s: %q, %v", how, name, err)
			}
		}
	}
	w.put("two", "bearer", "token", "t2")
	w.put("three", "bearer", "token", "t3")
	want("", "", "") // there never was a default one
	remove("three")
	want("", "", "") // nobody can call it any more
	w.put("default", "bearer", "token", "t1")
	remove("default")
	want("default", "CREDENTIAL_MISSING", "was deleted")
	w.put("default", "bearer", "token", "t1")
	want("", "", "")
	client := []string{"authorize_url", "https://as.example.com/authorize", "token_url", "https://as.example.com/token", "client_id", "c", "client_secret", "s"}
	wantSent(t, w.load("con_1"), "default", "Bearer t1")
	w.put("default", "oauth2_authorization_code", client...)
	want("default", "CREDENTIAL_NOT_CONNECTED", "has to be connected again")
	if err := w.FlushUse(t.Context()); err != nil { // so that whoever comes after this process knows it too
		t.Fatal(err)
	}
	clear(w.uses)
	want("default", "CREDENTIAL_NOT_CONNECTED", "has to be connected again")
}

func TestLoadAccountsReadsOnlyThose(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("a", "bearer", "token", "a1")
	w.put("b", "bearer", "token", "b1")
	old := w.load("con_1")
	w.put("a", "bearer", "token", "a2")
	w.put("b", "bearer", "token", "b2")
	var next *Set
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		next, err = w.LoadAccounts(ctx, tx, old, "con_1", "a", "gone")
		return err
	})
	wantSent(t, next, "a", "Bearer a2")
	wantSent(t, next, "b", "Bearer b1")
	wantSent(t, old, "a", "Bearer a1")
}

// A blob that moves to another row, account, connection or version must not open, and must not keep the
// others from working.
func TestMovedBlobDoesNotOpen(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(w *vaultWorld, a, b Credential){
		"another row": func(w *vaultWorld, a, b Credential) {
			w.exec(`UPDATE credential_versions SET sealed = (SELECT sealed FROM credential_versions WHERE credential_id = $1) WHERE credential_id = $2`, b.ID, a.ID)
		},
		"another connection": func(w *vaultWorld, a, _ Credential) {
			w.exec(`UPDATE credentials SET account = 'moved' WHERE id = $1`, a.ID)
		},
		"another version": func(w *vaultWorld, a, _ Credential) {
			w.exec(`UPDATE credential_versions SET version = 7 WHERE credential_id = $1`, a.ID)
			w.exec(`UPDATE credentials SET version = 7 WHERE id = $1`, a.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newVaultWorld(t)
			a := w.put("a", "bearer", "token", "a")
			b := w.put("b", "bearer", "token", "b")
			move(w, a, b)
			s := w.load("con_1")
			account := "a"
			if name == "another connection" {
				account = "moved"
			}
			_, _, err := s.Authorizer(account)
			wantCode(t, err, fault.Unavailable, "CREDENTIAL_CORRUPT")
			wantSent(t, s, "b", "Bearer b")
			if len(s.Damaged()) != 1 || s.Damaged()[0].ID != a.ID {
				t.Errorf("damaged: %+v", s.Damaged())
			}

			w.tx(func(ctx context.Context, tx *db.Tx) error { return w.SetState(ctx, tx, a.ID, StateCorrupt) })
			if again := w.load("con_1"); len(again.Damaged()) != 0 || len(again.Mended()) != 0 {
				t.Errorf("it is told twice: %+v, %+v", again.Damaged(), again.Mended())
			}
			// Entering it again mends it.
			w.put(account, "bearer", "token", "fresh")
			wantSent(t, w.load("con_1"), account, "Bearer fresh")
		})
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	c := w.put("default", "bearer", "token", "t")
	for state, code := range map[string]string{StateNeedsReauth: "CREDENTIAL_NEEDS_REAUTH", StateRevoked: "CREDENTIAL_REVOKED"} {
		w.tx(func(ctx context.Context, tx *db.Tx) error { return w.SetState(ctx, tx, c.ID, state) })
		_, _, err := w.load("con_1").Authorizer("default")
		wantCode(t, err, fault.Unavailable, code)
		if got := w.put("default", "bearer"); got.State != state {
			t.Errorf("saving without a secret made it %s", got.State)
		}
	}
	if got := w.put("default", "bearer", "token", "t"); got.State != StateActive || got.Version != 2 {
		t.Errorf("entering it again: %+v", got)
	}
	// One that is marked corrupt although it opens, as after a restored backup, is offered for mending.
	w.tx(func(ctx context.Context, tx *db.Tx) error { return w.SetState(ctx, tx, c.ID, StateCorrupt) })
	if s := w.load("con_1"); len(s.Mended()) != 1 {
		t.Errorf("mended: %+v", s.Mended())
	}
	if err := w.try(func(ctx context.Context, tx *db.Tx) error { return w.SetState(ctx, tx, c.ID, "odd") }); err == nil {
		t.Error("an unknown state is stored")
	}
}

func TestLastUse(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("zoe", "bearer", "token", "z")
	w.put("default", "bearer", "token", "t")
	wantSent(t, w.load("con_1"), "default", "Bearer t")
	list, err := w.List(t.Context(), "con_1")
	if err != nil || len(list) != 2 || list[0].Account != "default" || list[0].LastUsedAt.IsZero() || !list[1].LastUsedAt.IsZero() {
		t.Fatalf("%+v, %v", list, err)
	}
	for range 2 {
		if err := w.FlushUse(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fresh, err := NewVault(VaultDeps{DB: w.db, Sealer: w.sealer, Endpoint: &oauthtest.Endpoint{}, Key: callingKey, Changed: func(context.Context, string, string) {}, Logger: telemetry.Discard(), Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := fresh.List(t.Context(), "con_1")
	if err != nil || !stored[0].LastUsedAt.Equal(list[0].LastUsedAt) {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

// The plaintext is in no file, with the WAL and after closing, in no encoding.
func TestPlaintextIsInNoFile(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	for i := range 3 {
		w.put("default", "bearer", "token", fmt.Sprintf("%s-%d", canary, i))
	}
	w.put("acme", "custom_headers", "headers", "X-A: "+canary)
	search := func(when string) {
		t.Helper()
		text := filesText(t, w.dir)
		if !strings.Contains(text, "con_1") {
			t.Fatalf("%s: the search cannot see into the database", when)
		}
		for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(canary)), "=")[:20]} {
			if strings.Contains(text, form) {
				t.Errorf("%s: found %s", when, form)
			}
		}
	}
	search("running")
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	search("closed")
}

func filesText(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		out.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What kept an account from being used is over with another credential, with a consent, when the account is gone,
// or with the token that did not come; and not before.
func TestRecovered(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	const failed, refused = "CREDENTIAL_RENEWAL_FAILED", "CREDENTIAL_UNUSABLE"
	before := w.moment()
	want := func(account, code string, at time.Time, recovered bool) {
		t.Helper()
		if got := w.load("con_1").Recovered(account, code, at); got != recovered {
			t.Errorf("%s, %s: %t", account, code, got)
		}
	}
	want("default", "CREDENTIAL_MISSING", before, false)
	want("gone", refused, before, true)
	w.put("default", "oauth2_client_credentials", "token_url", "https://as.example.com/token", "client_id", "c", "client_secret", "s")
	want("default", "CREDENTIAL_MISSING", before, true)
	now := w.moment()
	for _, code := range []string{failed, "CREDENTIAL_TIMEOUT", refused} {
		want("default", code, now, false)
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.PutToken(ctx, tx, holderOf("default"), oauth.Token{Access: "a", ExpiresIn: time.Hour})
		return err
	})
	now = w.moment()
	want("default", failed, now, true)
	want("default", "CREDENTIAL_TIMEOUT", now, true)
	want("default", refused, now, false) // that it is there does not make it usable
	w.put("default", "bearer", "token", "b")
	want("default", refused, now, true)
}
