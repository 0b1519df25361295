package access

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func acceptAs(w *world, token, name string) (User, error) {
	return w.AcceptInvitation(w.t.Context(), Origin{IP: "198.51.100.9"}, token, NewUser{
		Email: "ignored@example.com", Name: name, Role: RoleOwner, Password: telemetry.NewSecret(goodPassword),
	})
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, owner := w.user("owner@example.com", RoleOwner)
	inv, token, err := w.Invite(t.Context(), owner, " Bob@Example.com", RoleOperator)
	must(t, err)
	now := w.moment()
	want := Invitation{ID: inv.ID, Email: "bob@example.com", Role: RoleOperator, InvitedBy: "owner@example.com", CreatedAt: now, ExpiresAt: now.Add(72 * time.Hour)}
	if diff := cmp.Diff(want, inv); diff != "" || len(token) != 43 {
		t.Errorf("token of %d characters\n%s", len(token), diff)
	}
	if w.count(`SELECT COUNT(*) FROM invitations WHERE token_hash LIKE $1 OR id LIKE $1`, "%"+token+"%") != 0 {
		t.Error("the token is stored")
	}
	got, err := w.InvitationByToken(t.Context(), token)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	_, err = w.InvitationByToken(t.Context(), token+"x")
	wantCode(t, err, fault.NotFound, "NOT_FOUND")
	u, err := acceptAs(w, token, "Bob")
	must(t, err)
	// The invitation decides about the address and the role, not the form.
	if u.Email != "bob@example.com" || u.Role != RoleOperator || u.Name != "Bob" {
		t.Errorf("%+v", u)
	}
	if e := w.newest(); e.Action != "invitation.accept" || e.Actor.ID != u.ID || e.IP != "198.51.100.9" || e.Details["invited_by"] != "owner@example.com" {
		t.Errorf("%+v", e)
	}
	_, err = acceptAs(w, token, "Bob again")
	wantCode(t, err, fault.Conflict, "INVITATION_ACCEPTED")
	_, _, err = w.Invite(t.Context(), owner, "bob@example.com", RoleViewer)
	wantCode(t, err, fault.Conflict, "USER_EXISTS")
	list, err := w.Invitations(t.Context(), owner)
	if err != nil || len(list) != 1 || list[0].Status(w.clock.read()) != InvitationAccepted {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestInvitationEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  func(w *world, inv Invitation)
		code string
	}{
		"expired": {func(w *world, _ Invitation) { w.clock.advance(72 * time.Hour) }, "INVITATION_EXPIRED"},
		"revoked": {func(w *world, inv Invitation) {
			must(w.t, w.RevokeInvitation(w.t.Context(), System(), inv.ID))
		}, "INVITATION_REVOKED"},
		"invited again": {func(w *world, _ Invitation) {
			_, _, err := w.Invite(w.t.Context(), System(), "bob@example.com", RoleViewer)
			must(w.t, err)
		}, "INVITATION_REVOKED"},
		"created by hand": {func(w *world, _ Invitation) { w.user("bob@example.com", RoleViewer) }, "INVITATION_REVOKED"},
		"inviter disabled": {func(w *world, _ Invitation) {
			must(w.t, w.DisableUser(w.t.Context(), System(), w.id("admin@example.com"), ""))
		}, "INVITATION_REVOKED"},
		"inviter demoted": {func(w *world, _ Invitation) {
			must(w.t, w.ChangeRole(w.t.Context(), System(), w.id("admin@example.com"), RoleViewer, ""))
		}, "INVITATION_REVOKED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.user("owner@example.com", RoleOwner)
			_, admin := w.user("admin@example.com", RoleAdmin)
			inv, token, err := w.Invite(t.Context(), admin, "bob@example.com", RoleViewer)
			must(t, err)
			tc.end(w, inv)
			_, err = w.InvitationByToken(t.Context(), token)
			wantCode(t, err, fault.Conflict, tc.code)
			_, err = acceptAs(w, token, "Bob")
			wantCode(t, err, fault.Conflict, tc.code)
			wantCode(t, w.RevokeInvitation(t.Context(), System(), inv.ID), fault.Conflict, tc.code)
		})
	}
}

func (w *world) id(email string) string {
	w.t.Helper()
	u, err := w.store.userByEmail(w.t.Context(), w.db, email)
	must(w.t, err)
	return u.ID
}

func TestInvitationRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, owner := w.user("owner@example.com", RoleOwner)
	_, admin := w.user("admin@example.com", RoleAdmin)
	_, viewer := w.user("viewer@example.com", RoleViewer)
	invite := func(a Actor, email string, role Role) error {
		_, _, err := w.Invite(t.Context(), a, email, role)
		return err
	}
	wantCode(t, invite(viewer, "x@example.com", RoleViewer), fault.Forbidden, "FORBIDDEN")
	wantCode(t, invite(admin, "x@example.com", RoleOwner), fault.Forbidden, "OWNER_ONLY")
	wantField(t, invite(admin, "x", RoleViewer), "INVALID_EMAIL", "email")
	wantField(t, invite(admin, "x@example.com", ""), "UNKNOWN_ROLE", "role")
	inv, _, err := w.Invite(t.Context(), owner, "heir@example.com", RoleOwner)
	must(t, err)
	wantCode(t, w.RevokeInvitation(t.Context(), admin, inv.ID), fault.Forbidden, "OWNER_ONLY")
	wantCode(t, w.RevokeInvitation(t.Context(), viewer, inv.ID), fault.Forbidden, "FORBIDDEN")
	wantCode(t, w.RevokeInvitation(t.Context(), owner, "inv_nothing"), fault.NotFound, "NOT_FOUND")
	must(t, w.RevokeInvitation(t.Context(), owner, inv.ID))
	if e := w.newest(); e.Action != "invitation.revoke" || e.Target.Name != "heir@example.com" {
		t.Errorf("%+v", e)
	}
}

// A role that was taken away is not handed out by an invitation from before.
func TestDemotedOwnerMakesNoOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, owner1 := w.user("owner1@example.com", RoleOwner)
	owner2, actor2 := w.user("owner2@example.com", RoleOwner)
	_, asOwner, err := w.Invite(t.Context(), actor2, "sock@example.com", RoleOwner)
	must(t, err)
	_, asViewer, err := w.Invite(t.Context(), actor2, "bob@example.com", RoleViewer)
	must(t, err)
	must(t, w.ChangeRole(t.Context(), owner1, owner2.ID, RoleAdmin, ""))
	if e := w.newest(); e.Details["invitations_withdrawn"] != "1" {
		t.Errorf("%+v", e)
	}
	_, err = acceptAs(w, asOwner, "Sock")
	wantCode(t, err, fault.Conflict, "INVITATION_REVOKED")
	// It stays withdrawn, and an admin may still invite a viewer.
	must(t, w.ChangeRole(t.Context(), owner1, owner2.ID, RoleOwner, ""))
	_, err = acceptAs(w, asOwner, "Sock")
	wantCode(t, err, fault.Conflict, "INVITATION_REVOKED")
	_, err = acceptAs(w, asViewer, "Bob")
	must(t, err)
}

// Accepting asks again whether the inviter may grant the role, whatever happened to the invitation.
func TestAcceptChecksTheInviter(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		statement string
		inviter   Role
		role      Role
		ok        bool
	}{
		"untouched":       {`UPDATE users SET name = name`, RoleOwner, RoleOwner, true},
		"demoted":         {`UPDATE users SET role = 'admin' WHERE email = 'inviter@example.com'`, RoleOwner, RoleOwner, false},
		"demoted, viewer": {`UPDATE users SET role = 'admin' WHERE email = 'inviter@example.com'`, RoleOwner, RoleViewer, true},
		"viewer now":      {`UPDATE users SET role = 'viewer' WHERE email = 'inviter@example.com'`, RoleAdmin, RoleViewer, false},
		"disabled":        {`UPDATE users SET disabled_at = 1 WHERE email = 'inviter@example.com'`, RoleAdmin, RoleViewer, false},
		"gone":            {`DELETE FROM users WHERE email = 'inviter@example.com'`, RoleAdmin, RoleViewer, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.user("owner@example.com", RoleOwner)
			_, inviter := w.user("inviter@example.com", tc.inviter)
			_, token, err := w.Invite(t.Context(), inviter, "bob@example.com", tc.role)
			must(t, err)
			// The clock is read when the link is looked at and again when the password is hashed, which is
			// when the inviter changes.
			read := 0
			w.now = func() time.Time {
				if read++; read == 2 {
					must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error {
						_, err := tx.Exec(t.Context(), tc.statement)
						return err
					}))
				}
				return w.clock.read()
			}
			_, err = acceptAs(w, token, "Bob")
			if tc.ok {
				must(t, err)
				return
			}
			wantCode(t, err, fault.Conflict, "INVITATION_REVOKED")
		})
	}
}

func TestInvitationByID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, owner := w.user("owner@example.com", RoleOwner)
	_, viewer := w.user("viewer@example.com", RoleViewer)
	want, _, err := w.Invite(t.Context(), owner, "bob@example.com", RoleOperator)
	must(t, err)
	got, err := w.Invitation(t.Context(), owner, want.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	_, err = w.Invitation(t.Context(), owner, "inv_nothing")
	wantCode(t, err, fault.NotFound, "NOT_FOUND")
	_, err = w.Invitation(t.Context(), viewer, want.ID)
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
}

func TestAcceptInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("owner@example.com", RoleOwner)
	_, token, err := w.Invite(t.Context(), System(), "bob@example.com", RoleViewer)
	must(t, err)
	errs := parallel(8, func(int) error {
		_, err := acceptAs(w, token, "Bob")
		return err
	})
	if n := succeeded(errs); n != 1 || w.count(`SELECT COUNT(*) FROM users WHERE email = 'bob@example.com'`) != 1 {
		t.Errorf("%d of 8 accepted: %v", n, errs)
	}
	if got := strings.Count(strings.Join(w.actions(), " "), "invitation.accept"); got != 1 {
		t.Errorf("%d entries", got)
	}
}
