package access

import (
	"context"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/access/passwords"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

const (
	maxNameLength  = 120
	maxEmailLength = 254
)

// User is a person with access to the console.
type User struct {
	ID, Email, Name                                                   string
	Role                                                              Role
	CreatedAt, UpdatedAt, LastSignInAt, DisabledAt, PasswordChangedAt time.Time
}

// MinPassword is the least length of a password, in characters, to be told before one is chosen.
const MinPassword = passwords.MinLength

// NewUser is what a user is made of. An empty name stands for the part of the address before the @.
type NewUser struct {
	Email, Name string
	Role        Role
	Password    telemetry.Secret
}

// UserQuery selects users; empty fields select everyone.
type UserQuery struct {
	Search string // part of the address or name
	Role   Role
	Status string // active or disabled
	Sort   string // email, name, role, created_at or last_sign_in_at; a leading "-" reverses
	Page   int    // from 1
	Limit  int    // 50 when zero, 200 at most
}

// UserPage is one page of users and the number of all that match.
type UserPage struct {
	Users []User
	Total int
}

// Users lists users. It needs users:read.
func (s *Service) Users(ctx context.Context, a Actor, q UserQuery) (UserPage, error) {
	if err := a.Require(PermissionUsersRead); err != nil {
		return UserPage{}, err
	}
	if q.Role != "" {
		if _, err := ParseRole(string(q.Role)); err != nil {
			return UserPage{}, err
		}
	}
	if err := oneOf("status", q.Status, "", "active", "disabled"); err != nil {
		return UserPage{}, err
	}
	if err := oneOf("sort", strings.TrimPrefix(q.Sort, "-"), "", "email", "name", "role", "created_at", "last_sign_in_at"); err != nil {
		return UserPage{}, err
	}
	q.Page, q.Limit = paging(q.Page, q.Limit)
	page, err := s.store.users(ctx, q)
	if err != nil {
		return UserPage{}, fmt.Errorf("access: list users: %w", err)
	}
	return page, nil
}

// oneOf refuses a list parameter that does not exist, instead of ignoring it.
func oneOf(field, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fault.Field("UNKNOWN_"+strings.ToUpper(field), field, "There is no such "+field+".").
		WithSuggestion("Use one of " + strings.Join(known[1:], ", ") + ".")
}

// User returns one user. Everybody may read themselves; others need users:read.
func (s *Service) User(ctx context.Context, a Actor, id string) (User, error) {
	if a.Kind != KindUser || a.ID != id {
		if err := a.Require(PermissionUsersRead); err != nil {
			return User{}, err
		}
	}
	u, err := s.store.user(ctx, s.db, id)
	if err != nil {
		return User{}, notFound(err, "user")
	}
	return u.User, nil
}

// CreateUser makes a user with a password, without an invitation. It needs users:write, and an owner
// to make an owner. The first user must be an owner.
func (s *Service) CreateUser(ctx context.Context, a Actor, n NewUser) (User, error) {
	if err := a.Require(PermissionUsersWrite); err != nil {
		return User{}, err
	}
	u, err := s.prepareUser(ctx, n)
	if err != nil {
		return User{}, err
	}
	err = s.change(ctx, []string{topicUsers, topicInvitations}, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, PermissionUsersWrite)
		if err != nil {
			return err
		}
		if err := mayHandle(a, u.Role); err != nil {
			return err
		}
		if none, err := s.store.noUsers(ctx, tx); err != nil {
			return err
		} else if none && u.Role != RoleOwner {
			return fault.Field("FIRST_USER_IS_OWNER", "role", "The first user has to be an owner.")
		}
		if err := s.insertUser(ctx, tx, u); err != nil {
			return err
		}
		// A link that was sent before must not offer what has happened another way.
		if _, err := s.store.revokePendingTo(ctx, tx, u.Email, s.moment()); err != nil {
			return err
		}
		return s.record(ctx, tx, a, audit.Entry{
			Action: "user.create", Target: u.target(), Details: map[string]string{"role": string(u.Role)},
		})
	})
	if err != nil {
		return User{}, fmt.Errorf("access: create user: %w", err)
	}
	s.isSetUp.Store(true)
	return u.User, nil
}

