package connections

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// Calls go on without the database, and finding their target allocates nothing.
func TestTargetNeedsNoDatabase(t *testing.T) { //nolint:paralleltest // it counts allocations.
	w := newWorld(t)
	w.create("stripe")
	target, err := w.Target("stripe", "default")
	must(t, err)
	if target.LogBodies {
		t.Error("bodies are recorded without being asked for")
	}
	if n := testing.AllocsPerRun(100, func() { _, err = w.Target("stripe", "default") }); n > 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
	must(t, w.db.InTx(context.Background(), nothing))
	hold := make(chan struct{})
	held := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.db.InTx(context.Background(), waiting(held, hold)) })
	<-held // the one writer is taken
	w.wantSent("stripe", "", "Bearer first")
	close(hold)
	wg.Wait()
}

// Bodies are recorded from the moment a connection asks for it.
func TestTargetSaysWhetherBodiesAreRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	for _, on := range []bool{true, false} {
		w.update("stripe", func(d *Draft) { d.LogBodies = on })
		if target, err := w.Target("stripe", ""); err != nil || target.LogBodies != on {
			t.Errorf("asked for %v, the target says %v, %v", on, target.LogBodies, err)
		}
	}
}

// An edit that moves the address and the secret together is never seen by halves, whoever edits at the
// same time: a secret must not go to an address that it was not stored with.
func TestAddressAndSecretBelongTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := draft("stripe")
	d.BaseURL, d.Auth.Fields["token"] = "https://first.example.com", "first"
	_, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := 0
			for ctx.Err() == nil {
				got, target, err := w.call("stripe", "") //nolint:contextcheck // a call has the context of the test.
				if err != nil || got+".example.com" != "Bearer "+target.BaseURL.Host || target.Version < last {
					t.Errorf("version %d after %d: %q went to %s, %v", target.Version, last, got, target.BaseURL, err)
					return
				}
				last = target.Version
			}
		})
	}
	const editors, edits = 4, 10
	errs := parallel(editors, func(i int) error {
		for n := range edits {
			word := fmt.Sprintf("e%d-%d", i, n)
			d := Draft{BaseURL: "https://" + word + ".example.com", Auth: Auth{Fields: map[string]string{"token": word}}}
			if _, err := w.Update(t.Context(), admin(), "stripe", d, "", 0); err != nil {
				return err
			}
			if n%3 == 0 {
				if _, err := w.PutAccount(t.Context(), admin(), "stripe", word, Auth{Fields: map[string]string{"token": word}}, ""); err != nil {
					return err
				}
			}
		}
		return nil
	})
	stop()
	readers.Wait()
	if succeeded(errs) != editors {
		t.Fatal(errs)
	}
	c, err := w.Find(t.Context(), admin(), "stripe")
	if err != nil || c.Version != 1+editors*edits || w.count(`SELECT COUNT(*) FROM connection_versions`) != c.Version {
		t.Errorf("version %d, %v", c.Version, err)
	}
	if _, target, err := w.call("stripe", ""); err != nil || target.Version != c.Version || target.BaseURL.String() != c.BaseURL {
		t.Errorf("calls follow version %d of %d, %v", target.Version, c.Version, err)
	}
}

func TestOneOfManyEditsOfTheSameVersionWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	errs := parallel(16, func(i int) error {
		_, err := w.Update(t.Context(), admin(), "stripe", Draft{Name: fmt.Sprint("name ", i)}, "", 1)
		return err
	})
	for _, err := range errs {
		if err != nil {
			wantCode(t, err, fault.PreconditionFailed, "VERSION_CHANGED")
		}
	}
	if c, err := w.Find(t.Context(), admin(), "stripe"); err != nil || succeeded(errs) != 1 || c.Version != 2 {
		t.Errorf("%d edits won; version %d, %v", succeeded(errs), c.Version, err)
	}
	errs = parallel(8, func(int) error { _, err := w.Create(t.Context(), admin(), draft("same"), ""); return err })
	if succeeded(errs) != 1 {
		t.Errorf("%d connections got the slug", succeeded(errs))
	}
}

