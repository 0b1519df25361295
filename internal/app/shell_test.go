package app

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"switchgear/internal/audit"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// A call from the shell is one of the gateway: protected, logged, and in the audit log, whether a server runs
// or not.
func TestCallFromTheShell(t *testing.T) {
	t.Parallel()
	f := startFaulty(t, "generic-rest", `{"retry":{"max_attempts":3,"base_delay":"1ms","max_delay":"1ms"}}`,
		sandbox.Script{Method: http.MethodGet, Path: "/shop/orders", Steps: statuses(503)})
	send := func(req CallSend) (CallSent, error) {
		req.Connection = shop
		return Administer(t.Context(), f.cfg, telemetry.Discard(), SendCall(), req)
	}
	sent, err := send(CallSend{Method: "get", Path: "/orders?limit=1", Headers: []string{"X-From: shell"}})
	if err != nil || sent.Status != http.StatusOK || sent.Attempts != 2 || sent.Outcome != "success" || sent.Error != nil || sent.Account != "default" ||
		!json.Valid([]byte(sent.Body)) || len(sent.Headers["Content-Type"]) == 0 {
		t.Fatalf("%+v, %v", sent, err)
	}
	if last := f.arrived()[1]; last.Query != "limit=1" || last.Header.Get("X-From") != "shell" || last.Header.Get("Authorization") != "Bearer sk_test_1" {
		t.Errorf("arrived %+v", last)
	}
	if made, err := send(CallSend{Method: "POST", Path: "orders", Body: order}); err != nil || made.Status != http.StatusCreated || f.arrived()[2].BodyBytes != len(order) {
		t.Errorf("with a body: %+v, %v", made, err)
	}
	if got := f.send(t, http.MethodPost, "/api/v1/connections/"+shop+"/breaker/force-open", `{"reason":"maintenance"}`); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	refused := func() {
		t.Helper()
		got, err := send(CallSend{Method: "GET", Path: "/orders"})
		if err != nil || got.Error == nil || got.Error.Code != breaker.CodeOpen || got.Status != http.StatusServiceUnavailable || got.Attempts != 0 || len(f.arrived()) != 3 {
			t.Errorf("refused: %+v, %v", got, err)
		} else if !strings.Contains(got.Error.Suggestion, "Breaker & limits") || got.Error.RetryAfter <= 0 {
			t.Errorf("refused without saying what to do: %+v", got.Error)
		}
	}
	refused()
	for name, req := range map[string]CallSend{"header": {Method: "GET", Path: "/", Headers: []string{"no colon"}}, "method": {Method: "G T", Path: "/"}} {
		if _, err := send(req); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = Administer(t.Context(), f.cfg, telemetry.Discard(), SendCall(), CallSend{Connection: "nobody", Method: "GET", Path: "/"})
	if fault.CodeOf(err) != "CONNECTION_NOT_FOUND" {
		t.Errorf("an unknown connection: %v", err)
	}
	f.logged(t, 3)

	// Without a server the same holds, and what was commanded before is known.
	f.stop(t)
	refused()
	again := startIn(t, f.dir, map[string]string{"EGRESS_ALLOW": strings.Join(f.cfg.EgressAllow, ",")})
	f.process = again
	f.logged(t, 4)
	page, err := again.core.audit.Search(t.Context(), audit.Query{Target: shop, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range page.Entries {
		if e.Action == "connection.send" {
			n++
		}
	}
	if n != 4 {
		t.Errorf("%d calls by hand in the audit log: %+v", n, page.Entries)
	}
}

// Beside a running server the doctor looks at what that runs with, whatever the environment of the command says,
// and says which of the two it looked at.
func TestDoctorAsksTheServer(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"EGRESS_ALLOW": "127.0.0.1=127.0.0.0/8:9999"})
	p.owner(t)
	other := p.cfg
	other.Addr, other.EgressAllow, other.KeyFile = "no address", []string{"nonsense"}, filepath.Join(t.TempDir(), "missing.key")
	look := func() map[string]Finding {
		found := map[string]Finding{}
		for _, f := range Examine(t.Context(), other, telemetry.Discard()) {
			found[f.Check] = f
		}
		return found
	}
	found := look()
	for _, check := range []string{"listener", "egress rules", "master key"} {
		if f := found[check]; f.State != FindingOK {
			t.Errorf("%s: %+v", check, f)
		}
	}
	if f := found["egress rules"]; !strings.Contains(f.Message, "9999") {
		t.Errorf("%+v", f)
	}
	if f := found["server"]; !strings.Contains(f.Message, "those that it runs with") {
		t.Errorf("%+v", f)
	}
	if f := found["environment"]; f.State != FindingWarning || !strings.Contains(f.Message, "SWITCHGEAR_ADDR, SWITCHGEAR_EGRESS_ALLOW, SWITCHGEAR_KEY_FILE") {
		t.Errorf("%+v", f)
	}
	p.stop(t)
	found = look()
	if f := found["server"]; !strings.Contains(f.Message, "environment of this command") {
		t.Errorf("without a server: %+v", f)
	}
	if f := found["egress rules"]; f.State != FindingProblem {
		t.Errorf("without a server: %+v", f)
	}
}

// The doctor finds what is wrong, names it, and calls nothing wrong that is not.
func TestDoctor(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.owner(t)
	problems := func() (out []string) {
		for _, f := range Examine(t.Context(), p.cfg, telemetry.Discard()) {
			if f.Message == "" || f.Check == "" {
				t.Errorf("%+v", f)
			}
			if f.State == FindingProblem {
				out = append(out, f.Check)
			}
		}
		return out
	}
	if got := problems(); len(got) != 0 {
		t.Errorf("with a server: %q", got)
	}
	p.stop(t)
	if got := problems(); len(got) != 0 {
		t.Errorf("without one: %q", got)
	}
	checks := map[string]bool{}
	for _, f := range Examine(t.Context(), p.cfg, telemetry.Discard()) {
		checks[f.Check] = true
	}
	for _, want := range []string{
		"data directory", "database file", "master key", "disk space", "egress rules", "server", "listener", "database settings", "migrations", "integrity", "clock",
	} {
		if !checks[want] {
			t.Errorf("nothing about: %s", want)
		}
	}

	key, database := p.cfg.EffectiveKeyFile(), filepath.Join(p.cfg.Data, "console.db")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := problems(); !slices.Contains(got, "master key") {
		t.Errorf("a key that others read: %q", got)
	}
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if got := problems(); !slices.Contains(got, "master key") || !slices.Contains(got, "database") {
		t.Errorf("without a key: %q", got)
	}
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(database, []byte("this is no database at all, and it is longer than the header of one, which has a hundred bytes: nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := problems(); !slices.Equal(got, []string{"database"}) {
		t.Errorf("a damaged database: %q", got)
	}
}

// A clock that was set back is behind the audit log.
func TestDoctorOfAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.owner(t)
	if f := p.core.clock(t.Context(), time.Now()); f.State != FindingOK {
		t.Errorf("%+v", f)
	}
	if f := p.core.clock(t.Context(), time.Now().Add(-time.Hour)); f.State != FindingProblem || !strings.Contains(f.Message, "set back") {
		t.Errorf("an hour before: %+v", f)
	}
}