// ChangeRole gives a user another role and ends their sessions. It needs users:write; nobody changes
// their own role, only an owner touches owners or makes them, and the last active owner stays one.
func (s *Service) ChangeRole(ctx context.Context, a Actor, id string, role Role, reason string) error {
	if _, err := ParseRole(string(role)); err != nil {
		return err
	}
	return s.changeUser(ctx, a, id, reason, func(tx *db.Tx, a Actor, u userRow) (string, map[string]string, error) {
		if a.Kind == KindUser && a.ID == u.ID {
			return "", nil, fault.New(fault.Conflict, "OWN_ROLE", "You cannot change your own role. Ask another owner or admin.")
		}
		if err := mayHandle(a, role); err != nil {
			return "", nil, err
		}
		if u.Role == role {
			return "", nil, nil
		}
		if role != RoleOwner {
			if err := s.keepOwner(ctx, tx, u); err != nil {
				return "", nil, err
			}
		}
		details := map[string]string{"from": string(u.Role), "to": string(role)}
		u.Role = role
		if err := s.withdraw(ctx, tx, u, details, role.mayGrant); err != nil {
			return "", nil, err
		}
		return "user.role_change", details, s.store.setRole(ctx, tx, u.ID, role, s.moment())
	})
}

// DisableUser keeps a user from signing in, ends their sessions and withdraws the invitations they
// sent. It needs users:write; nobody disables themselves, and the last active owner stays.
func (s *Service) DisableUser(ctx context.Context, a Actor, id, reason string) error {
	return s.changeUser(ctx, a, id, reason, func(tx *db.Tx, a Actor, u userRow) (string, map[string]string, error) {
		if a.Kind == KindUser && a.ID == u.ID {
			return "", nil, fault.New(fault.Conflict, "OWN_ACCOUNT", "You cannot disable yourself. Ask another owner or admin.")
		}
		if !u.DisabledAt.IsZero() {
			return "", nil, nil
		}
		if err := s.keepOwner(ctx, tx, u); err != nil {
			return "", nil, err
		}
		// Or they could come back through a link that they sent to themselves.
		details := map[string]string{}
		if err := s.withdraw(ctx, tx, u, details, func(Role) bool { return false }); err != nil {
			return "", nil, err
		}
		return "user.disable", details, s.store.setDisabled(ctx, tx, u.ID, s.moment(), true)
	})
}

// EnableUser lets a disabled user sign in again. It needs users:write.
func (s *Service) EnableUser(ctx context.Context, a Actor, id, reason string) error {
	return s.changeUser(ctx, a, id, reason, func(tx *db.Tx, _ Actor, u userRow) (string, map[string]string, error) {
		if u.DisabledAt.IsZero() {
			return "", nil, nil
		}
		return "user.enable", nil, s.store.setDisabled(ctx, tx, u.ID, s.moment(), false)
	})
}

// changeUser is the frame of a change to a user by somebody else. An empty action from fn means that
// there was nothing to change, which is not recorded.
func (s *Service) changeUser(
	ctx context.Context, a Actor, id, reason string,
	fn func(tx *db.Tx, a Actor, u userRow) (action string, details map[string]string, err error),
) error {
	if err := a.Require(PermissionUsersWrite); err != nil {
		return err
	}
	reason, err := reasonLine(reason)
	if err != nil {
		return err
	}
	err = s.change(ctx, []string{topicUsers, topicSessions, topicInvitations}, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, PermissionUsersWrite)
		if err != nil {
			return err
		}
		u, err := s.store.user(ctx, tx, id)
		if err != nil {
			return notFound(err, "user")
		}
		if err := mayHandle(a, u.Role); err != nil {
			return err
		}
		action, details, err := fn(tx, a, u)
		if err != nil || action == "" {
			return err
		}
		if action != "user.enable" {
			if err := s.store.endSessions(ctx, tx, u.ID, ""); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, a, audit.Entry{Action: action, Target: u.target(), Reason: reason, Details: details})
	})
	if err != nil {
		return fmt.Errorf("access: change user: %w", err)
	}
	return nil
}

