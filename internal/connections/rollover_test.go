package connections

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

// doorman is an upstream that lets in who has one of a few passwords, and counts what it was shown.
type doorman struct {
	*httptest.Server
	mu       sync.Mutex
	accepted map[string]bool
	shown    map[string]int
}

func newDoorman(t *testing.T, accepted ...string) *doorman {
	t.Helper()
	d := &doorman{accepted: map[string]bool{}, shown: map[string]int{}}
	d.accept(accepted...)
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.shown[user+":"+password]++
		if !d.accepted[user+":"+password] {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *doorman) accept(accepted ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range accepted {
		d.accepted[a] = true
	}
}

func (d *doorman) seen() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.shown
	d.shown = map[string]int{}
	return out
}

// behind makes the connection door to an upstream, with the password of a user for the default account.
func (w *world) behind(d *doorman) {
	w.t.Helper()
	must(w.t, only(w.Create(w.t.Context(), admin(), Draft{
		Name: "Door", Slug: "door", Kind: KindREST, BaseURL: d.URL, Auth: Auth{Type: "basic", Fields: map[string]string{"username": "old", "password": "old-" + canary}},
	}, "")))
}

func (w *world) stage(slug, account string, fields map[string]string) credentials.Rollover {
	w.t.Helper()
	o, err := w.Stage(w.t.Context(), admin(), slug, account, Auth{Fields: fields}, "")
	must(w.t, err)
	return o
}

func newPassword() map[string]string {
	return map[string]string{"username": "new", "password": "new-" + canary}
}

const oldShown, newShown = "old:old-" + canary, "new:new-" + canary

// send calls door as an application does, once.
func (w *world) send(ctx context.Context) (int, error) {
	target, err := w.Target("door", "")
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.BaseURL.String(), http.NoBody)
	if err != nil {
		return 0, err
	}
	if err := target.Authorize(ctx, r); err != nil {
		return 0, err
	}
	response, err := target.Transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func TestRotateADefaultAccount(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t, oldShown)
	w.behind(up)
	w.stage("door", "default", newPassword())

	// The upstream does not know the new one yet: the test says so, and nothing else changes.
	o, result, err := w.TestStaged(t.Context(), admin(), "door", "default", "", 0)
	must(t, err)
	if o.Test == nil || o.Test.Passed || o.Test.Status != 401 || o.Test.Request != "GET /" || result.Outcome != runtime.OutcomeUnauthenticated {
		t.Errorf("%+v %+v", o.Test, result)
	}
	_, err = w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{})
	wantCode(t, err, fault.Conflict, "ROTATION_NOT_TESTED")
	if status, err := w.send(t.Context()); status != 200 || err != nil {
		t.Errorf("a call meanwhile: %d, %v", status, err)
	}
	if diff := cmp.Diff(map[string]int{newShown: 1, oldShown: 1}, up.seen()); diff != "" {
		t.Error(diff)
	}

	up.accept(newShown)
	if o, _, err = w.TestStaged(t.Context(), admin(), "door", "default", "/v1/me?token=x", o.Revision); err != nil || !o.Test.Passed || o.Test.Request != "GET /v1/me" {
		t.Errorf("%+v, %v", o.Test, err)
	}
	o, err = w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Revision: o.Revision, Keep: time.Hour, Reason: "yearly"})
	must(t, err)
	if status, err := w.send(t.Context()); status != 200 || err != nil {
		t.Errorf("a call afterwards: %d, %v", status, err)
	}
	if diff := cmp.Diff(map[string]int{newShown: 2}, up.seen()); diff != "" {
		t.Error(diff)
	}
	c, err := w.Find(t.Context(), admin(), "door")
	must(t, err)
	if c.Version != 2 {
		t.Errorf("the definition is version %d", c.Version)
	}
	must(t, only(w.RollBackStaged(t.Context(), admin(), "door", "default", "", o.Revision)))
	must(t, only(w.send(t.Context())))
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "it works now"})))
	must(t, only(w.send(t.Context())))
	must(t, only(w.DestroyOld(t.Context(), admin(), "door", "default", "", 0)))
	if diff := cmp.Diff(map[string]int{newShown: 1, oldShown: 1}, up.seen()); diff != "" {
		t.Error(diff)
	}
	if got, want := words(w.actions()), "connection.create credential.stage credential.test credential.test credential.switch credential.rollback credential.switch credential.destroy_old"; !strings.HasSuffix(got, strings.TrimPrefix(want, "connection.create ")) {
		t.Errorf("audit: %s\nwant %s", got, want)
	}
	for _, e := range w.entries() {
		if text := fmt.Sprint(e); strings.Contains(text, canary) {
			t.Errorf("a secret in the audit log: %s", text)
		}
	}
	// An older version of the connection comes back without the credential that is destroyed.
	must(t, only(w.Activate(t.Context(), admin(), "door", 1, "", 0)))
	w.wantSent("door", "", "Basic "+basic(newShown))
}

