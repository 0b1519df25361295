package connections

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime/egress"
)

func mustProvider(t *testing.T, w *world) providers.Provider {
	t.Helper()
	p, err := w.provider("")
	must(t, err)
	return p
}

func TestRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.update("stripe", func(d *Draft) {
		d.Name, d.BaseURL, d.LogBodies = "Broken", "https://wrong.example.com", true
		d.Auth = Auth{Type: "api_key", Fields: map[string]string{"key": "k", "name": "X-Key"}}
		d.Policy = json.RawMessage(`{"timeout":"1s","rate_limits":[{"requests":1,"per":"1s"}]}`)
	})
	_, err := w.Pause(t.Context(), admin(), "stripe", "", 0)
	must(t, err)

	changes, err := w.Diff(t.Context(), admin(), "stripe", 2, 1)
	must(t, err)
	want := []Change{
		{Field: "auth.fields.in", Before: "header"},
		{Field: "auth.fields.key", Before: "set", Secret: true},
		{Field: "auth.fields.name", Before: "X-Key"},
		{Field: "auth.fields.token", After: "set", Secret: true},
		{Field: "auth.type", Before: "api_key", After: "bearer"},
		{Field: "base_url", Before: "https://wrong.example.com", After: "https://api.example.com"},
		{Field: "log_bodies", Before: "true", After: "false"},
		{Field: "name", Before: "Broken", After: "Stripe live"},
		{Field: "policy.rate_limits", Before: `[{"per":"1s","requests":1}]`},
		{Field: "policy.timeout", Before: "1s"},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	c, err := w.Activate(t.Context(), w.user(access.RoleOperator), "stripe", 1, "it was fine before", 0)
	must(t, err)
	if c.Version != 4 || c.State != StatePaused || c.Name != "Stripe live" {
		t.Errorf("%+v", c)
	}
	back, err := w.LastRollback(t.Context(), c.ID)
	must(t, err)
	if !back.At.Equal(c.UpdatedAt) || back.Version != 4 || back.CopiedFrom != 1 {
		t.Errorf("the last rollback: %+v", back)
	}
	if none, err := w.LastRollback(t.Context(), "con_other"); err != nil || none != (Rollback{}) {
		t.Errorf("a rollback of another connection: %+v, %v", none, err)
	}
	_, err = w.Resume(t.Context(), admin(), "stripe", "", 0)
	must(t, err)
	w.wantSent("stripe", "", "Bearer first")
	if changes, err = w.Diff(t.Context(), admin(), "stripe", 1, 5); err != nil || len(changes) != 0 {
		t.Errorf("the copy differs from the original: %+v, %v", changes, err)
	}
	versions, err := w.Versions(t.Context(), admin(), "stripe")
	must(t, err)
	history := make([]string, len(versions))
	for i, v := range versions {
		history[i] = fmt.Sprintf("%d %s %d %t", v.Version, v.Cause, v.CopiedFrom, v.Active)
	}
	if diff := cmp.Diff([]string{"5 resume 0 true", "4 rollback 1 false", "3 pause 0 false", "2 edit 0 false", "1 create 0 false"}, history); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if v := versions[1]; v.Reason != "it was fine before" || v.AuthorKind != access.KindUser || v.AuthorName == "" || v.Definition.BaseURL != "https://api.example.com" {
		t.Errorf("%+v", v)
	}
	_, err = w.Activate(t.Context(), admin(), "stripe", 5, "", 0)
	wantCode(t, err, fault.Conflict, "ALREADY_ACTIVE")
	for _, missing := range []int{0, -1, 99} {
		_, err = w.Activate(t.Context(), admin(), "stripe", missing, "", 0)
		wantCode(t, err, fault.NotFound, "VERSION_NOT_FOUND")
	}
	_, err = w.Diff(t.Context(), admin(), "stripe", 1, 99)
	wantCode(t, err, fault.NotFound, "VERSION_NOT_FOUND")
}