// withdraw revokes the pending invitations that a user sent, but for those to a role that they keep the
// right to, and says in details how many there were.
func (s *Service) withdraw(ctx context.Context, tx *db.Tx, u userRow, details map[string]string, keep func(Role) bool) error {
	total := 0
	for _, role := range Roles() {
		if keep(role) {
			continue
		}
		n, err := s.store.revokePendingBy(ctx, tx, u.ID, role, s.moment())
		if err != nil {
			return err
		}
		total += n
	}
	if total > 0 {
		details["invitations_withdrawn"] = strconv.Itoa(total)
	}
	return nil
}

// keepOwner refuses to take away the last active owner.
func (s *Service) keepOwner(ctx context.Context, tx *db.Tx, u userRow) error {
	if u.Role != RoleOwner || !u.DisabledAt.IsZero() {
		return nil
	}
	others, err := s.store.otherActiveOwners(ctx, tx, u.ID)
	if err != nil {
		return err
	}
	if others == 0 {
		return fault.New(fault.Conflict, "LAST_OWNER", "This is the last active owner. Make somebody else an owner first.")
	}
	return nil
}

// mayHandle refuses everyone but owners whatever concerns the role of owners.
func mayHandle(a Actor, role Role) error {
	if role == RoleOwner && a.Role != RoleOwner {
		return fault.New(fault.Forbidden, "OWNER_ONLY", "Only an owner can do this with owners.")
	}
	return nil
}

// UpdateProfile changes the actor's own name.
func (s *Service) UpdateProfile(ctx context.Context, a Actor, name string) error {
	name, err := line("INVALID_NAME", "name", name, maxNameLength)
	if err != nil {
		return err
	}
	if name == "" {
		return fault.Field("INVALID_NAME", "name", "Enter a name.")
	}
	return s.changeSelf(ctx, a, []string{topicUsers}, func(tx *db.Tx, u userRow) (audit.Entry, error) {
		return audit.Entry{Action: "user.profile_change", Target: u.target()}, s.store.setName(ctx, tx, u.User, name, s.moment())
	})
}

// ChangePassword replaces the actor's own password, for which the present one is needed, and ends
// every other session of theirs. Guessing the present one is slowed down as at sign-in.
func (s *Service) ChangePassword(ctx context.Context, a Actor, current, next telemetry.Secret) error {
	u, err := s.prove(ctx, a, current, "current")
	if err != nil {
		return fmt.Errorf("access: change password: %w", err)
	}
	if current.Reveal() == next.Reveal() {
		return fault.Field("WEAK_PASSWORD", "password", "This is your present password. Choose another one.")
	}
	if err := s.policy.Check(next, u.Email, u.Name); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, next)
	if err != nil {
		return fmt.Errorf("access: change password: %w", err)
	}
	return s.changeSelf(ctx, a, []string{topicUsers, topicSessions}, func(tx *db.Tx, now userRow) (audit.Entry, error) {
		if now.passwordHash != u.passwordHash {
			return audit.Entry{}, fault.New(fault.Conflict, "PASSWORD_CHANGED", "Your password was changed in the meantime. Try again.")
		}
		if err := s.store.setPassword(ctx, tx, u.ID, hash, s.moment()); err != nil {
			return audit.Entry{}, err
		}
		return audit.Entry{Action: "user.password_change", Target: u.target()}, s.store.endSessions(ctx, tx, u.ID, a.SessionID)
	})
}

// Confirm has the actor prove once more, with their password, that they are who signed in: before what must
// not be done from an unattended screen. Guessing is slowed down as at sign-in. It returns a fault.Invalid
// about the field password when it is another one.
func (s *Service) Confirm(ctx context.Context, a Actor, password telemetry.Secret) error {
	if _, err := s.prove(ctx, a, password, "password"); err != nil {
		return fmt.Errorf("access: confirm: %w", err)
	}
	return nil
}

