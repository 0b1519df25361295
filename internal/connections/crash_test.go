package connections

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/telemetry"
)

// edited is what a connection has to look like after one more edit. The child says it twice: when it
// tries, and when the edit was acknowledged.
type edited struct {
	Acknowledged bool
	Slug, Name   string
	Version      int
	Tokens       map[string]string // by account
}

// TestKilledDuringEdits kills a process with SIGKILL at random moments while it creates, edits, rolls back
// and rotates: what it acknowledged is there whole, and what it did not is there whole or not at all.
func TestKilledDuringEdits(t *testing.T) {
	t.Parallel()
	dir, all, edits := t.TempDir(), map[string]edited{}, 0
	for round := range 8 {
		last, pending := killedDuringEdits(t, dir, fmt.Sprintf("r%d", round), 1+rand.IntN(150))
		edits += len(last)
		maps.Copy(all, reopened(t, dir, all, last, pending))
	}
	if edits == 0 {
		t.Fatal("nothing was acknowledged, so nothing was tested")
	}
	t.Logf("%d connections, none lost", len(all))
}

// killedDuringEdits returns what was acknowledged last of each connection, and what was tried after it.
func killedDuringEdits(t *testing.T, dir, prefix string, after int) (last, pending map[string]edited) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), childEnv+"="+prefix+":"+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last, pending = map[string]edited{}, map[string]edited{}
	acknowledged := 0
	for reader := bufio.NewReader(out); ; {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			break // A line without its end was cut off by the kill.
		}
		var e edited
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !e.Acknowledged {
			pending[e.Slug] = e
			continue
		}
		delete(pending, e.Slug)
		last[e.Slug] = e
		if acknowledged++; acknowledged == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || acknowledged < after {
		t.Fatalf("the child ended by itself after %d edits: %v", acknowledged, err)
	}
	return last, pending
}

