package rotation

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// world is a Service on real keys.
type world struct {
	*Service
	db     *db.DB
	audit  *audit.Log
	topics []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{db: dbtest.New(t)}
	ring, err := credentials.OpenKeyring(t.Context(), credentials.Deps{
		DB: w.db, Source: credentials.KeySource{File: filepath.Join(t.TempDir(), "switchgear.key")}, Logger: telemetry.Discard(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	mac, err := ring.MAC(credentials.PurposeAudit)
	if err != nil {
		t.Fatal(err)
	}
	if w.audit, err = audit.New(audit.Deps{DB: w.db, MAC: mac, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	rotator, err := credentials.NewRotator(credentials.RotatorDeps{
		DB: w.db, Keyring: ring, Progress: func() {}, Logger: telemetry.Discard(), Now: time.Now,
	}, credentials.RotatorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w.Service, err = New(Deps{
		DB: w.db, Audit: w.audit, Keys: rotator, Worker: rotator, Master: ring, Notify: func(topic string) { w.topics = append(w.topics, topic) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range access.Roles() {
		dbtest.Exec(t, w.db, `INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at, password_changed_at, search)
			VALUES ($1, $1, '', $2, '', 0, 0, 0, '')`, "usr_"+string(role), string(role))
	}
	return w
}

func user(role access.Role) access.Actor {
	return access.Actor{Kind: access.KindUser, ID: "usr_" + string(role), Name: string(role) + "@example.com", Role: role, IP: "203.0.113.9"}
}

// Only owners rotate, see or destroy keys, whoever else asks; what is refused changes nothing.
func TestOnlyOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demoted := user(access.RoleOwner)
	demoted.ID = "usr_admin" // an owner when the request began
	actors := map[string]access.Actor{
		"api key": {Kind: access.KindAPIKey, ID: "key_1", Scopes: []access.Scope{"api:write", "api:read", "call:*"}}, "nobody": {}, "demoted": demoted,
	}
	for _, role := range access.Roles()[1:] {
		actors[string(role)] = user(role)
	}
	for name, a := range actors {
		for what, do := range w.useCases() {
			if err := do(t.Context(), a); !fault.Is(err, fault.Forbidden) && (name != "demoted" || what != "status") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	if page, err := w.audit.Search(t.Context(), audit.Query{}); err != nil || page.Total != 0 {
		t.Errorf("%d entries, %v", page.Total, err)
	}
	s, err := w.Status(t.Context(), user(access.RoleOwner))
	if err != nil || len(s.Keys) != 1 || len(s.Previous) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func (w *world) useCases() map[string]func(ctx context.Context, a access.Actor) error {
	return map[string]func(ctx context.Context, a access.Actor) error{
		"status": func(ctx context.Context, a access.Actor) error { _, err := w.Status(ctx, a); return err },
		"data":   func(ctx context.Context, a access.Actor) error { return w.RotateData(ctx, a, "r") },
		"pause":  func(ctx context.Context, a access.Actor) error { return w.Pause(ctx, a, "r") },
		"resume": func(ctx context.Context, a access.Actor) error { return w.Resume(ctx, a, "r") },
		"master": func(ctx context.Context, a access.Actor) error { _, err := w.RotateMaster(ctx, a, "r"); return err },
		"destroy": func(ctx context.Context, a access.Actor) error {
			_, err := w.Destroy(ctx, a, DefaultRetention, "r")
			return err
		},
	}
}

// Every change is in the audit log with who, why and where from, and announced; what did not happen is not.
func TestChangesAreRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, owner := t.Context(), user(access.RoleOwner)
	for _, step := range []struct {
		what string
		code string
	}{
		{"data", ""},
		{"data", "ROTATION_UNDER_WAY"},
		{"pause", ""},
		{"pause", "NO_SUCH_ROTATION"},
		{"resume", ""},
		{"destroy", "NO_KEY_TO_DESTROY"},
		{"master", ""},
	} {
		w.topics = nil
		if err := w.useCases()[step.what](ctx, owner); fault.CodeOf(err) != step.code && (err != nil || step.code != "") {
			t.Errorf("%s: %v, want %q", step.what, err, step.code)
		}
		want := []string{Topic, "audit"}
		if step.code != "" {
			want = nil
		}
		if diff := cmp.Diff(want, w.topics); diff != "" {
			t.Errorf("%s: %s", step.what, diff)
		}
	}
	if err := w.Work(ctx); err != nil {
		t.Fatal(err)
	}
	page, err := w.audit.Search(ctx, audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(page.Entries))
	for _, e := range page.Entries {
		got = append(got, e.Action)
		if e.Actor.ID != owner.ID || e.IP != owner.IP || e.Reason != "r" || e.Target.Kind != "keys" {
			t.Errorf("%+v", e)
		}
	}
	if diff := cmp.Diff("master_key.rotate data_key.rotation_resume data_key.rotation_pause data_key.rotate", strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
	if report, err := w.audit.Verify(ctx); err != nil || len(report.Problems) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	s, err := w.Status(ctx, owner)
	if err != nil || s.Last.State != credentials.RotationDone || s.Last.StartedBy != owner.Name {
		t.Errorf("%+v, %v", s.Last, err)
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := New(Deps{}); err == nil {
		t.Error("made of nothing")
	}
}