// Going back brings back the secret of that time; entering the same secret again changes nothing.
func TestRollbackOfASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.update("stripe", func(d *Draft) { d.Auth.Fields = map[string]string{"token": "second"} })
	if c := w.update("stripe", func(d *Draft) { d.Auth.Fields = map[string]string{"token": "second"} }); c.Version != 2 {
		t.Errorf("the same secret made version %d", c.Version)
	}
	changes, err := w.Diff(t.Context(), admin(), "stripe", 1, 2)
	if diff := cmp.Diff([]Change{{Field: "auth.fields.token", Before: "set", After: "changed", Secret: true}}, changes); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	_, err = w.Activate(t.Context(), admin(), "stripe", 1, "", 0)
	must(t, err)
	w.wantSent("stripe", "", "Bearer first")
	if changes, err = w.Diff(t.Context(), admin(), "stripe", 1, 3); err != nil || len(changes) != 0 {
		t.Errorf("%+v, %v", changes, err)
	}
	// A rollback is in the history even when it changes nothing.
	w.update("stripe", func(d *Draft) { d.Name = "x" })
	w.update("stripe", func(d *Draft) { d.Name = "Stripe live" })
	if c, err := w.Activate(t.Context(), admin(), "stripe", 3, "", 0); err != nil || c.Version != 6 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestRollbackWhenTheSecretIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	for i := range 6 {
		w.update("stripe", func(d *Draft) {
			d.Name, d.Auth.Fields = strconv.Itoa(i), map[string]string{"token": fmt.Sprint("t", i)}
		})
	}
	// Of the same type, the present one stays.
	c, err := w.Activate(t.Context(), admin(), "stripe", 1, "", 0)
	if err != nil || c.Name != "Stripe live" {
		t.Fatalf("%+v, %v", c, err)
	}
	w.wantSent("stripe", "", "Bearer t5")
	w.update("stripe", func(d *Draft) { d.Auth = Auth{Type: "none"} })
	_, err = w.Activate(t.Context(), admin(), "stripe", 1, "", 0)
	wantCode(t, err, fault.Conflict, "CREDENTIAL_GONE")

	// Deleted and entered again, the versions of the credential begin at 1 again. The old 1 must not come back as the new 1.
	w.update("stripe", func(d *Draft) { d.Auth = Auth{Type: "bearer", Fields: map[string]string{"token": "kept"}} })
	must(t, only(w.DeleteAccount(t.Context(), admin(), "stripe", "default", "")))
	_, err = w.PutAccount(t.Context(), admin(), "stripe", "default", Auth{Type: "basic", Fields: map[string]string{"username": "new"}}, "")
	must(t, err)
	_, err = w.Activate(t.Context(), admin(), "stripe", 9, "", 0)
	wantCode(t, err, fault.Conflict, "CREDENTIAL_GONE")
	w.wantSent("stripe", "", "Basic bmV3Og==")
}

// The rules may have changed since a version was written: going back validates it, and a refusal changes nothing.
func TestRollbackValidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := draft("local")
	d.BaseURL = "http://127.0.0.1:9000"
	_, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	w.update("local", func(d *Draft) { d.BaseURL = "https://api.example.com" })
	deps := w.deps
	deps.Egress = egress.New(egress.Config{})
	strict, err := New(t.Context(), deps)
	must(t, err)
	before := w.actions()
	_, err = strict.Activate(t.Context(), admin(), "local", 1, "", 0)
	wantField(t, err, "EGRESS_DENIED", "base_url")
	if c, err := strict.Find(t.Context(), admin(), "local"); err != nil || c.Version != 2 || len(w.actions()) != len(before) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestLastKnownGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.create("stripe")
	w.update("stripe", func(d *Draft) { d.Name = "2" })
	w.update("stripe", func(d *Draft) { d.Name = "3" })
	for _, version := range []int{2, 1, 99, 0} { // neither back nor past the active one
		must(t, w.MarkKnownGood(t.Context(), map[string]int{c.ID: version}))
	}
	if seen, _ := w.Peek("stripe"); seen.LastKnownGood != 2 || seen.Version != 3 {
		t.Errorf("in memory: %d is good, %d active", seen.LastKnownGood, seen.Version)
	}
	if all, err := w.Standings(admin()); err != nil || len(all) != 1 || all[0].LastKnownGood != 2 {
		t.Errorf("in the list: %+v, %v", all, err)
	}
	versions, err := w.Versions(t.Context(), admin(), "stripe")
	must(t, err)
	for _, v := range versions {
		if v.LastKnownGood != (v.Version == 2) || v.Active != (v.Version == 3) {
			t.Errorf("%d: good %v, active %v", v.Version, v.LastKnownGood, v.Active)
		}
	}
	if c, err := w.Find(t.Context(), admin(), "stripe"); err != nil || c.LastKnownGood != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	put := func(account string, auth Auth) error {
		_, err := w.PutAccount(t.Context(), admin(), "stripe", account, auth, "new customer")
		return err
	}
	must(t, put("zoe", Auth{Fields: map[string]string{"token": "z1"}}))
	must(t, put("acme", Auth{Type: "basic", Fields: map[string]string{"username": "a"}}))
	must(t, put("acme", Auth{Fields: map[string]string{"password": "p"}}))
	w.wantSent("stripe", "zoe", "Bearer z1")
	w.wantSent("stripe", "acme", "Basic YTpw")
	if c, _ := w.Peek("stripe"); c.Version != 1 {
		t.Errorf("a named account made version %d", c.Version)
	}
	before := len(w.actions())
	must(t, put("zoe", Auth{Fields: map[string]string{"token": "z1"}}))
	if len(w.actions()) != before {
		t.Error("nothing changed, but it was recorded")
	}
	must(t, put("", Auth{Fields: map[string]string{"token": "d2"}}))
	w.wantSent("stripe", "default", "Bearer d2")
	versions, err := w.Versions(t.Context(), admin(), "stripe")
	if err != nil || len(versions) != 2 || versions[0].Cause != CauseCredential {
		t.Errorf("%+v, %v", versions, err)
	}
	list, err := w.Accounts(t.Context(), admin(), "stripe")
	if err != nil || len(list) != 3 || list[0].Account != "default" || list[1].Account != "acme" || words(list[1].Fields) != "password username" {
		t.Errorf("%+v, %v", list, err)
	}

	must(t, only(w.DeleteAccount(t.Context(), admin(), "stripe", "zoe", "")))
	_, err = w.Target("stripe", "zoe")
	wantCode(t, err, fault.NotFound, "ACCOUNT_NOT_FOUND")
	wantCode(t, only(w.DeleteAccount(t.Context(), admin(), "stripe", "zoe", "")), fault.NotFound, "ACCOUNT_NOT_FOUND")
	must(t, only(w.DeleteAccount(t.Context(), admin(), "stripe", "default", "")))
	_, err = w.Target("stripe", "")
	wantCode(t, err, fault.Unavailable, "CREDENTIAL_MISSING")
	w.wantSent("stripe", "acme", "Basic YTpw")
	// The rest can still be edited, and entering a secret mends it.
	c := w.update("stripe", func(d *Draft) { d.Name = "x" })
	if c.Version != 4 || len(c.AuthSecrets) != 0 {
		t.Errorf("%+v", c)
	}
	w.update("stripe", func(d *Draft) { d.Auth.Fields = map[string]string{"token": "d3"} })
	w.wantSent("stripe", "", "Bearer d3")

	for _, bad := range []string{"-a", "a b", "a/b", "ü", "a\n"} {
		wantField(t, put(bad, Auth{}), "INVALID_ACCOUNT", "account")
	}
	wantField(t, put("x", Auth{}), "AUTH_FIELD_REQUIRED", "auth.fields.token")
	if got := words(w.actions()); got != "connection.create credential.set credential.set credential.set credential.set credential.set "+
		"credential.delete credential.delete connection.update connection.update credential.set" {
		t.Errorf("recorded %s", got)
	}
}

