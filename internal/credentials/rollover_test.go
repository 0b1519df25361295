package credentials

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/fault"
)

const newCanary = "canary-staged-4712"

func ada() Actor { return Actor{Kind: "user", ID: "usr_1", Name: "ada@example.com"} }

// stage stages values for an account of con_1.
func (w *vaultWorld) stage(account string, pairs ...string) Rollover {
	w.t.Helper()
	var o Rollover
	w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		o, err = w.Stage(ctx, tx, holderOf(account), mapOf(pairs), "", ada())
		return err
	})
	return o
}

// tested notes a test of what is staged.
func (w *vaultWorld) tested(account string, passed bool) {
	w.t.Helper()
	test := RolloverTest{Request: "GET /me", Status: 401, Outcome: "unauthenticated"}
	if passed {
		test = RolloverTest{Request: "GET /me", Status: 200, Outcome: "success", Passed: true}
	}
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Tested(ctx, tx, "con_1", account, 0, test, ada())
		return err
	})
}

func (w *vaultWorld) switchTo(account string, s Switchover) (Credential, Rollover, error) {
	var (
		c Credential
		o Rollover
	)
	err := w.try(func(ctx context.Context, tx *db.Tx) (err error) {
		c, o, err = w.Switch(ctx, tx, "con_1", account, s, ada())
		return err
	})
	return c, o, err
}

func (w *vaultWorld) mustSwitch(account string, s Switchover) (Credential, Rollover) {
	w.t.Helper()
	c, o, err := w.switchTo(account, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, o
}

func (w *vaultWorld) rollBack() (Credential, error) {
	var c Credential
	err := w.try(func(ctx context.Context, tx *db.Tx) (err error) {
		c, _, err = w.RollBack(ctx, tx, "con_1", DefaultAccount, 0, ada())
		return err
	})
	return c, err
}

func (w *vaultWorld) destroy(account string) error {
	return w.try(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.DestroyOld(ctx, tx, "con_1", account, 0, ada())
		return err
	})
}

func (w *vaultWorld) discard(account string) error {
	return w.try(func(ctx context.Context, tx *db.Tx) error {
		return w.Discard(ctx, tx, "con_1", account, 0, ada())
	})
}

func (w *vaultWorld) rolling() (Rollover, error) {
	return w.Rollover(w.t.Context(), "con_1", DefaultAccount)
}

// kinds are those of the history of con_1, the oldest first.
func (w *vaultWorld) kinds() string {
	w.t.Helper()
	events, _, err := w.History(w.t.Context(), "con_1", "", 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		out = append([]string{e.Kind}, out...)
	}
	return strings.Join(out, " ")
}

// sealedTexts are how many values are sealed for con_1, by table.
func (w *vaultWorld) sealedTexts() (versions, staged int) {
	w.t.Helper()
	if err := w.db.QueryRow(w.t.Context(), `SELECT (SELECT COUNT(*) FROM credential_versions), (SELECT COUNT(*) FROM credential_rollovers WHERE sealed <> '')`).
		Scan(&versions, &staged); err != nil {
		w.t.Fatal(err)
	}
	return versions, staged
}