// Each version has a transport of its own, made when it is first called; the pool of the one before is
// closed, so that no connection outlives the rules that it was made under.
func TestTransports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	closed := make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	d := draft("local")
	d.BaseURL = server.URL
	_, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	if w.guard.count() != 0 {
		t.Error("a transport was made before the first call")
	}
	call := func() http.RoundTripper {
		t.Helper()
		target, err := w.Target("local", "")
		must(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target.BaseURL.String(), nil)
		must(t, err)
		must(t, target.Authorize(t.Context(), r))
		resp, err := target.Transport.RoundTrip(r)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || string(body) != "Bearer first" {
			t.Errorf("%s, %v", body, err)
		}
		return target.Transport
	}
	first := call()
	_, err = w.PutAccount(t.Context(), admin(), "local", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")
	must(t, err)
	if call() != first || w.guard.count() != 1 {
		t.Error("the same version got another transport")
	}
	w.update("local", func(d *Draft) { d.Name = "x" })
	<-closed // the idle connection of the first version
	if call() == first || w.guard.count() != 2 {
		t.Errorf("the next version has the transport of the one before (%d made)", w.guard.count())
	}
	must(t, only(w.Delete(t.Context(), admin(), "local", "local", "", 0)))
	<-closed
}

func TestRestartAndRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	_, err := w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")
	must(t, err)
	other, err := New(t.Context(), w.deps)
	must(t, err)
	_, err = other.Update(t.Context(), admin(), "stripe", Draft{BaseURL: "https://api.example.com/moved"}, "", 0)
	must(t, err)
	_, err = other.Create(t.Context(), admin(), draft("second"), "")
	must(t, err)
	w.wantSent("stripe", "zoe", "Bearer z")
	if _, target, _ := w.call("stripe", ""); target.BaseURL.Path != "" {
		t.Error("the snapshot changed by itself")
	}
	must(t, w.Refresh(t.Context()))
	if _, target, err := w.call("stripe", "zoe"); err != nil || target.BaseURL.Path != "/moved" || target.Version != 2 {
		t.Errorf("%+v, %v", target, err)
	}
	w.wantSent("second", "", "Bearer first")
	must(t, only(other.Delete(t.Context(), admin(), "second", "second", "", 0)))
	must(t, w.Refresh(t.Context()))
	_, err = w.Target("second", "")
	wantCode(t, err, fault.NotFound, "CONNECTION_NOT_FOUND")

	// While it is unknown what the database holds, a change reads everything about its connection again.
	_, err = other.PutAccount(t.Context(), admin(), "stripe", "late", Auth{Fields: map[string]string{"token": "l"}}, "")
	must(t, err)
	w.stale.Store(true)
	w.update("stripe", func(d *Draft) { d.Name = "x" })
	w.wantSent("stripe", "late", "Bearer l")
}

func TestServeWritesTheLastUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.wantSent("stripe", "", "Bearer first")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Serve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Serve: %v", err)
	}
	if n := w.count(`SELECT COUNT(*) FROM credentials WHERE last_used_at IS NOT NULL`); n != 1 {
		t.Error("the last use is not stored")
	}
}

// One damaged row stops one account, is recorded once, and is mended by entering the credential again.
func TestDamagedCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.create("one"), w.create("two")
	w.exec(`UPDATE credential_versions SET sealed = (SELECT v.sealed FROM credential_versions v JOIN credentials c ON c.id = v.credential_id WHERE c.connection_id = $1)
		WHERE credential_id = (SELECT id FROM credentials WHERE connection_id = $2)`, b.ID, a.ID)
	for range 2 {
		must(t, w.Refresh(t.Context()))
	}
	_, err := w.Target("one", "")
	wantCode(t, err, fault.Unavailable, "CREDENTIAL_CORRUPT")
	w.wantSent("two", "", "Bearer first")
	list, err := w.Accounts(t.Context(), admin(), "one")
	if err != nil || len(list) != 1 || list[0].State != "corrupt" {
		t.Errorf("%+v, %v", list, err)
	}
	page, err := w.log.Search(t.Context(), audit.Query{Action: "credential.corrupt"})
	if err != nil || page.Total != 1 || page.Entries[0].Target.Name != "one" || page.Entries[0].Actor.Kind != access.KindSystem {
		t.Errorf("%+v, %v", page, err)
	}
	w.update("one", func(d *Draft) { d.Name = "still editable" })
	w.update("one", func(d *Draft) { d.Auth.Fields = map[string]string{"token": "again"} })
	w.wantSent("one", "", "Bearer again")
}

