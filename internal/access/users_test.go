package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func TestCreateUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.CreateUser(t.Context(), CommandLine("root"), NewUser{
		Email: " Ada@Example.com", Role: RoleOwner, Password: telemetry.NewSecret(goodPassword),
	})
	must(t, err)
	now := w.moment()
	want := User{ID: got.ID, Email: "ada@example.com", Name: "ada", Role: RoleOwner, CreatedAt: now, UpdatedAt: now, PasswordChangedAt: now}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(got.ID, "usr_") {
		t.Errorf("-want +got\n%s", diff)
	}
	stored, err := w.User(t.Context(), System(), got.ID)
	if diff := cmp.Diff(want, stored); err != nil || diff != "" {
		t.Errorf("stored: %v\n%s", err, diff)
	}
	e := w.newest()
	if e.Action != "user.create" || e.Actor.Kind != KindCLI || e.Actor.Name != "root" || e.Target.ID != got.ID || e.Details["role"] != "owner" {
		t.Errorf("entry %+v", e)
	}
	if diff := cmp.Diff([]string{topicUsers, topicInvitations, topicAudit}, w.announced()); diff != "" {
		t.Error(diff)
	}
	n := w.count(`SELECT COUNT(*) FROM users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'`)
	if n != 1 {
		t.Error("the password is not stored as it should be")
	}
}

func TestCreateUserRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, owner := w.user("owner@example.com", RoleOwner)
	_, admin := w.user("admin@example.com", RoleAdmin)
	_, viewer := w.user("viewer@example.com", RoleViewer)
	w.announced()
	before := len(w.actions())
	create := func(a Actor, email, name string, role Role, password string) error {
		_, err := w.CreateUser(t.Context(), a, NewUser{Email: email, Name: name, Role: role, Password: telemetry.NewSecret(password)})
		return err
	}
	wantCode(t, create(viewer, "x@example.com", "", RoleViewer, goodPassword), fault.Forbidden, "FORBIDDEN")
	wantCode(t, create(admin, "x@example.com", "", RoleOwner, goodPassword), fault.Forbidden, "OWNER_ONLY")
	wantCode(t, create(owner, "Admin@example.com", "", RoleViewer, goodPassword), fault.Conflict, "USER_EXISTS")
	wantField(t, create(owner, "x", "", RoleViewer, goodPassword), "INVALID_EMAIL", "email")
	wantField(t, create(owner, "x@example.com", "a\nb", RoleViewer, goodPassword), "INVALID_NAME", "name")
	wantField(t, create(owner, "x@example.com", "", "root", goodPassword), "UNKNOWN_ROLE", "role")
	wantField(t, create(owner, "x@example.com", "", RoleViewer, "short"), "WEAK_PASSWORD", "password")
	if len(w.actions()) != before || len(w.announced()) != 0 {
		t.Error("a refused change is recorded or announced")
	}
}

func TestFirstUserIsAnOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.CreateUser(t.Context(), CommandLine("root"), NewUser{
		Email: "ada@example.com", Role: RoleViewer, Password: telemetry.NewSecret(goodPassword),
	})
	wantField(t, err, "FIRST_USER_IS_OWNER", "role")
}