// prove checks the actor's own password, which came in a field.
func (s *Service) prove(ctx context.Context, a Actor, password telemetry.Secret, field string) (userRow, error) {
	if a.Kind != KindUser {
		return userRow{}, fault.New(fault.Forbidden, "", "Only a signed-in user has a password.")
	}
	u, err := s.store.user(ctx, s.db, a.ID)
	if err != nil {
		return userRow{}, notFound(err, "user")
	}
	attempt, err := s.reserve(ctx, u.Email, a.IP)
	if err != nil {
		return userRow{}, err
	}
	defer attempt.Failed()
	match, _, err := s.hasher.Verify(ctx, password, u.passwordHash)
	if err != nil {
		undecided(ctx, attempt)
		return userRow{}, err
	}
	if !match {
		attempt.Failed()
		if err := s.recordFailure(ctx, Origin{IP: a.IP}, u, u.Email, "wrong present password"); err != nil {
			return userRow{}, err
		}
		return userRow{}, fault.Field("WRONG_PASSWORD", field, "That is not your present password.")
	}
	attempt.Succeeded()
	return u, nil
}

// changeSelf is the frame of a change that a user makes to their own account. An entry without an
// action means that there was nothing to change.
func (s *Service) changeSelf(ctx context.Context, a Actor, topics []string, fn func(tx *db.Tx, u userRow) (audit.Entry, error)) error {
	if a.Kind != KindUser {
		return fault.New(fault.Forbidden, "", "Only a signed-in user has a profile.")
	}
	err := s.change(ctx, topics, func(tx *db.Tx) error {
		a, err := s.present(ctx, tx, a)
		if err != nil {
			return err
		}
		u, err := s.store.user(ctx, tx, a.ID)
		if err != nil {
			return notFound(err, "user")
		}
		e, err := fn(tx, u)
		if err != nil || e.Action == "" {
			return err
		}
		return s.record(ctx, tx, a, e)
	})
	if err != nil {
		return fmt.Errorf("access: change own account: %w", err)
	}
	return nil
}

// userRow is a user with what never leaves this package.
type userRow struct {
	User
	passwordHash string
	epoch        int64
}

func (u userRow) target() audit.Target { return audit.Target{Kind: KindUser, ID: u.ID, Name: u.Email} }

// prepareUser checks everything about a new user and hashes the password, outside of any transaction.
func (s *Service) prepareUser(ctx context.Context, n NewUser) (userRow, error) {
	email, err := parseEmail(n.Email)
	if err != nil {
		return userRow{}, err
	}
	name, err := line("INVALID_NAME", "name", n.Name, maxNameLength)
	if err != nil {
		return userRow{}, err
	}
	if name == "" {
		name, _, _ = strings.Cut(email, "@")
	}
	if _, err := ParseRole(string(n.Role)); err != nil {
		return userRow{}, err
	}
	if err := s.policy.Check(n.Password, email, name); err != nil {
		return userRow{}, err
	}
	hash, err := s.hasher.Hash(ctx, n.Password)
	if err != nil {
		return userRow{}, err
	}
	now := s.moment()
	return userRow{
		User: User{
			ID: db.NewID("usr_"), Email: email, Name: name, Role: n.Role,
			CreatedAt: now, UpdatedAt: now, PasswordChangedAt: now,
		},
		passwordHash: hash, epoch: 1,
	}, nil
}

// insertUser stores a prepared user and says it plainly when the address is taken.
func (s *Service) insertUser(ctx context.Context, tx *db.Tx, u userRow) error {
	err := s.store.insertUser(ctx, tx, u)
	if fault.Is(err, fault.Conflict) {
		return userExists()
	}
	return err
}

func userExists() error {
	e := fault.New(fault.Conflict, "USER_EXISTS", "There is already a user with this e-mail address.")
	e.Details.Field = "email"
	return e
}

// parseEmail returns the address in the form it is stored in: lower case, without a display name.
// Only ASCII: two addresses that look the same must be the same.
func parseEmail(text string) (string, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	bad := fault.Field("INVALID_EMAIL", "email", "This is not an e-mail address.").
		WithSuggestion("Use the form name@example.com.")
	if len(text) > maxEmailLength || strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),:;<>[\]`, r)
	}) {
		return "", bad
	}
	local, domain, ok := strings.Cut(text, "@")
	addr, err := mail.ParseAddress(text)
	if err != nil || !ok || addr.Address != text || len(local) > 64 || strings.Contains(domain, "@") {
		return "", bad
	}
	return text, nil
}

// notFound turns the store's plain answer into one that names what is missing.
func notFound(err error, what string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "", "There is no such "+what+".")
	}
	return err
}