// What this release cannot use stops one connection and says so; the start goes on.
func TestUnusableConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("fine")
	for slug, from := range map[string][2]string{
		"policy": {`"policy":{}`, `"policy":{"timeout":"0s"}`}, "vanished": {`"provider":"generic-rest"`, `"provider":"vanished"`},
	} {
		w.create(slug)
		w.exec(`UPDATE connection_versions SET definition = REPLACE(definition, $1, $2) WHERE connection_id = (SELECT id FROM connections WHERE slug = $3)`, from[0], from[1], slug)
	}
	must(t, w.Refresh(t.Context()))
	w.wantSent("fine", "", "Bearer first")
	_, err := w.Target("policy", "")
	wantCode(t, err, fault.Unavailable, "CONNECTION_UNUSABLE")
	w.wantSent("vanished", "", "Bearer first") // a provider only gives defaults
	if !strings.Contains(w.logs.String(), "a connection cannot be used") {
		t.Error("nothing is logged")
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, forget := range map[string]func(*Deps){
		"db": func(d *Deps) { d.DB = nil }, "audit": func(d *Deps) { d.Audit = nil }, "vault": func(d *Deps) { d.Vault = nil },
		"providers": func(d *Deps) { d.Providers = nil }, "egress": func(d *Deps) { d.Egress = nil }, "notify": func(d *Deps) { d.Notify = nil },
		"logger": func(d *Deps) { d.Logger = nil }, "now": func(d *Deps) { d.Now = nil },
	} {
		deps := w.deps
		forget(&deps)
		if _, err := New(t.Context(), deps); err == nil {
			t.Errorf("it works without %s", name)
		}
	}
}

// Secrets go in through every door; afterwards they are nowhere but in calls: not in the files of the
// database, the history, the record, the log or an error.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var texts strings.Builder
	see := func(v any, err error) { fmt.Fprintf(&texts, "%+v %#v %v\n", v, v, err) }
	secret := func(n int) map[string]string { return map[string]string{"token": fmt.Sprintf("%s-%d", canary, n)} }
	d := draft("stripe")
	d.Auth.Fields = secret(1)
	see(w.Create(t.Context(), admin(), d, ""))
	see(w.Create(t.Context(), admin(), d, "")) // taken
	see(w.Update(t.Context(), admin(), "stripe", Draft{Auth: Auth{Fields: secret(2)}}, "", 0))
	see(w.Update(t.Context(), admin(), "stripe", Draft{Auth: Auth{Fields: secret(3)}}, "", 1)) // another version
	see(w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: secret(4)}, ""))
	see(w.PutAccount(t.Context(), admin(), "stripe", "x", Auth{Type: "custom_headers", Fields: map[string]string{"headers": "X-A: " + canary}}, ""))
	see(w.PutAccount(t.Context(), admin(), "stripe", "y", Auth{Type: "bearer", Fields: map[string]string{"token": canary + "\n"}}, ""))
	see(w.PutAccount(t.Context(), admin(), "stripe", "z", Auth{Type: "basic", Fields: map[string]string{"username": canary, "password": canary + "p"}}, ""))
	see(w.Duplicate(t.Context(), admin(), "stripe", "copy", ""))
	see(w.Activate(t.Context(), admin(), "stripe", 1, "", 0))
	see(w.Versions(t.Context(), admin(), "stripe"))
	see(w.Diff(t.Context(), admin(), "stripe", 1, 2))
	see(w.Accounts(t.Context(), admin(), "stripe"))
	see(w.List(t.Context(), admin(), Query{}))
	see(w.entries(), nil)
	w.wantSent("stripe", "", "Bearer "+canary+"-1")
	w.wantSent("copy", "", "Bearer "+canary+"-2")
	must(t, only(w.DeleteAccount(t.Context(), admin(), "stripe", "zoe", "")))
	must(t, only(w.Delete(t.Context(), admin(), "copy", "copy", "", 0)))

	report, err := w.log.Verify(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("the audit record: %+v, %v", report, err)
	}
	search := func(where, text string) {
		t.Helper()
		raw := []byte(canary)
		for _, form := range []string{canary, hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw)[:20], base64.RawURLEncoding.EncodeToString(raw)[:20]} {
			if strings.Contains(text, form) {
				t.Errorf("a secret is in the %s as %s", where, form)
			}
		}
	}
	search("answers and errors", texts.String())
	search("log", w.logs.String())
	search("database with its WAL", filesText(t, w.dir))
	must(t, w.db.Close())
	closed := filesText(t, w.dir)
	search("closed database", closed)
	if !strings.Contains(closed, "connection.create") {
		t.Error("the search cannot see into the database")
	}
}

func filesText(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		out.Write(text)
		return err
	}))
	return out.String()
}