func TestRolloverFromStagedToDestroyed(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	if _, err := w.rolling(); fault.CodeOf(err) != "NO_ROTATION" {
		t.Errorf("before: %v", err)
	}
	staged := w.stage("default", "token", newCanary)
	if diff := cmp.Diff([]string{"token"}, staged.Fields); diff != "" || staged.State != RolloverStaged || staged.Revision != 1 || staged.StagedBy != ada().Name {
		t.Errorf("staged: %+v %s", staged, diff)
	}
	wantSent(t, w.load("con_1"), "default", "Bearer "+canary)

	// A test does not touch what is in use, and one that fails does not let the new one through.
	w.tested("default", false)
	_, _, err := w.switchTo("default", Switchover{Keep: time.Hour})
	wantCode(t, err, fault.Conflict, "ROTATION_NOT_TESTED")
	_, _, err = w.switchTo("default", Switchover{Keep: time.Hour, Anyway: true})
	wantCode(t, err, fault.Invalid, "REASON_MISSING")
	_, _, err = w.switchTo("default", Switchover{Keep: MaxKeep + 1, Anyway: true, Reason: "r"})
	wantCode(t, err, fault.Invalid, "INVALID_KEEP")
	wantSent(t, w.load("con_1"), "default", "Bearer "+canary)

	w.tested("default", true)
	c, o := w.mustSwitch("default", Switchover{Keep: 7 * 24 * time.Hour})
	if c.Version != 2 || o.OldVersion != 1 || !o.DestroyAt.Equal(o.SwitchedAt.Add(7*24*time.Hour)) || o.SwitchedBy != ada().Name {
		t.Errorf("switched: %+v %+v", c, o)
	}
	wantSent(t, w.load("con_1"), "default", "Bearer "+newCanary)
	if versions, waiting := w.sealedTexts(); versions != 2 || waiting != 0 {
		t.Errorf("%d versions, %d staged", versions, waiting)
	}

	// Back with one step, and forward again.
	back, err := w.rollBack()
	if err != nil || back.Version != 3 {
		t.Fatalf("rolled back: %+v, %v", back, err)
	}
	wantSent(t, w.load("con_1"), "default", "Bearer "+canary)
	o, err = w.rolling()
	if err != nil || o.State != RolloverStaged || o.Test != nil || o.RolledBackBy != ada().Name || !o.DestroyAt.IsZero() {
		t.Errorf("after the rollback: %+v, %v", o, err)
	}
	w.mustSwitch("default", Switchover{Anyway: true, Reason: "the vendor mended it"})
	wantSent(t, w.load("con_1"), "default", "Bearer "+newCanary)

	// Destroyed, there is no ciphertext of the old one, and no way back.
	if err := w.destroy("default"); err != nil {
		t.Fatal(err)
	}
	if versions, waiting := w.sealedTexts(); versions != 1 || waiting != 0 {
		t.Errorf("%d versions, %d staged", versions, waiting)
	}
	_, err = w.rollBack()
	wantCode(t, err, fault.Conflict, "ROTATION_STEP")
	wantSent(t, w.load("con_1"), "default", "Bearer "+newCanary)
	if o, err = w.rolling(); err != nil || o.UnderWay() || o.DestroyedBy != ada().Name {
		t.Errorf("done: %+v, %v", o, err)
	}
	if got, want := w.kinds(), "staged test_failed tested switched rolled_back switched old_destroyed"; got != want {
		t.Errorf("history %s\nwant %s", got, want)
	}
	// The next one can begin.
	w.stage("default", "token", "third")
	if err := w.discard("default"); err != nil {
		t.Fatal(err)
	}
	if _, waiting := w.sealedTexts(); waiting != 0 {
		t.Error("what was discarded is still there")
	}
}

func TestStageRefuses(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	w.put("nobody", "none")
	w.put("person", "oauth2_authorization_code", "authorize_url", "https://as.example.com/a", "token_url", "https://as.example.com/t", "client_id", "c", "client_secret", "s")
	w.put("machine", "oauth2_client_credentials", "token_url", "https://as.example.com/t", "client_id", "c", "client_secret", "s")
	for name, c := range map[string]struct {
		account string
		values  []string
		kind    fault.Kind
		code    string
	}{
		"no such account":          {"other", []string{"token", "t"}, fault.NotFound, "ACCOUNT_NOT_FOUND"},
		"nothing to rotate":        {"nobody", nil, fault.Conflict, "NOT_ROTATABLE"},
		"needs consent":            {"person", []string{"client_secret", "n"}, fault.Conflict, "NOT_ROTATABLE"},
		"nothing entered":          {"default", nil, fault.Invalid, "CREDENTIAL_UNCHANGED"},
		"the same":                 {"default", []string{"token", canary}, fault.Invalid, "CREDENTIAL_UNCHANGED"},
		"unknown field":            {"default", []string{"tokn", "t"}, fault.Invalid, "UNKNOWN_AUTH_FIELD"},
		"line break":               {"default", []string{"token", "a\nb"}, fault.Invalid, "INVALID_AUTH_FIELD"},
		"a secret to another host": {"machine", []string{"token_url", "https://other.example.com/t"}, fault.Invalid, "AUTH_FIELD_REQUIRED"},
	} {
		err := w.try(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Stage(ctx, tx, holderOf(c.account), mapOf(c.values), "", ada())
			return err
		})
		if !fault.Is(err, c.kind) || fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v (%s), want %s", name, err, fault.CodeOf(err), c.code)
		}
	}
	if _, waiting := w.sealedTexts(); waiting != 0 {
		t.Errorf("%d staged", waiting)
	}
}