// A preview says what Activate then does, or why it refuses to, and leaves everything as it is.
func TestPreviewIsWhatActivateDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.update("stripe", func(d *Draft) { d.BaseURL = "https://api2.example.com" })
	_, err := w.PutAccount(t.Context(), admin(), "stripe", credentials.DefaultAccount, Auth{Fields: map[string]string{"token": "second"}}, "")
	must(t, err)
	_, err = w.Pause(t.Context(), admin(), "stripe", "", 0)
	must(t, err)
	before := w.actions()
	p, err := w.Preview(t.Context(), admin(), "stripe", 1)
	must(t, err)
	// The connection stays paused, so that is no change.
	want := []Change{
		{Field: "auth.fields.token", Before: "set", After: "changed", Secret: true},
		{Field: "base_url", Before: "https://api2.example.com", After: "https://api.example.com"},
	}
	if diff := cmp.Diff(want, p.Changes); diff != "" || p.Problem != nil || p.Version.Version != 1 {
		t.Errorf("%v (-want +got):\n%s", p.Problem, diff)
	}
	if got := w.actions(); len(got) != len(before) {
		t.Errorf("the preview was recorded: %v", got[len(before):])
	}
	c, err := w.Find(t.Context(), admin(), "stripe")
	must(t, err)
	_, err = w.Activate(t.Context(), admin(), "stripe", 1, "", c.Version)
	must(t, err)
	changes, err := w.Diff(t.Context(), admin(), "stripe", c.Version, c.Version+1)
	must(t, err)
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("what happened (-preview +got):\n%s", diff)
	}

	p, err = w.Preview(t.Context(), admin(), "stripe", c.Version+1)
	must(t, err)
	wantCode(t, p.Problem, fault.Conflict, "ALREADY_ACTIVE")
	must(t, only(w.DeleteAccount(t.Context(), admin(), "stripe", credentials.DefaultAccount, "")))
	_, err = w.PutAccount(t.Context(), admin(), "stripe", credentials.DefaultAccount, Auth{Type: "basic", Fields: map[string]string{"username": "u", "password": "p"}}, "")
	must(t, err)
	p, err = w.Preview(t.Context(), admin(), "stripe", 1)
	must(t, err)
	wantCode(t, p.Problem, fault.Conflict, "CREDENTIAL_GONE")
	_, err = w.Preview(t.Context(), admin(), "stripe", 99)
	wantCode(t, err, fault.NotFound, "VERSION_NOT_FOUND")
	_, err = w.Preview(t.Context(), w.user(access.RoleViewer), "stripe", 1)
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
}
