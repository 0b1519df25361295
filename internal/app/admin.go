package app

import (
	"context"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/telemetry"
)

// Operation is an administrative command: what it is called on the admin socket, and what it does to
// the store. Req and Res travel as JSON.
type Operation[Req, Res any] struct {
	name string
	// creates lets the operation begin a new installation where there is none.
	creates bool
	// works says that the operation makes calls, which takes more than the store.
	works bool
	run   func(ctx context.Context, c *core, actor access.Actor, req Req) (Res, error)
}

// UserCreate asks for a console user. The password travels over the admin socket only, which no other
// user of the machine can open; it is plain here because telemetry.Secret never leaves the process.
type UserCreate struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Role     string `json:"role"`
	Password string `json:"password"`
}

// UserCreated is the user that a command made or changed.
type UserCreated struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	Role  string `json:"role"`
}

// CreateUser makes a console user with a password, without an invitation.
func CreateUser() Operation[UserCreate, UserCreated] {
	return Operation[UserCreate, UserCreated]{name: "user.create", creates: true, run: func(ctx context.Context, c *core, actor access.Actor, req UserCreate) (UserCreated, error) {
		role, err := access.ParseRole(req.Role)
		if err != nil {
			return UserCreated{}, err
		}
		u, err := c.access.CreateUser(ctx, actor, access.NewUser{
			Email: req.Email, Name: req.Name, Role: role, Password: telemetry.NewSecret(req.Password),
		})
		return UserCreated{ID: u.ID, Email: u.Email, Name: u.Name, Role: string(u.Role)}, err
	}}
}

// PasswordSet asks for a new password for an existing user.
type PasswordSet struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// SetPassword gives a user a new password and ends their sessions.
func SetPassword() Operation[PasswordSet, UserCreated] {
	return Operation[PasswordSet, UserCreated]{name: "user.set-password", run: func(ctx context.Context, c *core, actor access.Actor, req PasswordSet) (UserCreated, error) {
		u, err := c.access.ResetPassword(ctx, actor, req.Email, telemetry.NewSecret(req.Password))
		return UserCreated{ID: u.ID, Email: u.Email, Name: u.Name, Role: string(u.Role)}, err
	}}
}

// KeyCreate asks for an API key. A zero ExpiresAt means that it does not expire.
type KeyCreate struct {
	Name      string    `json:"name"`
	Scopes    []string  `json:"scopes"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// KeyCreated is the key that KeyCreate made; Key is shown this once and kept nowhere.
type KeyCreated struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Scopes    []string  `json:"scopes"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Key       string    `json:"key"`
}

// CreateKey makes an API key.
func CreateKey() Operation[KeyCreate, KeyCreated] {
	return Operation[KeyCreate, KeyCreated]{name: "key.create", run: func(ctx context.Context, c *core, actor access.Actor, req KeyCreate) (KeyCreated, error) {
		scopes := make([]access.Scope, 0, len(req.Scopes))
		for _, text := range req.Scopes {
			scope, err := access.ParseScope(text)
			if err != nil {
				return KeyCreated{}, err
			}
			scopes = append(scopes, scope)
		}
		key, secret, err := c.access.CreateKey(ctx, actor, access.NewKey{Name: req.Name, Scopes: scopes, ExpiresAt: req.ExpiresAt})
		if err != nil {
			return KeyCreated{}, err
		}
		out := KeyCreated{ID: key.ID, Name: key.Name, ExpiresAt: key.ExpiresAt, Key: secret.Reveal()}
		for _, s := range key.Scopes {
			out.Scopes = append(out.Scopes, string(s))
		}
		return out, nil
	}}
}

// AuditVerify asks for a check of the audit chain, optionally against an anchor that was kept elsewhere.
type AuditVerify struct {
	AnchorSeq int64  `json:"anchor_seq,omitzero"`
	AnchorMAC string `json:"anchor_mac,omitzero"`
}

// AuditVerified is what the check found.
type AuditVerified struct {
	Entries  int64          `json:"entries"`
	LastSeq  int64          `json:"last_seq"`
	LastMAC  string         `json:"last_mac"`
	Problems []AuditProblem `json:"problems"`
}

// AuditProblem names one row that does not hold.
type AuditProblem struct {
	Seq  int64  `json:"seq"`
	What string `json:"what"`
}

// VerifyAudit recomputes the chain of the audit log.
func VerifyAudit() Operation[AuditVerify, AuditVerified] {
	return Operation[AuditVerify, AuditVerified]{name: "audit.verify", run: func(ctx context.Context, c *core, actor access.Actor, req AuditVerify) (AuditVerified, error) {
		if err := actor.Require(access.PermissionAuditRead); err != nil {
			return AuditVerified{}, err
		}
		var report audit.Report
		var err error
		if req.AnchorSeq > 0 {
			report, err = c.audit.VerifyAgainst(ctx, audit.Anchor{Seq: req.AnchorSeq, MAC: req.AnchorMAC})
		} else {
			report, err = c.audit.Verify(ctx)
		}
		out := AuditVerified{Entries: report.Entries, LastSeq: report.LastSeq, LastMAC: report.LastMAC, Problems: []AuditProblem{}}
		for _, p := range report.Problems {
			out.Problems = append(out.Problems, AuditProblem{Seq: p.Seq, What: p.What})
		}
		return out, err
	}}
}
