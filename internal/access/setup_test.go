package access

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func TestSetup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	if needed, err := w.SetupNeeded(ctx); !needed || err != nil {
		t.Fatalf("%v, %v", needed, err)
	}
	wantCode(t, w.CheckSetupToken(""), fault.Forbidden, "SETUP_TOKEN") // before any token
	first, _, err := w.IssueSetupToken(ctx)
	must(t, err)
	token, expires, err := w.IssueSetupToken(ctx)
	must(t, err)
	if !expires.Equal(w.clock.read().Add(30*time.Minute)) || len(token) != 22 {
		t.Errorf("token of %d characters until %v", len(token), expires)
	}
	wantCode(t, w.CheckSetupToken(first), fault.Forbidden, "SETUP_TOKEN") // one at a time
	wantCode(t, w.CheckSetupToken(""), fault.Forbidden, "SETUP_TOKEN")
	must(t, w.CheckSetupToken(token))
	must(t, w.CheckSetupToken(token)) // looking does not use it up

	n := NewUser{Email: "ada@example.com", Name: "Ada", Role: RoleViewer, Password: telemetry.NewSecret("short")}
	_, err = w.CompleteSetup(ctx, Origin{IP: "192.0.2.1"}, token, n)
	wantField(t, err, "WEAK_PASSWORD", "password") // nor does a mistake in the form
	n.Password = telemetry.NewSecret(goodPassword)
	_, err = w.CompleteSetup(ctx, Origin{}, first, n)
	wantCode(t, err, fault.Forbidden, "SETUP_TOKEN")
	u, err := w.CompleteSetup(ctx, Origin{IP: "192.0.2.1"}, token, n)
	must(t, err)
	if u.Role != RoleOwner {
		t.Errorf("the first user is %s", u.Role)
	}
	if e := w.newest(); e.Action != "setup.complete" || e.IP != "192.0.2.1" || e.Target.ID != u.ID {
		t.Errorf("%+v", e)
	}
	if needed, err := w.SetupNeeded(ctx); needed || err != nil {
		t.Errorf("%v, %v", needed, err)
	}
	wantCode(t, w.CheckSetupToken(token), fault.Forbidden, "SETUP_TOKEN")
	_, _, err = w.IssueSetupToken(ctx)
	wantCode(t, err, fault.Conflict, "ALREADY_SET_UP")
}

func TestSetupTokenExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, _, err := w.IssueSetupToken(t.Context())
	must(t, err)
	w.clock.advance(30*time.Minute - time.Second)
	must(t, w.CheckSetupToken(token))
	w.clock.advance(time.Second)
	wantCode(t, w.CheckSetupToken(token), fault.Forbidden, "SETUP_TOKEN")
}

func TestSetupInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, _, err := w.IssueSetupToken(t.Context())
	must(t, err)
	errs := parallel(8, func(i int) error {
		_, err := w.CompleteSetup(t.Context(), Origin{}, token, NewUser{
			Email: fmt.Sprintf("user%d@example.com", i), Password: telemetry.NewSecret(goodPassword),
		})
		return err
	})
	if n := succeeded(errs); n != 1 || w.count(`SELECT COUNT(*) FROM users`) != 1 {
		t.Errorf("%d of 8 became the first owner: %v", n, errs)
	}
	if diff := cmp.Diff([]string{"setup.complete"}, w.actions()); diff != "" {
		t.Error(diff)
	}
}

// A user made on the command line closes the set-up, even for who holds a valid link.
func TestSetupAfterCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, _, err := w.IssueSetupToken(t.Context())
	must(t, err)
	w.user("ada@example.com", RoleOwner)
	_, err = w.CompleteSetup(t.Context(), Origin{}, token, NewUser{Email: "eve@example.com", Password: telemetry.NewSecret(goodPassword)})
	wantCode(t, err, fault.Conflict, "ALREADY_SET_UP")
}