func basic(shown string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	user, password, _ := strings.Cut(shown, ":")
	r.SetBasicAuth(user, password)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

// A rotation that was switched is undone by going back to the version before it, and goes on from there.
func TestActivateUndoesASwitch(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t)
	w.behind(up)
	w.stage("door", "default", newPassword())
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "r"})))
	must(t, only(w.Activate(t.Context(), w.user(access.RoleOperator), "door", 1, "it broke", 0)))
	w.wantSent("door", "", "Basic "+basic(oldShown))
	o, err := w.Rollover(t.Context(), admin(), "door", "default")
	if err != nil || o.State != credentials.RolloverStaged || o.RolledBackAt.IsZero() {
		t.Errorf("%+v, %v", o, err)
	}
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "r"})))
	w.wantSent("door", "", "Basic "+basic(newShown))
}

// Where the credential of a version was destroyed, the preview of a rollback to it says that the present one stays.
func TestPreviewOfADestroyedCredential(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t)
	w.behind(up)
	w.stage("door", "default", newPassword())
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "r"})))
	p, err := w.Preview(t.Context(), admin(), "door", 1)
	if err != nil || p.CredentialGone || len(p.Changes) == 0 {
		t.Errorf("while it is kept: %+v, %v", p, err)
	}
	must(t, only(w.DestroyOld(t.Context(), admin(), "door", "default", "", 0)))
	p, err = w.Preview(t.Context(), admin(), "door", 1)
	if err != nil || p.Problem != nil || !p.CredentialGone || len(p.Changes) != 0 {
		t.Errorf("destroyed: %+v, %v", p, err)
	}
}

func TestRotateAnotherAccount(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t)
	w.behind(up)
	must(t, only(w.PutAccount(t.Context(), admin(), "door", "acme", Auth{Type: "bearer", Fields: map[string]string{"token": "a1"}}, "")))
	_, err := w.Stage(t.Context(), admin(), "door", "acme", Auth{Type: "basic", Fields: map[string]string{"username": "u"}}, "")
	wantField(t, err, "AUTH_TYPE_CHANGED", "auth.type")
	w.stage("door", "acme", map[string]string{"token": "a2"})
	_, err = w.PutAccount(t.Context(), admin(), "door", "acme", Auth{Fields: map[string]string{"token": "a3"}}, "")
	wantCode(t, err, fault.Conflict, "ROTATION_UNDER_WAY")
	w.wantSent("door", "acme", "Bearer a1")
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "acme", credentials.Switchover{Anyway: true, Reason: "r"})))
	w.wantSent("door", "acme", "Bearer a2")
	must(t, only(w.RollBackStaged(t.Context(), admin(), "door", "acme", "", 0)))
	w.wantSent("door", "acme", "Bearer a1")
	must(t, w.DiscardStaged(t.Context(), admin(), "door", "acme", "", 0))
	if _, err := w.Rollover(t.Context(), admin(), "door", "acme"); fault.CodeOf(err) != "NO_ROTATION" {
		t.Errorf("%v", err)
	}
	w.wantSent("door", "acme", "Bearer a1")
	w.wantSent("door", "", "Basic "+basic(oldShown))
	if c, err := w.Find(t.Context(), admin(), "door"); err != nil || c.Version != 1 {
		t.Errorf("the definition moved: %+v, %v", c, err)
	}
}