// While a credential is rotated, nobody replaces it in another way: which one would be the old one? Edits that
// do not touch it go on.
func TestNothingElseReplacesWhatIsRotated(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "api_key", "key", canary)
	w.stage("default", "key", newCanary)
	replace := func() error {
		return w.try(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Put(ctx, tx, holderOf("default"), "api_key", map[string]string{"key": "third"})
			return err
		})
	}
	again := func() error {
		return w.try(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Stage(ctx, tx, holderOf("default"), map[string]string{"key": "third"}, "", ada())
			return err
		})
	}
	wantCode(t, replace(), fault.Conflict, "ROTATION_UNDER_WAY")
	wantCode(t, again(), fault.Conflict, "ROTATION_UNDER_WAY")
	if got := w.put("default", "api_key"); got.Version != 1 {
		t.Errorf("an edit without the credential made version %d", got.Version)
	}
	w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"})
	wantCode(t, replace(), fault.Conflict, "ROTATION_UNDER_WAY")
	wantCode(t, again(), fault.Conflict, "ROTATION_UNDER_WAY")
	if err := w.destroy("default"); err != nil {
		t.Fatal(err)
	}
	if err := replace(); err != nil {
		t.Error(err)
	}
	// With the account goes everything.
	w.stage("default", "key", "fourth")
	w.tx(func(ctx context.Context, tx *db.Tx) error { return w.Delete(ctx, tx, "con_1", "default") })
	w.put("default", "api_key", "key", canary)
	w.stage("default", "key", newCanary)
	w.tx(func(ctx context.Context, tx *db.Tx) error { return w.DeleteAll(ctx, tx, "con_1") })
	if versions, waiting := w.sealedTexts(); versions+waiting != 0 {
		t.Errorf("%d versions and %d staged are left", versions, waiting)
	}
}

// Going back to an older version of the connection goes back on a switch, too: nothing is lost by it.
func TestRestoreTurnsARolloverBack(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	w.stage("default", "token", newCanary)
	w.mustSwitch("default", Switchover{Anyway: true, Reason: "r", Keep: time.Hour})
	restore := func(version int64) {
		t.Helper()
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.Restore(ctx, tx, "con_1", "default", version)
			return err
		})
	}
	restore(1)
	wantSent(t, w.load("con_1"), "default", "Bearer "+canary)
	if o, err := w.rolling(); err != nil || o.State != RolloverStaged || o.RolledBackAt.IsZero() {
		t.Errorf("%+v, %v", o, err)
	}
	if due, err := w.DueRollovers(t.Context()); err != nil || len(due) != 0 {
		t.Errorf("due: %v, %v", due, err)
	}
	// Discarding destroys the new one also where it was in use.
	if err := w.discard("default"); err != nil {
		t.Fatal(err)
	}
	if versions, waiting := w.sealedTexts(); versions != 2 || waiting != 0 {
		t.Errorf("%d versions, %d staged; want both of the old one", versions, waiting)
	}
	if err := w.try(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Restore(ctx, tx, "con_1", "default", 2)
		return err
	}); fault.CodeOf(err) != "CREDENTIAL_GONE" {
		t.Errorf("the discarded one comes back: %v", err)
	}
}

