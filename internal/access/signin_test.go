package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"switchgear/db"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func (w *world) signIn(ip, email, password string) (User, error) {
	return w.SignIn(w.t.Context(), Origin{IP: ip, UserAgent: "test"}, email, telemetry.NewSecret(password))
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, _ := w.user("ada@example.com", RoleOwner)
	got, err := w.signIn("192.0.2.1", " Ada@Example.com ", goodPassword)
	must(t, err)
	if got.ID != u.ID || !got.LastSignInAt.Equal(w.moment()) {
		t.Errorf("%+v", got)
	}
	if e := w.newest(); e.Action != "user.sign_in" || e.Actor.ID != u.ID || e.IP != "192.0.2.1" {
		t.Errorf("%+v", e)
	}
	for _, tc := range []struct{ email, password, cause, target string }{
		{"ada@example.com", goodPassword + "x", "wrong password", "ada@example.com"},
		{"ada@example.com", "", "wrong password", "ada@example.com"},
		{"nobody@example.com", goodPassword, "unknown account", "nobody@example.com"},
		{goodPassword, goodPassword, "unknown account", "(not an e-mail address)"}, // typed into the wrong field
		{"", "", "unknown account", "(not an e-mail address)"},
		{strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 80) + "example.com", "x", "unknown account", (strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 80))[:120]},
	} {
		_, err := w.signIn("192.0.2.1", tc.email, tc.password)
		wantCode(t, err, fault.Unauthenticated, "SIGN_IN_FAILED")
		e := w.newest()
		if e.Action != "user.sign_in_failed" || e.Details["cause"] != tc.cause || e.Target.Name != tc.target || e.Actor.Kind != KindAnonymous {
			t.Errorf("%q: %+v", tc.email, e)
		}
	}
	page, err := w.log.Search(t.Context(), audit.Query{Text: goodPassword})
	if err != nil || page.Total != 0 {
		t.Errorf("the password is in the record: %+v, %v", page.Entries, err)
	}
}

func TestSignInDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("owner@example.com", RoleOwner)
	u, _ := w.user("ada@example.com", RoleViewer)
	must(t, w.DisableUser(t.Context(), System(), u.ID, ""))
	_, err := w.signIn("", "ada@example.com", goodPassword)
	wantCode(t, err, fault.Forbidden, "ACCOUNT_DISABLED")
	_, err = w.signIn("", "ada@example.com", "wrong-wrong-wrong") // only who knows the password is told
	wantCode(t, err, fault.Unauthenticated, "SIGN_IN_FAILED")
	must(t, w.EnableUser(t.Context(), System(), u.ID, ""))
	_, err = w.signIn("", "ada@example.com", goodPassword)
	must(t, err)
}