// Who may do what to whom, in all combinations of who matters.
func TestUserRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	users := map[string]User{}
	users["owner"], _ = w.user("owner@example.com", RoleOwner) // the first one has to be
	for name, role := range map[string]Role{
		"owner2": RoleOwner, "admin": RoleAdmin, "admin2": RoleAdmin, "operator": RoleOperator,
		"viewer": RoleViewer, "viewer2": RoleViewer, "auditor": RoleAuditor,
	} {
		users[name], _ = w.user(name+"@example.com", role)
	}
	for _, tc := range []struct {
		actor, action, target string
		kind                  fault.Kind
		code                  string // empty: allowed
	}{
		{"owner", "disable", "owner", fault.Conflict, "OWN_ACCOUNT"},
		{"owner", "viewer", "owner", fault.Conflict, "OWN_ROLE"},
		{"admin", "disable", "owner", fault.Forbidden, "OWNER_ONLY"},
		{"admin", "viewer", "owner", fault.Forbidden, "OWNER_ONLY"},
		{"admin", "owner", "viewer", fault.Forbidden, "OWNER_ONLY"},
		{"admin", "owner", "admin", fault.Conflict, "OWN_ROLE"},
		{"admin", "disable", "admin", fault.Conflict, "OWN_ACCOUNT"},
		{"operator", "disable", "viewer", fault.Forbidden, "FORBIDDEN"},
		{"viewer", "viewer", "viewer2", fault.Forbidden, "FORBIDDEN"},
		{"viewer", "owner", "viewer", fault.Forbidden, "FORBIDDEN"},
		{"auditor", "enable", "viewer", fault.Forbidden, "FORBIDDEN"},
		{"owner", "disable", "nobody", fault.NotFound, "NOT_FOUND"},
		{"owner", "root", "viewer", fault.Invalid, "UNKNOWN_ROLE"},
		{"admin", "disable", "viewer", 0, ""},
		{"admin", "enable", "viewer", 0, ""},
		{"admin", "operator", "viewer2", 0, ""},
		{"admin", "auditor", "admin2", 0, ""},
		{"owner", "owner", "admin2", 0, ""},
		{"owner", "disable", "owner2", 0, ""},
		{"owner", "enable", "owner2", 0, ""},
		{"owner", "admin", "owner2", 0, ""},
	} {
		a, id := actorOf(users[tc.actor]), users[tc.target].ID
		var err error
		switch tc.action {
		case "disable":
			err = w.DisableUser(t.Context(), a, id, "because")
		case "enable":
			err = w.EnableUser(t.Context(), a, id, "because")
		default:
			err = w.ChangeRole(t.Context(), a, id, Role(tc.action), "because")
		}
		if tc.code == "" {
			if err != nil {
				t.Errorf("%s %s %s: %v", tc.actor, tc.action, tc.target, err)
			} else if e := w.newest(); e.Actor.Name != tc.actor+"@example.com" || e.Target.Name != tc.target+"@example.com" || e.Reason != "because" {
				t.Errorf("%s %s %s: entry %+v", tc.actor, tc.action, tc.target, e)
			}
			continue
		}
		wantCode(t, err, tc.kind, tc.code)
	}
	if u, err := w.User(t.Context(), System(), users["admin2"].ID); err != nil || u.Role != RoleOwner {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestLastOwnerStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, _ := w.user("ada@example.com", RoleOwner)
	bob, _ := w.user("bob@example.com", RoleOwner)
	must(t, w.DisableUser(t.Context(), System(), bob.ID, ""))
	// A disabled owner does not count.
	wantCode(t, w.DisableUser(t.Context(), System(), ada.ID, ""), fault.Conflict, "LAST_OWNER")
	wantCode(t, w.ChangeRole(t.Context(), System(), ada.ID, RoleAdmin, ""), fault.Conflict, "LAST_OWNER")
	must(t, w.ChangeRole(t.Context(), System(), bob.ID, RoleViewer, "")) // taking the role from a disabled owner is fine
	must(t, w.ChangeRole(t.Context(), System(), ada.ID, RoleOwner, ""))  // no change is no problem
}

// Two owners demote or disable each other at the same moment: one of them remains.
func TestOwnersRemoveEachOther(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(s *Service, ctx context.Context, a Actor, id string) error{
		"demote": func(s *Service, ctx context.Context, a Actor, id string) error {
			return s.ChangeRole(ctx, a, id, RoleViewer, "")
		},
		"disable": func(s *Service, ctx context.Context, a Actor, id string) error { return s.DisableUser(ctx, a, id, "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada, adaActor := w.user("ada@example.com", RoleOwner)
			bob, bobActor := w.user("bob@example.com", RoleOwner)
			for range 10 {
				errs := parallel(2, func(i int) error {
					if i == 0 {
						return remove(w.Service, t.Context(), adaActor, bob.ID)
					}
					return remove(w.Service, t.Context(), bobActor, ada.ID)
				})
				if n := succeeded(errs); n != 1 {
					t.Fatalf("%d of two succeeded: %v", n, errs)
				}
				if n := w.count(`SELECT COUNT(*) FROM users WHERE role = 'owner' AND disabled_at IS NULL`); n != 1 {
					t.Fatalf("%d owners are left", n)
				}
				for _, u := range []User{ada, bob} {
					must(t, w.EnableUser(t.Context(), System(), u.ID, ""))
					must(t, w.ChangeRole(t.Context(), System(), u.ID, RoleOwner, ""))
				}
			}
		})
	}
}