// An answer that shows nothing about the credential is no test that passed.
func TestWhatPassesATest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		policy string
		path   string
		want   bool
	}{
		"an answer":                         {status: 204, want: true},
		"a redirect to a login page":        {status: 302},
		"not modified":                      {status: 304},
		"what the health check expects":     {status: 302, policy: `{"health_check":{"path":"/up","expected_status":302}}`, path: "/up", want: true},
		"not what the health check expects": {status: 200, policy: `{"health_check":{"path":"/up","expected_status":204}}`, path: "/up"},
		"that of the health check":          {status: 302, policy: `{"health_check":{"path":"/up","expected_status":302}}`, want: true},
		"another request than it sends":     {status: 302, policy: `{"health_check":{"path":"/up","expected_status":302}}`, path: "/other"},
		"a success by the rules":            {status: 302, policy: `{"outcomes":[{"status":302,"outcome":"success"}]}`, want: true},
		"a failure by the rules":            {status: 200, policy: `{"outcomes":[{"status":200,"body_contains":"sign in","outcome":"unauthenticated"}]}`},
		"a rule for another body":           {status: 200, policy: `{"outcomes":[{"status":200,"body_contains":"sorry","outcome":"unauthenticated"}]}`, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "/login")
				rw.WriteHeader(c.status)
				if c.status == http.StatusOK {
					_, _ = rw.Write([]byte("please sign in"))
				}
			}))
			defer up.Close()
			w := newWorld(t)
			must(t, only(w.Create(t.Context(), admin(), Draft{
				Name: "Door", Slug: "door", Kind: KindREST, BaseURL: up.URL, Policy: json.RawMessage(c.policy),
				Auth: Auth{Type: "basic", Fields: map[string]string{"username": "old", "password": "old-" + canary}},
			}, "")))
			w.stage("door", "default", newPassword())
			o, _, err := w.TestStaged(t.Context(), admin(), "door", "default", c.path, 0)
			must(t, err)
			if o.Test.Passed != c.want || o.Test.Status != c.status || (c.status/100 == 3 && !c.want) != (o.Test.Problem != "") {
				t.Errorf("%+v", o.Test)
			}
			_, err = w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{})
			if c.want {
				must(t, err)
			} else {
				wantCode(t, err, fault.Conflict, "ROTATION_NOT_TESTED")
			}
		})
	}
}

// Whoever runs things takes any change back, and makes none.
func TestOperatorRollsBackARotation(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t)
	w.behind(up)
	w.stage("door", "default", newPassword())
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "no test", Keep: time.Hour})))
	operator, viewer := w.user(access.RoleOperator), w.user(access.RoleViewer)
	if err := only(w.RollBackStaged(t.Context(), viewer, "door", "default", "", 0)); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a viewer: %v", err)
	}
	o, err := w.RollBackStaged(t.Context(), operator, "door", "default", "calls fail", 0)
	if err != nil || o.State != credentials.RolloverStaged {
		t.Fatalf("%+v, %v", o, err)
	}
	w.wantSent("door", "", "Basic "+basic(oldShown))
	if err := only(w.SwitchStaged(t.Context(), operator, "door", "default", credentials.Switchover{Anyway: true, Reason: "again"})); !fault.Is(err, fault.Forbidden) {
		t.Errorf("switched again: %v", err)
	}
}

func TestRotationNeedsConfigure(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t)
	w.behind(up)
	operator, ctx := w.user(access.RoleOperator), t.Context()
	for name, step := range map[string]func() error{
		"stage":   func() error { return only(w.Stage(ctx, operator, "door", "default", Auth{Fields: newPassword()}, "")) },
		"test":    func() error { _, _, err := w.TestStaged(ctx, operator, "door", "default", "", 0); return err },
		"switch":  func() error { return only(w.SwitchStaged(ctx, operator, "door", "default", credentials.Switchover{})) },
		"destroy": func() error { return only(w.DestroyOld(ctx, operator, "door", "default", "", 0)) },
		"discard": func() error { return w.DiscardStaged(ctx, operator, "door", "default", "", 0) },
	} {
		if err := step(); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen := up.seen(); len(seen) > 0 {
		t.Errorf("sent %v", seen)
	}
	_, _, err := w.TestStaged(ctx, admin(), "door", "default", "", 0)
	wantCode(t, err, fault.NotFound, "NO_ROTATION")
	w.stage("door", "default", newPassword())
	for _, path := range []string{"me", "https://other.example.com/", "/" + strings.Repeat("a", maxTestPath), "/../../x", "/%zz", "/x\r\nY: z", "/\x00", "/x?a b"} {
		_, _, err := w.TestStaged(ctx, admin(), "door", "default", path, 0)
		wantField(t, err, "INVALID_PATH", "path")
	}
}

// Calls that come while the credential is switched use the old one or the new one, whole, and none fails.
func TestCallsDuringASwitch(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t, oldShown, newShown)
	w.behind(up)
	w.stage("door", "default", newPassword())
	var (
		begun    atomic.Int64
		switched = make(chan struct{})
		group    sync.WaitGroup
	)
	const callers, each = 50, 6
	for range callers {
		group.Go(func() {
			for n := range each {
				if n == each-1 {
					<-switched // The last of each comes afterwards.
				}
				begun.Add(1)
				if status, err := w.send(t.Context()); status != 200 || err != nil {
					t.Errorf("%d, %v", status, err)
				}
			}
		})
	}
	_, err := w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "r"})
	close(switched)
	group.Wait()
	must(t, err)
	seen := up.seen()
	if len(seen) > 2 || seen[oldShown]+seen[newShown] != int(begun.Load()) || seen[newShown] < callers {
		t.Errorf("shown %v in %d calls", seen, begun.Load())
	}
	if status, err := w.send(t.Context()); status != 200 || err != nil || up.seen()[newShown] != 1 {
		t.Errorf("the next call: %d, %v", status, err)
	}
}