// reopened checks everything after a kill, and returns how the connections of this round turned out.
func reopened(t *testing.T, dir string, before, last, pending map[string]edited) map[string]edited {
	t.Helper()
	s, d, log, err := openForEdits(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for slug, want := range before {
		if found, err := look(t, s, slug, want); err != nil || !same(found, want) {
			t.Errorf("of an earlier round: %+v, %v; want %+v", found, err, want)
		}
	}
	turnedOut := map[string]edited{}
	for slug, want := range last {
		found, err := look(t, s, slug, want)
		if tried, ok := pending[slug]; ok && (err != nil || !same(found, want)) {
			if found, err = look(t, s, slug, tried); same(found, tried) {
				want = tried
			}
		}
		if err != nil || !same(found, want) {
			t.Errorf("acknowledged %+v, found %+v, %v", want, found, err)
		}
		turnedOut[slug] = want
		// What rollback needs survived as well.
		if _, err := s.Activate(t.Context(), admin(), slug, 1, "after the crash", 0); err != nil && want.Version > 1 {
			t.Errorf("%s does not roll back: %v", slug, err)
		}
		c, err := s.Find(t.Context(), admin(), slug)
		if err != nil {
			t.Fatal(err)
		}
		want.Version, want.Name, want.Tokens["default"] = c.Version, slug, "token-"+slug+"-1"
		if found, err := look(t, s, slug, want); err != nil || !same(found, want) {
			t.Errorf("after the rollback: %+v, %v; want %+v", found, err, want)
		}
		turnedOut[slug] = want
	}
	for what, query := range map[string]string{
		"version chains with a gap": `SELECT count(*) FROM (SELECT connection_id FROM connection_versions GROUP BY connection_id
			HAVING min(version) <> 1 OR max(version) <> count(*))`,
		"connections that are not at the end of their chain": `SELECT count(*) FROM connections c
			WHERE version <> (SELECT max(version) FROM connection_versions v WHERE v.connection_id = c.id)`,
		"credentials whose version is missing": `SELECT count(*) FROM credentials c
			WHERE NOT EXISTS (SELECT 1 FROM credential_versions v WHERE v.credential_id = c.id AND v.version = c.version)`,
		"credentials that do not open": `SELECT count(*) FROM credentials WHERE state <> 'active'`,
		"connections without any":      `SELECT count(*) FROM connections c WHERE NOT EXISTS (SELECT 1 FROM credentials WHERE connection_id = c.id)`,
	} {
		n := 0
		if err := d.QueryRow(t.Context(), query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d %s, %v", n, what, err)
		}
	}
	verdict := ""
	if err := d.QueryRow(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
	if report, err := log.Verify(t.Context()); err != nil || len(report.Problems) > 0 {
		t.Errorf("the audit record: %+v, %v", report, err)
	}
	return turnedOut
}

func same(a, b edited) bool {
	if a.Name != b.Name || a.Version != b.Version || len(a.Tokens) != len(b.Tokens) {
		return false
	}
	for account, token := range a.Tokens {
		if b.Tokens[account] != token {
			return false
		}
	}
	return true
}

// look reads a connection and opens the credential of every account that it should have.
func look(t *testing.T, s *Service, slug string, want edited) (edited, error) {
	t.Helper()
	c, err := s.Find(t.Context(), admin(), slug)
	if err != nil {
		return edited{}, err
	}
	found := edited{Slug: slug, Name: c.Name, Version: c.Version, Tokens: map[string]string{}}
	for account := range want.Tokens {
		target, err := s.Target(slug, account)
		if err != nil {
			return found, err
		}
		r := httptest.NewRequest(http.MethodGet, target.BaseURL.String(), nil)
		if err := target.Authorize(t.Context(), r); err != nil {
			return found, err
		}
		found.Tokens[account] = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	return found, nil
}

func macOf(message []byte) []byte {
	h := hmac.New(sha256.New, []byte("audit"))
	h.Write(message)
	return h.Sum(nil)
}

// openForEdits opens the data directory the way that the product does.
func openForEdits(ctx context.Context, dir string) (*Service, *db.DB, *audit.Log, error) {
	d, err := db.Open(ctx, db.Config{Dir: dir})
	if err != nil {
		return nil, nil, nil, err
	}
	ring, err := credentials.OpenKeyring(ctx, credentials.Deps{
		DB: d, Logger: telemetry.Discard(), Now: time.Now,
		Source: credentials.KeySource{Value: telemetry.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	sealer, err := ring.Sealer(credentials.PurposeCredential)
	if err != nil {
		return nil, nil, nil, err
	}
	vault, err := credentials.NewVault(credentials.VaultDeps{
		DB: d, Sealer: sealer, Endpoint: &oauthtest.Endpoint{}, Changed: func(context.Context, string, string) {}, Key: runtime.CallingKey,
		Logger: telemetry.Discard(), Now: time.Now,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	log, err := audit.New(audit.Deps{DB: d, Now: time.Now, MAC: macOf})
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := New(ctx, Deps{
		Open: func(context.Context, Connection) ([]string, error) { return nil, nil }, Protections: &shields{set: map[string]runtime.PolicySet{}},
		DB: d, Audit: log, Vault: vault, Providers: shelf{}, Egress: egress.New(egress.Config{}),
		Notify: func(string) {}, Logger: telemetry.Discard(), Now: time.Now,
	})
	return s, d, log, err
}

// childEdit edits connections until it is killed, several at a time.
func childEdit(where string) error {
	prefix, dir, _ := strings.Cut(where, ":")
	s, _, _, err := openForEdits(context.Background(), dir)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				if err := editOne(s, fmt.Sprintf("%s-w%d-%d", prefix, worker, n)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.New("the editors stopped by themselves")
}

// editOne is the life of one connection.
func editOne(s *Service, slug string) error {
	ctx, a := context.Background(), access.CommandLine("root")
	token := func(n int) string { return fmt.Sprintf("token-%s-%d", slug, n) }
	bearer := func(n int) Auth { return Auth{Type: "bearer", Fields: map[string]string{"token": token(n)}} }
	now := edited{Slug: slug, Name: slug, Tokens: map[string]string{}}
	say := func(acknowledged bool) error {
		now.Acknowledged = acknowledged
		line, err := json.Marshal(now)
		if err != nil {
			return err
		}
		// One write per line, unbuffered: what the parent reads was said.
		_, err = os.Stdout.Write(append(line, '\n'))
		return err
	}
	step := func(expect func(), edit func() error) error {
		expect()
		if err := say(false); err != nil {
			return err
		}
		if err := edit(); err != nil {
			return err
		}
		return say(true)
	}
	rename := func(to string) func() error {
		return func() error {
			c, err := s.Find(ctx, a, slug)
			if err != nil {
				return err
			}
			d := c.Draft()
			d.Name = to
			_, err = s.Update(ctx, a, slug, d, "", c.Version)
			return err
		}
	}
	rotate := func(account string, n int) func() error {
		return func() error {
			_, err := s.PutAccount(ctx, a, slug, account, bearer(n), "rotation")
			return err
		}
	}
	for _, one := range []struct {
		expect func()
		edit   func() error
	}{
		{func() { now.Version, now.Tokens["default"] = 1, token(1) }, func() error {
			d := draft(slug)
			d.Name, d.Auth = slug, bearer(1)
			_, err := s.Create(ctx, a, d, "")
			return err
		}},
		{func() { now.Version, now.Name = 2, slug+" renamed" }, rename(slug + " renamed")},
		{func() { now.Version, now.Tokens["default"] = 3, token(2) }, rotate("default", 2)},
		{func() { now.Tokens["customer"] = token(3) }, rotate("customer", 3)},
		{func() { now.Version, now.Name, now.Tokens["default"] = 4, slug, token(1) }, func() error {
			_, err := s.Activate(ctx, a, slug, 1, "rollback", 0)
			return err
		}},
		{func() { now.Tokens["customer"] = token(4) }, rotate("customer", 4)},
		{func() { now.Version, now.Name = 5, slug+" again" }, rename(slug + " again")},
	} {
		if err := step(one.expect, one.edit); err != nil {
			return err
		}
	}
	return nil
}