func TestTwoSwitchAtOnce(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	seen := w.stage("default", "token", newCanary).Revision
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, _, errs[i] = w.switchTo("default", Switchover{Revision: seen, Anyway: true, Reason: "r"}) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("%v and %v", errs[0], errs[1])
	}
	wantCode(t, errors.Join(errs...), fault.PreconditionFailed, "ROTATION_CHANGED")
	if versions, _ := w.sealedTexts(); versions != 2 {
		t.Errorf("%d versions", versions)
	}
	// A page that is out of date does nothing.
	for name, err := range map[string]error{
		"roll back": w.try(func(ctx context.Context, tx *db.Tx) error {
			_, _, err := w.RollBack(ctx, tx, "con_1", "default", seen, ada())
			return err
		}),
		"destroy": w.try(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.DestroyOld(ctx, tx, "con_1", "default", seen, ada())
			return err
		}),
	} {
		if fault.CodeOf(err) != "ROTATION_CHANGED" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a step was doing when the process died, all of it is there or nothing.
func TestStepsThatAreCutOffLoseNothing(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	died := errors.New("the process died")
	w.put("default", "bearer", "token", canary)
	cutOff := func(step func(ctx context.Context, tx *db.Tx) error) {
		t.Helper()
		if err := w.try(func(ctx context.Context, tx *db.Tx) error {
			if err := step(ctx, tx); err != nil {
				return err
			}
			return died
		}); !errors.Is(err, died) {
			t.Fatal(err)
		}
	}
	cutOff(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Stage(ctx, tx, holderOf("default"), map[string]string{"token": newCanary}, "", ada())
		return err
	})
	if _, err := w.rolling(); fault.CodeOf(err) != "NO_ROTATION" {
		t.Errorf("half staged: %v", err)
	}
	w.stage("default", "token", newCanary)
	cutOff(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.Switch(ctx, tx, "con_1", "default", Switchover{Anyway: true, Reason: "r"}, ada())
		return err
	})
	wantSent(t, w.load("con_1"), "default", "Bearer "+canary)
	w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"})
	cutOff(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.RollBack(ctx, tx, "con_1", "default", 0, ada())
		return err
	})
	cutOff(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.DestroyOld(ctx, tx, "con_1", "default", 0, ada())
		return err
	})
	wantSent(t, w.load("con_1"), "default", "Bearer "+newCanary)
	if _, err := w.rollBack(); err != nil {
		t.Error(err)
	}
	wantSent(t, w.load("con_1"), "default", "Bearer "+canary)
	w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"})
	wantSent(t, w.load("con_1"), "default", "Bearer "+newCanary)
}

// What is staged opens in its own place only.
func TestStagedIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	w.put("second", "bearer", "token", canary)
	w.stage("default", "token", newCanary)
	w.stage("second", "token", newCanary+"2")
	w.exec(`UPDATE credential_rollovers SET sealed = (SELECT sealed FROM credential_rollovers o JOIN credentials c ON c.id = o.credential_id WHERE c.account = 'second')`)
	_, _, err := w.switchTo("default", Switchover{Anyway: true, Reason: "r"})
	wantCode(t, err, fault.Unavailable, "CREDENTIAL_CORRUPT")
	wantSent(t, w.load("con_1"), "default", "Bearer "+canary)
	// Nor as the credential in use.
	w.exec(`UPDATE credential_versions SET sealed = (SELECT sealed FROM credential_rollovers LIMIT 1)`)
	if _, _, err := w.load("con_1").Authorizer("second"); fault.CodeOf(err) != "CREDENTIAL_CORRUPT" {
		t.Errorf("%v", err)
	}
}

func TestOldIsDestroyedWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	w.put("kept", "bearer", "token", canary)
	for _, account := range []string{"default", "kept"} {
		w.stage(account, "token", newCanary)
	}
	w.mustSwitch("kept", Switchover{Anyway: true, Reason: "r"})
	_, o := w.mustSwitch("default", Switchover{Anyway: true, Reason: "r", Keep: time.Hour})
	expiries, err := w.Expiries(t.Context())
	if diff := cmp.Diff([]Expiry{{ConnectionID: "con_1", Account: "default", What: ExpiryOld, At: o.DestroyAt}}, expiries); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if due, err := w.DueRollovers(t.Context()); err != nil || len(due) != 0 {
		t.Errorf("at once: %v, %v", due, err)
	}
	w.mu.Lock()
	w.at = w.at.Add(time.Hour)
	w.mu.Unlock()
	due, err := w.DueRollovers(t.Context())
	if diff := cmp.Diff([]DueRollover{{ConnectionID: "con_1", Account: "default", Revision: o.Revision}}, due); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	list, err := w.List(t.Context(), "con_1")
	if err != nil || list[0].Rollover == nil || list[1].Rollover == nil || !list[1].Rollover.DestroyAt.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
}

// A token that was made or obtained with the old credential is not used any more once it is replaced.
func TestTokensOfTheOldOneAreNotUsed(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "signed_jwt", "algorithm", "HS256", "secret", canary, "lifetime", "300")
	old, err := sent(t, w.load("con_1"), "default")
	if err != nil {
		t.Fatal(err)
	}
	w.stage("default", "secret", newCanary+newCanary)
	w.still = true
	w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"})
	if got, err := sent(t, w.load("con_1"), "default"); err != nil || got == old {
		t.Errorf("the minted token is still that of the old key: %v", err)
	}
}

func TestObtainedTokenOfTheOldOneIsNotUsed(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	endpoint := &oauthtest.Endpoint{Answer: func(_ context.Context, _ string, cfg oauth.Config, _ string) (oauth.Token, error) {
		if cfg.ClientSecret == "mistyped" {
			return oauth.Token{}, &oauth.Error{Step: oauth.StepToken, Code: "invalid_client"}
		}
		return oauth.Token{Access: "for-" + cfg.ClientSecret, ExpiresIn: time.Hour}, nil
	}}
	w.endpoint = endpoint
	w.put("default", "oauth2_client_credentials", "token_url", "https://as.example.com/t", "client_id", "c", "client_secret", "old")
	set := w.load("con_1")
	wantSent(t, set, "default", "Bearer for-old")
	trial := func() (string, error) {
		var on *Set
		w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			if on, _, err = w.Trial(ctx, tx, "con_1", "default", 0); err == nil {
				on = on.At(upstream)
			}
			return err
		})
		return sent(t, on, "default")
	}
	w.stage("default", "client_secret", "mistyped")
	_, err := trial()
	wantCode(t, err, fault.Unavailable, "TOKEN_NOT_OBTAINED")
	if err := w.discard("default"); err != nil {
		t.Fatal(err)
	}
	w.stage("default", "client_secret", "new")
	if got, err := trial(); err != nil || got != "Bearer for-new" {
		t.Errorf("trial: %q, %v", got, err)
	}
	wantSent(t, set, "default", "Bearer for-old") // its token is where it was
	if n := endpoint.Asked("client_credentials"); n != 3 {
		t.Errorf("asked %d times", n)
	}
	w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"})
	wantSent(t, w.load("con_1"), "default", "Bearer for-new")
	if _, err := w.rollBack(); err != nil {
		t.Fatal(err)
	}
	wantSent(t, w.load("con_1"), "default", "Bearer for-old")
}