// A call that began before the switch finishes with what it began with, however long it takes, and even though
// the old one is destroyed meanwhile.
func TestCallUnderWayFinishesWithTheOldOne(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t, oldShown)
	w.behind(up)
	before, err := w.Target("door", "")
	must(t, err)
	w.stage("door", "default", newPassword())
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "r"})))
	must(t, only(w.DestroyOld(t.Context(), admin(), "door", "default", "", 0)))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	must(t, before.Authorize(t.Context(), r))
	if got := r.Header.Get("Authorization"); got != "Basic "+basic(oldShown) {
		t.Errorf("sent %q", got)
	}
}

// The test of a client certificate presents the staged one, in a connection of its own.
func TestStagedCertificateIsTested(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	server := ca.vault(t, false)
	w := newWorld(t)
	fields := func(name string) map[string]string {
		certificate, key := ca.client(t, name)
		return map[string]string{"certificate": certificate, "private_key": key, "ca": pemOf("CERTIFICATE", ca.certificate.Raw)}
	}
	d := draft("bank")
	d.BaseURL, d.Auth = server.URL, Auth{Type: "mutual_tls", Fields: fields("ada")}
	must(t, only(w.Create(t.Context(), admin(), d, "")))
	gateway := gatewayOf(w)
	w.stage("bank", "default", fields("ada again"))
	_, result, err := w.TestStaged(t.Context(), admin(), "bank", "default", "/who", 0)
	if err != nil || result.Body != "ada again" {
		t.Errorf("the test is %+v, %v", result, err)
	}
	if got, code := seen(t, gateway, "default"); got != "ada" {
		t.Errorf("a call is %q %s", got, code)
	}
	must(t, only(w.SwitchStaged(t.Context(), admin(), "bank", "default", credentials.Switchover{})))
	if got, code := seen(t, gateway, "default"); got != "ada again" {
		t.Errorf("afterwards it is %q %s", got, code)
	}
}

func TestOldCredentialsAreDestroyedByThemselves(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t)
	w.behind(up)
	w.stage("door", "default", newPassword())
	o, err := w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "r", Keep: time.Hour})
	must(t, err)
	if list, err := w.Expiries(t.Context(), admin()); err != nil || len(list) != 1 || list[0].What != credentials.ExpiryOld || !list[0].At.Equal(o.DestroyAt) || list[0].Slug != "door" {
		t.Errorf("calendar: %+v, %v", list, err)
	}
	w.destroyDue(t.Context())
	if n := w.count(`SELECT COUNT(*) FROM credential_versions`); n != 2 {
		t.Errorf("%d versions before its time", n)
	}
	w.mu.Lock()
	w.now = w.now.Add(time.Hour)
	w.mu.Unlock()
	w.destroyDue(t.Context())
	if n := w.count(`SELECT COUNT(*) FROM credential_versions`); n != 1 {
		t.Errorf("%d versions afterwards", n)
	}
	if o, err = w.Rollover(t.Context(), admin(), "door", "default"); err != nil || o.State != credentials.RolloverDone || o.DestroyedBy != "switchgear" {
		t.Errorf("%+v, %v", o, err)
	}
	last := w.entries()[len(w.entries())-1]
	if last.Action != actionCredentialDestroy || last.Actor.Kind != access.KindSystem {
		t.Errorf("audit: %+v", last)
	}
	events, _, err := w.History(t.Context(), admin(), "door", "default", 0, 1)
	if err != nil || events[0].Kind != credentials.EventOldDestroyed || events[0].Actor.Kind != access.KindSystem {
		t.Errorf("history: %+v, %v", events, err)
	}
	w.destroyDue(t.Context())
	if w.logs.Len() > 0 {
		t.Errorf("logged: %s", w.logs)
	}
}

// The versions that a rotation makes say which step made them, and why.
func TestVersionsOfARotation(t *testing.T) {
	t.Parallel()
	w, up := newWorld(t), newDoorman(t)
	w.behind(up)
	w.stage("door", "default", newPassword())
	must(t, only(w.SwitchStaged(t.Context(), admin(), "door", "default", credentials.Switchover{Anyway: true, Reason: "yearly"})))
	must(t, only(w.RollBackStaged(t.Context(), admin(), "door", "default", "refused", 0)))
	list, err := w.Versions(t.Context(), admin(), "door")
	must(t, err)
	got := make([]string, 0, len(list))
	for _, v := range list {
		got = append(got, v.Cause+": "+v.Reason)
	}
	if diff := cmp.Diff([]string{"rotation_rollback: refused", "rotation_switch: yearly", "create: "}, got); diff != "" {
		t.Error(diff)
	}
}
