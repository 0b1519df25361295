package access

import (
	"slices"

	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// Role is what a user is allowed to do, as a whole.
type Role string

// The roles, from the one who may do everything to the one who may only look.
const (
	RoleOwner    Role = "owner"
	RoleAdmin    Role = "admin"
	RoleOperator Role = "operator"
	RoleViewer   Role = "viewer"
	RoleAuditor  Role = "auditor"
)

// Roles returns every role, the most powerful first.
func Roles() []Role { return []Role{RoleOwner, RoleAdmin, RoleOperator, RoleViewer, RoleAuditor} }

// ParseRole returns the role of that name, or a fault.Invalid about the field role.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", fault.Field("UNKNOWN_ROLE", "role", "There is no such role.").
		WithSuggestion("Use one of owner, admin, operator, viewer, auditor.")
}

// Description says in one sentence what the role is for.
func (r Role) Description() string {
	switch r {
	case RoleOwner:
		return "Everything, including other owners."
	case RoleAdmin:
		return "Everything except touching owners, the encryption keys, and having secrets shown."
	case RoleOperator:
		return "Trip and reset breakers, pause, roll back and mute alerts. Sees API keys, not users."
	case RoleViewer:
		return "Looks at integrations. Changes nothing."
	case RoleAuditor:
		return "Reads users, API keys and the audit log. Changes nothing."
	}
	return ""
}

// Permission is one thing that a role allows.
type Permission string

// The permissions.
const (
	PermissionUsersRead  Permission = "users:read"
	PermissionUsersWrite Permission = "users:write"
	PermissionKeysRead   Permission = "keys:read"
	PermissionKeysWrite  Permission = "keys:write"
	PermissionAuditRead  Permission = "audit:read"
	PermissionSystemRead Permission = "system:read"
	PermissionOperate    Permission = "operate"
	PermissionConfigure  Permission = "configure"
	// PermissionRotate is about the keys that everything is encrypted with.
	PermissionRotate Permission = "keys:rotate"
	// PermissionReveal has the secrets of accounts shown, once that is allowed.
	PermissionReveal Permission = "secrets:show"
)

// Permissions returns every permission.
func Permissions() []Permission {
	return []Permission{
		PermissionUsersRead, PermissionUsersWrite, PermissionKeysRead, PermissionKeysWrite,
		PermissionAuditRead, PermissionSystemRead, PermissionOperate, PermissionConfigure,
		PermissionRotate, PermissionReveal,
	}
}

// Can reports whether the role allows p. A role or permission that does not exist allows nothing.
func (r Role) Can(p Permission) bool {
	if !slices.Contains(Permissions(), p) {
		return false
	}
	switch r {
	case RoleOwner:
		return true
	case RoleAdmin:
		return p != PermissionRotate && p != PermissionReveal
	case RoleOperator:
		return p == PermissionOperate || p == PermissionKeysRead || p == PermissionSystemRead
	case RoleViewer:
		return p == PermissionSystemRead
	case RoleAuditor:
		return p == PermissionUsersRead || p == PermissionKeysRead || p == PermissionAuditRead || p == PermissionSystemRead
	}
	return false
}

// mayGrant reports whether somebody of the role may make users of the role other.
func (r Role) mayGrant(other Role) bool {
	return r.Can(PermissionUsersWrite) && (r == RoleOwner || other != RoleOwner)
}

// The kinds of actors.
const (
	KindUser      = "user"
	KindAPIKey    = "api_key"
	KindSystem    = "system"
	KindCLI       = "cli"
	KindAnonymous = "anonymous"
)

// Actor is who asks for something. Name is the e-mail address of a user or the name of an API key.
// SessionID is set for a signed-in user, Scopes for an API key, which has no role, IP for whoever came
// over the network.
type Actor struct {
	Kind      string
	ID, Name  string
	Role      Role
	Scopes    []Scope
	SessionID string
	IP        string
}

// System is the program itself.
func System() Actor { return Actor{Kind: KindSystem, Name: "switchgear", Role: RoleOwner} }

// CommandLine is whoever runs a command on this machine. They can read the database and the key, so
// they act as an owner.
func CommandLine(osUser string) Actor {
	return Actor{Kind: KindCLI, ID: osUser, Name: osUser, Role: RoleOwner}
}

// Require returns a fault.Forbidden unless the actor's role, or a scope of the API key, allows p.
func (a Actor) Require(p Permission) error {
	if a.Kind == KindAPIKey {
		if slices.ContainsFunc(a.Scopes, func(s Scope) bool { return s.Grants(p) }) {
			return nil
		}
		return fault.New(fault.Forbidden, "", "The scopes of this API key do not allow this.")
	}
	if a.Role.Can(p) {
		return nil
	}
	return fault.New(fault.Forbidden, "", "Your role does not allow this. Ask an owner or admin.")
}

func (a Actor) audit() audit.Actor { return audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name} }

// Origin is where a request of somebody who is not signed in comes from.
type Origin struct{ IP, UserAgent string }

func (o Origin) actor(name string) Actor { return Actor{Kind: KindAnonymous, Name: name, IP: o.IP} }