// Every kind that a person enters can be tried before it is switched to, without a trace in what is in use.
func TestTrialOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, kind := range authtype.All() {
		if !Rotatable(kind.Kind()) {
			continue
		}
		t.Run(kind.Kind(), func(t *testing.T) {
			t.Parallel()
			w := newVaultWorld(t)
			w.endpoint = &oauthtest.Endpoint{Answer: func(context.Context, string, oauth.Config, string) (oauth.Token, error) {
				return oauth.Token{Access: "token"}, nil
			}}
			before, after := valuesOf(t, kind.Kind())
			w.put("default", kind.Kind(), before...)
			w.stage("default", after...)
			var on *Set
			w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				if on, _, err = w.Trial(ctx, tx, "con_1", "default", 0); err == nil {
					on = on.At(upstream)
				}
				return err
			})
			authorize, renew, err := on.Authorizer("default")
			if err != nil || renew != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", http.NoBody)
			if err := authorize(t.Context(), r); err != nil {
				t.Error(err)
			}
			if c := w.load("con_1"); c.accounts["default"].problem != nil {
				t.Error(c.accounts["default"].problem)
			}
			if err := w.FlushUse(t.Context()); err != nil {
				t.Fatal(err)
			}
			if list, err := w.List(t.Context(), "con_1"); err != nil || !list[0].LastUsedAt.IsZero() {
				t.Errorf("a trial counts as use: %v, %v", list[0].LastUsedAt, err)
			}
			w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"})
			if _, _, err := w.load("con_1").Authorizer("default"); err != nil {
				t.Error(err)
			}
		})
	}
}

// valuesOf are values of a kind, and others.
func valuesOf(t *testing.T, kind string) (before, after []string) {
	t.Helper()
	switch kind {
	case "api_key":
		return []string{"key", "old"}, []string{"key", "new"}
	case "bearer":
		return []string{"token", "old"}, []string{"token", "new"}
	case "basic":
		return []string{"username", "u", "password", "old"}, []string{"password", "new"}
	case "custom_headers":
		return []string{"headers", "X-Key: old"}, []string{"headers", "X-Key: new"}
	case "hmac_signature":
		return []string{"secret", "old", "key_id", "k"}, []string{"secret", "new"}
	case "aws_sigv4":
		return []string{"access_key_id", "AKIDOLD", "secret_access_key", "old", "region", "eu-west-1", "service", "s3"},
			[]string{"access_key_id", "AKIDNEW", "secret_access_key", "new"}
	case "oauth1":
		return []string{"consumer_key", "k", "consumer_secret", "old"}, []string{"consumer_secret", "new"}
	case "signed_jwt":
		return []string{"algorithm", "HS256", "secret", canary + canary}, []string{"secret", newCanary + newCanary}
	case "mutual_tls":
		end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		c1, k1 := selfSigned(t, end)
		c2, k2 := selfSigned(t, end)
		return []string{"certificate", c1, "private_key", k1}, []string{"certificate", c2, "private_key", k2}
	case "oauth2_client_credentials":
		return []string{"token_url", "https://as.example.com/t", "client_id", "c", "client_secret", "old"}, []string{"client_secret", "new"}
	case "oauth2_jwt_bearer":
		_, k1 := selfSigned(t, time.Now().Add(time.Hour))
		_, k2 := selfSigned(t, time.Now().Add(time.Hour))
		return []string{"token_url", "https://as.example.com/t", "client_id", "c", "private_key", k1, "algorithm", "ES256"}, []string{"private_key", k2}
	}
	t.Fatalf("%s has no values here", kind)
	return nil, nil
}

// Old and staged credentials follow the data key, and can be switched, rolled back and destroyed afterwards.
func TestDataKeyRotationSealsRolloversAnew(t *testing.T) {
	t.Parallel()
	i := filled(t)
	i.rotate(t)
	counts := map[string]int64{}
	for _, c := range sealedColumns() {
		all, err := c.counts(t.Context(), i.db)
		if err != nil {
			t.Fatal(err)
		}
		for key, n := range all {
			if key != i.rotator.sealer.primary() {
				t.Errorf("%d values of %s are sealed with an older key", n, c.table)
			}
			counts[c.table] += n
		}
	}
	if counts["credential_rollovers"] != 3 {
		t.Errorf("%v", counts)
	}
	by := Actor{Name: "test"}
	i.tx(t, func(ctx context.Context, tx *db.Tx) error {
		for _, account := range []string{"r1", "r2", "r3"} {
			if _, _, err := i.vault.Switch(ctx, tx, "con_1", account, Switchover{Anyway: true, Reason: "test"}, by); err != nil {
				return err
			}
		}
		if _, err := i.vault.DestroyOld(ctx, tx, "con_1", "r3", 0, by); err != nil {
			return err
		}
		_, _, err := i.vault.RollBack(ctx, tx, "con_1", "r0", 0, by)
		return err
	})
	set := i.loadSet(t)
	wantSent(t, set, "r0", "Bearer "+canary+"r0")
	for _, account := range []string{"r1", "r2", "r3"} {
		wantSent(t, set, account, "Bearer "+newCanary+account)
	}
}

