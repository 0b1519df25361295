// Package access holds the pages about people and keys: set-up, sign-in, users, invitations, sessions,
// profile and API keys. View models are plain values; they know no domain package.
package access

import (
	"time"

	"switchgear/web/templates/layout"
)

// Errors maps a form field to what is wrong with it. The empty key holds what concerns no one field.
type Errors map[string]string

// Option is one choice of a select.
type Option struct{ Value, Label, Hint string }

// SetupView is the page that makes the first owner.
type SetupView struct {
	Page   layout.Bare
	Token  string
	Email  string
	Name   string
	Errors Errors
	// KeyFile and Fingerprint name the master key, which has to be backed up; KeyFile is empty when the
	// key comes from the environment.
	KeyFile, Fingerprint string
	// KeySaved keeps the tick of the last box when something else has to be corrected.
	KeySaved    bool
	MinPassword int
	// OfferDemo shows the box that loads the demonstration, Demo keeps its tick.
	OfferDemo, Demo bool
}

// SetupClosedView explains why there is no set-up form: the link is missing, wrong, used or too old.
type SetupClosedView struct {
	Page layout.Bare
	// Done is true when an owner exists, so that signing in is what is left to do.
	Done bool
	// Invalid is true when a token was presented and is not valid (any more).
	Invalid bool
	// LinkFile is where the link can be read on the server.
	LinkFile string
}

// SignInView is the sign-in page.
type SignInView struct {
	Page   layout.Bare
	Email  string
	Next   string
	Errors Errors
	// Notice says why the visitor is here: signed out, session ended, password changed.
	Notice string
}

// AcceptView is where an invited person chooses name and password.
type AcceptView struct {
	Page                layout.Bare
	Token               string
	Email, Role, Sender string
	ExpiresAt, Now      time.Time
	Name                string
	Errors              Errors
	MinPassword         int
}

// UsersView is the list of users.
type UsersView struct {
	Page                       layout.Page
	Now                        time.Time
	Rows                       []UserRow
	Total, Number, Limit       int
	Search, Role, Status, Sort string
	Roles                      []Option
	CanWrite                   bool
	PendingInvitations         int
}

// UserRow is one user in the list.
type UserRow struct {
	ID, Email, Name, Role   string
	Self, Disabled          bool
	CreatedAt, LastSignInAt time.Time
}

// UserView is one user: facts, role, state and sessions.
type UserView struct {
	Page layout.Page
	Now  time.Time
	User UserRow
	// RoleText says what the present role may do.
	RoleText                     string
	PasswordChangedAt, UpdatedAt time.Time
	DisabledAt                   time.Time
	Roles                        []Option
	Sessions                     []SessionRow
	// CanChange is false for oneself, for owners seen by an admin, and for readers; WhyNot says why.
	CanChange bool
	WhyNot    string
	// ChosenRole and Reason are what the role form was sent with; empty shows the present role.
	ChosenRole, Reason string
	Errors             Errors
}

// ConfirmView asks for a reason before something with consequences is done. It is the page behind every
// dialog, so that the same action works without JavaScript.
type ConfirmView struct {
	Page layout.Page
	// Title is the question, Consequence what happens, Confirm the word on the button.
	Title, Consequence, Confirm string
	// Subject is the id of what it is about, for names that are not unique; empty shows none.
	Subject string
	// Action is where the form posts to, Cancel where the way back leads.
	Action, Cancel string
	// Danger marks what cannot be undone or takes access away.
	Danger bool
	// NeedsReason shows the reason field.
	NeedsReason bool
	Reason      string
	Hidden      map[string]string
	Errors      Errors
}

// InviteView is the form that invites someone.
type InviteView struct {
	Page   layout.Page
	Email  string
	Role   string
	Roles  []Option
	Errors Errors
	// Once marks this form, so that sending it again makes no second invitation; empty sends none.
	Once string
}

// InvitedView shows the link of a new invitation, once.
type InvitedView struct {
	Page        layout.Page
	Now         time.Time
	Email, Role string
	Link        string
	ExpiresAt   time.Time
}

// InvitationsView is the list of invitations.
type InvitationsView struct {
	Page     layout.Page
	Now      time.Time
	Rows     []InvitationRow
	CanWrite bool
}

// InvitationRow is one invitation. Status is pending, accepted, expired or revoked.
type InvitationRow struct {
	ID, Email, Role, InvitedBy, Status string
	CreatedAt, ExpiresAt               time.Time
}

// SessionsView lists the sessions of the visitor.
type SessionsView struct {
	Page layout.Page
	Now  time.Time
	Rows []SessionRow
}

// SessionRow is one signed-in browser.
type SessionRow struct {
	ID, IP, UserAgent string
	// Browser is a short name made from UserAgent, such as "Firefox on Linux".
	Browser                          string
	Current                          bool
	CreatedAt, LastSeenAt, ExpiresAt time.Time
}

// ProfileView is one's own page.
type ProfileView struct {
	Page              layout.Page
	Now               time.Time
	Email, Name, Role string
	RoleText          string
	PasswordChangedAt time.Time
	LastSignInAt      time.Time
	Sessions          int
	NameErrors        Errors
	PasswordErrors    Errors
	MinPassword       int
}

// KeysView is the list of API keys.
type KeysView struct {
	Page                 layout.Page
	Now                  time.Time
	Rows                 []KeyRow
	Total, Number, Limit int
	Search, Status, Sort string
	CanWrite             bool
}

// KeyRow is one API key. Status is active, expired or revoked.
type KeyRow struct {
	ID, Name, Status, CreatedBy                 string
	Scopes                                      []string
	CreatedAt, ExpiresAt, LastUsedAt, RevokedAt time.Time
}

// KeyNewView is the form that makes a key.
type KeyNewView struct {
	Page   layout.Page
	Name   string
	Scopes []ScopeChoice
	// Connections is the text field of further call:<connection> scopes, space-separated.
	Connections string
	// Expiry is the chosen lifetime: "30", "90", "365" days or "never".
	Expiry   string
	Expiries []Option
	Errors   Errors
	// Once marks this form, so that sending it again makes no second key; empty sends none.
	Once string
}

// ScopeChoice is one scope to tick.
type ScopeChoice struct {
	Value, Label, Hint string
	Checked            bool
}

// KeyCreatedView shows a new key, once.
type KeyCreatedView struct {
	Page      layout.Page
	Now       time.Time
	Name      string
	ID        string
	Key       string
	Scopes    []string
	ExpiresAt time.Time
	// Example is a curl command that uses the key.
	Example string
}