func TestSignInRehashes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, _ := w.user("ada@example.com", RoleOwner)
	old, err := argon2id.CreateHash(goodPassword, &argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	must(t, err)
	must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE users SET password_hash = $1`, old)
		return err
	}))
	for range 2 {
		_, err = w.signIn("", "ada@example.com", goodPassword)
		must(t, err)
	}
	row, err := w.store.user(t.Context(), w.db, u.ID)
	if err != nil || !strings.HasPrefix(row.passwordHash, "$argon2id$v=19$m=19456,t=2,p=1$") || row.epoch != 1 {
		t.Errorf("%+v, %v", row, err)
	}
}

func TestSignInIsThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada@example.com", RoleOwner)
	for range 5 {
		_, err := w.signIn("192.0.2.1", "ada@example.com", "wrong-wrong-wrong")
		wantCode(t, err, fault.Unauthenticated, "SIGN_IN_FAILED")
	}
	_, err := w.signIn("192.0.2.1", "ada@example.com", goodPassword)
	wantCode(t, err, fault.RateLimited, "TOO_MANY_ATTEMPTS")
	f, _ := errors.AsType[*fault.Error](err)
	if f.RetryAfter != time.Second || f.Message != "Too many failed attempts. Try again in 1 second." {
		t.Errorf("%v: %q", f.RetryAfter, f.Message)
	}
	// The owner of the account, elsewhere, notices nothing.
	_, err = w.signIn("198.51.100.7", "ada@example.com", goodPassword)
	must(t, err)
	// And it is a delay, not a lock.
	w.clock.advance(time.Second)
	_, err = w.signIn("192.0.2.1", "ada@example.com", goodPassword)
	must(t, err)
	for range 4 {
		_, err = w.signIn("192.0.2.1", "ada@example.com", "wrong-wrong-wrong")
		wantCode(t, err, fault.Unauthenticated, "SIGN_IN_FAILED") // the success cleared the count
	}
}

// A hundred guesses at the same moment are no more than five.
func TestParallelSignInsAreThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada@example.com", RoleOwner)
	var wrong, limited int
	for _, err := range parallel(100, func(i int) error {
		_, err := w.signIn("192.0.2.1", "ada@example.com", fmt.Sprintf("guess number %d", i))
		return err
	}) {
		switch {
		case fault.Is(err, fault.Unauthenticated):
			wrong++
		case fault.Is(err, fault.RateLimited):
			limited++
		default:
			t.Errorf("unexpected: %v", err)
		}
	}
	if wrong != 5 || limited != 95 {
		t.Errorf("%d were tried, %d were held back", wrong, limited)
	}
}

// Fifty programs that know the password queue; none is told that it failed.
func TestParallelSignInsWithTheRightPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada@example.com", RoleOwner)
	for _, err := range parallel(50, func(int) error {
		_, err := w.signIn("192.0.2.1", "ada@example.com", goodPassword)
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
}

// A stranger behind the same address locks nobody out who has signed in from there before.
func TestStrangersDoNotLockOutTheirNeighbours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada@example.com", RoleOwner)
	_, err := w.signIn("192.0.2.1", "ada@example.com", goodPassword)
	must(t, err)
	limited := 0
	for i := range 30 {
		if _, err := w.signIn("192.0.2.1", fmt.Sprintf("nobody%d@example.com", i), "x"); fault.Is(err, fault.RateLimited) {
			limited++
		}
	}
	if limited != 10 {
		t.Errorf("%d of 30 were held back", limited)
	}
	_, err = w.signIn("192.0.2.1", "ada@example.com", goodPassword)
	must(t, err)
	// Others wait for seconds, not minutes.
	_, err = w.signIn("192.0.2.1", "new@example.com", "x")
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.RateLimited || f.RetryAfter > time.Second {
		t.Errorf("%v", err)
	}
}

// Knowing the password of a disabled account is no way to fill the record.
func TestDisabledAccountIsThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("owner@example.com", RoleOwner)
	u, _ := w.user("ada@example.com", RoleViewer)
	must(t, w.DisableUser(t.Context(), System(), u.ID, ""))
	for range 5 {
		_, err := w.signIn("", "ada@example.com", goodPassword)
		wantCode(t, err, fault.Forbidden, "ACCOUNT_DISABLED")
	}
	_, err := w.signIn("", "ada@example.com", goodPassword)
	wantCode(t, err, fault.RateLimited, "TOO_MANY_ATTEMPTS")
}

// Unknown accounts cannot fill the record, however many addresses take part.
func TestUnknownAccountsDoNotFillTheRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known, _ := w.user("ada@example.com", RoleOwner)
	fail := func(u userRow, email string) {
		must(t, w.recordFailure(t.Context(), Origin{IP: "192.0.2.1"}, u, email, "wrong password"))
	}
	entries := func() int { return w.count(`SELECT COUNT(*) FROM audit_entries WHERE action = 'user.sign_in_failed'`) }
	for i := range 150 {
		fail(userRow{}, fmt.Sprintf("user%d@example.com", i))
	}
	if n := entries(); n != 100 {
		t.Errorf("%d entries", n)
	}
	fail(userRow{User: known}, known.Email) // those of known accounts are all kept
	w.clock.advance(time.Minute)
	fail(userRow{}, "later@example.com")
	fail(userRow{}, "later@example.com")
	if n := entries(); n != 102 {
		t.Errorf("%d entries", n)
	}
}

// Hanging up before the answer is not a free attempt.
func TestCanceledSignInCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("ada@example.com", RoleOwner)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		if _, err := w.SignIn(ctx, Origin{IP: "192.0.2.1"}, "ada@example.com", telemetry.NewSecret("x")); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	_, err := w.signIn("192.0.2.1", "ada@example.com", "x")
	wantCode(t, err, fault.RateLimited, "TOO_MANY_ATTEMPTS")
}

func TestInWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Millisecond: "1 second", time.Second: "1 second", 1500 * time.Millisecond: "2 seconds", 59 * time.Second: "59 seconds",
		time.Minute: "1 minute", 61 * time.Second: "2 minutes", 5 * time.Minute: "5 minutes",
	} {
		if got := inWords(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