// The role that counts is the one at the moment of the change, not the one when the page was loaded.
func TestStaleActor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user("owner@example.com", RoleOwner)
	admin, stale := w.user("admin@example.com", RoleAdmin)
	viewer, _ := w.user("viewer@example.com", RoleViewer)
	must(t, w.ChangeRole(t.Context(), System(), admin.ID, RoleViewer, ""))
	wantCode(t, w.DisableUser(t.Context(), stale, viewer.ID, ""), fault.Forbidden, "FORBIDDEN")
	_, _, err := w.CreateKey(t.Context(), stale, NewKey{Name: "x", Scopes: []Scope{ScopeAPIRead}})
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	must(t, w.DisableUser(t.Context(), System(), admin.ID, ""))
	wantCode(t, w.UpdateProfile(t.Context(), stale, "Still here"), fault.Unauthenticated, "UNAUTHENTICATED")
}

func TestUsersList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := make([]string, 0, 5)
	for i, role := range []Role{RoleOwner, RoleViewer, RoleAdmin, RoleAuditor, RoleOperator} {
		u, _ := w.user(fmt.Sprintf("user_%d@example.com", i), role)
		ids = append(ids, u.ID)
		w.clock.advance(time.Minute)
	}
	must(t, w.DisableUser(t.Context(), System(), ids[3], ""))
	_, err := w.SignIn(t.Context(), Origin{}, "user_2@example.com", telemetry.NewSecret(goodPassword))
	must(t, err)
	for _, tc := range []struct {
		name  string
		query UserQuery
		total int
		want  []int
	}{
		{"all by address", UserQuery{}, 5, []int{0, 1, 2, 3, 4}},
		{"reversed", UserQuery{Sort: "-email"}, 5, []int{4, 3, 2, 1, 0}},
		{"by role", UserQuery{Sort: "role"}, 5, []int{0, 2, 4, 1, 3}},
		{"by sign-in", UserQuery{Sort: "-last_sign_in_at", Limit: 1}, 5, []int{2}},
		{"by creation", UserQuery{Sort: "-created_at", Limit: 2, Page: 2}, 5, []int{2, 1}},
		{"past the end", UserQuery{Page: 9}, 5, nil},
		{"search", UserQuery{Search: "USER_3"}, 1, []int{3}},
		{"wildcards are literal", UserQuery{Search: "%"}, 0, nil},
		{"underscore is literal", UserQuery{Search: "r_1"}, 1, []int{1}},
		{"role", UserQuery{Role: RoleAdmin}, 1, []int{2}},
		{"active", UserQuery{Status: "active"}, 4, []int{0, 1, 2, 4}},
		{"disabled", UserQuery{Status: "disabled"}, 1, []int{3}},
		{"hostile search", UserQuery{Search: `'; DROP TABLE users; --`}, 0, nil},
	} {
		page, err := w.Users(t.Context(), System(), tc.query)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got := make([]int, len(page.Users))
		for i, u := range page.Users {
			got[i] = slices.Index(ids, u.ID)
		}
		if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" || page.Total != tc.total {
			t.Errorf("%s: total %d, want %d\n%s", tc.name, page.Total, tc.total, diff)
		}
	}
	_, err = w.Users(t.Context(), System(), UserQuery{Sort: "password_hash"})
	wantField(t, err, "UNKNOWN_SORT", "sort")
	_, err = w.Users(t.Context(), System(), UserQuery{Status: "asleep"})
	wantField(t, err, "UNKNOWN_STATUS", "status")
	_, err = w.Users(t.Context(), System(), UserQuery{Role: "root"})
	wantField(t, err, "UNKNOWN_ROLE", "role")
}

func TestReadingNeedsPermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, _ := w.user("owner@example.com", RoleOwner)
	viewer, a := w.user("viewer@example.com", RoleViewer)
	_, err := w.Users(t.Context(), a, UserQuery{})
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	_, err = w.User(t.Context(), a, owner.ID)
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	_, err = w.Invitations(t.Context(), a)
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	_, err = w.Keys(t.Context(), a, KeyQuery{})
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	_, err = w.Sessions(t.Context(), a, owner.ID)
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	_, err = w.Sessions(t.Context(), a, "")
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
	if u, err := w.User(t.Context(), a, viewer.ID); err != nil || u.ID != viewer.ID {
		t.Errorf("oneself: %v", err)
	}
	_, err = w.Sessions(t.Context(), a, viewer.ID)
	must(t, err)
	_, err = w.User(t.Context(), System(), "usr_nobody")
	wantCode(t, err, fault.NotFound, "NOT_FOUND")
}

func TestUpdateProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, a := w.user("ada@example.com", RoleOwner)
	must(t, w.UpdateProfile(t.Context(), a, " Ada Lovelace "))
	if got, err := w.User(t.Context(), a, u.ID); err != nil || got.Name != "Ada Lovelace" {
		t.Errorf("%+v, %v", got, err)
	}
	if e := w.newest(); e.Action != "user.profile_change" || e.Actor.ID != u.ID {
		t.Errorf("%+v", e)
	}
	wantField(t, w.UpdateProfile(t.Context(), a, ""), "INVALID_NAME", "name")
	wantField(t, w.UpdateProfile(t.Context(), a, strings.Repeat("x", 121)), "INVALID_NAME", "name")
	wantCode(t, w.UpdateProfile(t.Context(), System(), "x"), fault.Forbidden, "FORBIDDEN")
}

// Confirm accepts the actor's own password and nothing else, and guessing gets slower.
func TestConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, a := w.user("ada@example.com", RoleOwner)
	secret := telemetry.NewSecret
	must(t, w.Confirm(t.Context(), a, secret(goodPassword)))
	for _, other := range []Actor{System(), CommandLine("root"), {Kind: KindAPIKey, ID: "key_1"}} {
		wantCode(t, w.Confirm(t.Context(), other, secret(goodPassword)), fault.Forbidden, "FORBIDDEN")
	}
	var err error
	for range 20 {
		if err = w.Confirm(t.Context(), a, secret("another guess entirely")); fault.Is(err, fault.RateLimited) {
			break
		}
		wantField(t, err, "WRONG_PASSWORD", "password")
	}
	wantCode(t, err, fault.RateLimited, "TOO_MANY_ATTEMPTS")
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, a := w.user("ada@example.com", RoleOwner)
	secret := telemetry.NewSecret
	const next = "another-quiet-harbour-7"
	change := func(current, next string) error {
		return w.ChangePassword(t.Context(), a, secret(current), secret(next))
	}
	wantField(t, change("wrong-wrong-wrong", next), "WRONG_PASSWORD", "current")
	if e := w.newest(); e.Action != "user.sign_in_failed" {
		t.Errorf("%+v", e)
	}
	wantField(t, change(goodPassword, "short"), "WEAK_PASSWORD", "password")
	wantField(t, change(goodPassword, goodPassword), "WEAK_PASSWORD", "password")
	wantCode(t, w.ChangePassword(t.Context(), System(), secret(goodPassword), secret(next)), fault.Forbidden, "FORBIDDEN")
	must(t, change(goodPassword, next))
	if e := w.newest(); e.Action != "user.password_change" {
		t.Errorf("%+v", e)
	}
	_, err := w.SignIn(t.Context(), Origin{}, "ada@example.com", secret(goodPassword))
	wantCode(t, err, fault.Unauthenticated, "SIGN_IN_FAILED")
	_, err = w.SignIn(t.Context(), Origin{}, "ada@example.com", secret(next))
	must(t, err)
	// Whoever found an open browser cannot try passwords either.
	var limited bool
	for range 10 {
		limited = limited || fault.Is(change("wrong-wrong-wrong", next), fault.RateLimited)
	}
	if !limited {
		t.Error("guessing the present password is not slowed down")
	}
}