// The day on which a secret ends was said of that secret: it goes and comes back with it.
func TestEndOfASecretFollowsTheSecret(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.SetExpiry(ctx, tx, "con_1", "default", "2027-01-31", ada().Name)
		return err
	})
	w.stage("default", "token", newCanary)
	if c, _ := w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"}); c.ExpiresOn != "" || c.ExpiresSetBy != "" {
		t.Errorf("the new one ends with the old one: %+v", c)
	}
	if c, err := w.rollBack(); err != nil || c.ExpiresOn != "2027-01-31" || c.ExpiresSetBy != ada().Name {
		t.Errorf("the old one is back without its end: %+v, %v", c, err)
	}
}

// The day of a secret that waits is in force once that is in use, and waits with it again after a rollback.
func TestEndOfAStagedSecret(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, _, err := w.SetExpiry(ctx, tx, "con_1", "default", "2027-01-31", ada().Name)
		return err
	})
	w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Stage(ctx, tx, holderOf("default"), map[string]string{"token": newCanary}, "2028-01-31", Actor{Name: "bob@example.com"})
		return err
	})
	ends := func() string {
		t.Helper()
		all, err := w.Expiries(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if e.What == ExpirySecret {
				return e.At.Format(time.DateOnly)
			}
		}
		return ""
	}
	waits := func(step string, want Day, by string) {
		t.Helper()
		if o, err := w.rolling(); err != nil || o.ExpiresOn != want || o.ExpiresSetBy != by {
			t.Errorf("%s: %s by %q waits, %v; want %s by %q", step, o.ExpiresOn, o.ExpiresSetBy, err, want, by)
		}
	}
	waits("staged", "2028-01-31", "bob@example.com")
	w.tested("default", true)
	waits("tested", "2028-01-31", "bob@example.com")
	if got := ends(); got != "2027-01-31" {
		t.Errorf("the calendar has %q while it waits", got)
	}
	c, _ := w.mustSwitch("default", Switchover{})
	if got := ends(); c.ExpiresOn != "2028-01-31" || c.ExpiresSetBy != "bob@example.com" || got != "2028-01-31" {
		t.Errorf("switched: %s by %s, the calendar has %q", c.ExpiresOn, c.ExpiresSetBy, got)
	}
	waits("switched", "", "")
	if c, err := w.rollBack(); err != nil || c.ExpiresOn != "2027-01-31" || ends() != "2027-01-31" {
		t.Errorf("rolled back: %s, %v", c.ExpiresOn, err)
	}
	waits("rolled back", "2028-01-31", "bob@example.com")
	if c, _ := w.mustSwitch("default", Switchover{Anyway: true, Reason: "r"}); c.ExpiresOn != "2028-01-31" || c.ExpiresSetBy != "bob@example.com" {
		t.Errorf("switched again: %s by %s", c.ExpiresOn, c.ExpiresSetBy)
	}
}

// A day that cannot be is refused before anything is staged.
func TestStageWithADayThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newVaultWorld(t)
	w.put("default", "bearer", "token", canary)
	err := w.try(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.Stage(ctx, tx, holderOf("default"), map[string]string{"token": newCanary}, "2001-01-31", ada())
		return err
	})
	if fault.CodeOf(err) != "EXPIRY_IN_THE_PAST" {
		t.Errorf("got %v", err)
	}
	if _, err := w.rolling(); fault.CodeOf(err) != "NO_ROTATION" {
		t.Errorf("something is staged: %v", err)
	}
}