// When nobody knows whether a commit succeeded, calls follow what the database holds.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	other, err := New(t.Context(), w.deps)
	must(t, err)
	_, err = other.Update(t.Context(), admin(), "stripe", Draft{BaseURL: "https://api.example.com/moved"}, "", 0)
	must(t, err)
	_, err = w.change(t.Context(), admin(), access.PermissionOperate, func(*db.Tx, access.Actor) (effect, error) {
		return effect{slug: "stripe"}, fault.New(fault.Unavailable, "COMMIT_UNKNOWN", "Perhaps.")
	})
	wantCode(t, err, fault.Unavailable, "COMMIT_UNKNOWN")
	if _, target, err := w.call("stripe", ""); err != nil || target.BaseURL.Path != "/moved" || w.stale.Load() {
		t.Errorf("%+v, %v", target, err)
	}
}

// The same holds for marks of what works: when they are made again, they are no news to the database any more.
func TestUnknownCommitOfMarks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.create("stripe")
	other, err := New(t.Context(), w.deps)
	must(t, err)
	versions := map[string]int{c.ID: 1}
	must(t, other.MarkKnownGood(t.Context(), versions))
	err = w.markKnownGood(t.Context(), versions, func(context.Context, *db.Tx, string, int) (bool, error) {
		return false, fault.New(fault.Unavailable, "COMMIT_UNKNOWN", "Perhaps.")
	})
	wantCode(t, err, fault.Unavailable, "COMMIT_UNKNOWN")
	must(t, w.MarkKnownGood(t.Context(), versions))
	if seen, _ := w.Peek("stripe"); seen.LastKnownGood != 1 || w.stale.Load() {
		t.Errorf("%d is good", seen.LastKnownGood)
	}
}

// Waiting for another change ends with the request, and so does a change whose transaction failed.
func TestChangesDoNotHang(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	must(t, w.lock(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Pause(ctx, admin(), "stripe", "", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.unlock()
	func() {
		defer func() { _ = recover() }()
		_, _ = w.change(t.Context(), admin(), access.PermissionOperate, func(*db.Tx, access.Actor) (effect, error) { panic("a bug") })
	}()
	_, err := w.Pause(t.Context(), admin(), "stripe", "", 0)
	must(t, err)
}

// What guards calls follows every change, a rollback included, and forgets what is gone.
func TestProtectionsFollowChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.create("stripe")
	set, ok := w.shield.of(c.ID)
	if !ok || set.Version != 1 {
		t.Fatalf("after the first version: %+v, %v", set, ok)
	}
	w.update("stripe", func(d *Draft) {
		d.Policy = json.RawMessage(`{"timeout":"3s","operations":[{"id":"charge","path":"/charges","policy":{"timeout":"1s"}}]}`)
	})
	if set, _ = w.shield.of(c.ID); set.Version != 2 || set.Policy.Timeout.String() != "3s" || len(set.Operations) != 1 || set.Operations[0].Effective.Timeout.String() != "1s" {
		t.Errorf("after an edit: %+v", set)
	}
	if target, err := w.Target("stripe", ""); err != nil || len(target.Operations) != 1 || target.CredentialID == "" || target.CredentialVersion == 0 {
		t.Errorf("the target: %+v, %v", target, err)
	}
	_, err := w.Activate(t.Context(), admin(), "stripe", 1, "", 0)
	must(t, err)
	if set, _ = w.shield.of(c.ID); set.Version != 3 || len(set.Operations) != 0 {
		t.Errorf("after a rollback: %+v", set)
	}
	must(t, only(w.Delete(t.Context(), admin(), "stripe", "stripe", "", 0)))
	if set, ok := w.shield.of(c.ID); ok {
		t.Errorf("after it was deleted: %+v", set)
	}
}

// Each value of an effective policy says where it comes from.
func TestSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	c := w.update("stripe", func(d *Draft) {
		d.Policy = json.RawMessage(`{"timeout":"3s","operations":[{"id":"charge","path":"/charges","policy":{"timeout":"1s"}}]}`)
	})
	for operation, want := range map[string][2]string{"": {"3s", "connection"}, "charge": {"1s", "operation"}} {
		settings, err := w.Settings(c, operation)
		must(t, err)
		for _, s := range settings {
			if s.Path == "timeout" && (s.Value != want[0] || s.Origin != want[1]) {
				t.Errorf("operation %q: %+v", operation, s)
			}
			if s.Path == "breaker.min_calls" && s.Origin != "product" {
				t.Errorf("operation %q: %+v", operation, s)
			}
		}
	}
	c.Provider = "acme" // The catalogue has its dialect among the facts.
	settings, err := w.Settings(c, "")
	must(t, err)
	for _, s := range settings {
		if s.Path == "rate_limit_dialect" && (s.Value != "github" || s.Origin != "provider") {
			t.Errorf("%+v", s)
		}
	}
	if _, err := w.Settings(c, "refund"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an operation that is not there: %v", err)
	}
}
