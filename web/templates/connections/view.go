// Package connections holds the pages about connections: the list, the catalogue, the form, and one
// connection with its accounts, versions and calls. View models are plain values; they know no domain
// package.
package connections

import (
	"time"

	"switchgear/web/templates/alerts"
	"switchgear/web/templates/breakers"
	"switchgear/web/templates/calls"
	"switchgear/web/templates/layout"
)

// Errors maps a form field to what is wrong with it. The empty key holds what concerns no one field.
// The names of the domain are understood as well: "auth.fields.token" belongs to the field "auth.token",
// "auth.type" to "auth_type", "policy.breaker.window" to the text "policy".
type Errors map[string]string

// Option is one choice of a select.
type Option struct{ Value, Label string }

// ListView is the list of connections. Its filters are q, state, kind, environment, provider; sort is by
// name, state, provider, environment.
type ListView struct {
	Page                                             layout.Page
	Now                                              time.Time
	Rows                                             []Row
	Total, Number, Limit                             int
	Search, State, Kind, Environment, Provider, Sort string
	// Kinds, Environments and Providers are the choices of the filters, without the one for "any".
	Kinds, Environments, Providers []Option
	CanConfigure                   bool
}

// Row is one connection in the list.
type Row struct {
	Slug, Name string
	// Provider is its name, Auth the label of the auth type.
	Provider, Kind, Environment, Auth string
	// State is active or paused.
	State   string
	Version int
	// Breaker is the state of its breaker; nil when nothing is known of it.
	Breaker *breakers.Status
	// Calls, Failed and Points (calls of each minute) are those of the last 15 minutes. Refused are those of Calls that
	// we did not let out, which are no failures.
	Calls, Failed, Refused int64
	Points                 []float64
	LastSuccess            time.Time
	// Done and Items are of the checklist; no items before the connection was judged.
	Done, Items int
}

// ChooseView is the catalogue: what a new connection is for. Its filters are q and category.
type ChooseView struct {
	Page             layout.Page
	Search, Category string
	Categories       []Option
	// Providers are those that match, in the order shown; generic-rest comes first wherever it is.
	Providers []Provider
	// All is the number of providers in the catalogue.
	All int
}

// Provider is one entry of the catalogue.
type Provider struct {
	Slug, Name, Category, Summary, Kind string
	// Auth are the labels of its auth types.
	Auth []string
	// Docs leads to the vendor's reference; may be empty.
	Docs string
}

// Mode says what the form makes.
type Mode string

// The modes of the form.
const (
	ModeNew       Mode = "new"
	ModeEdit      Mode = "edit"
	ModeDuplicate Mode = "duplicate"
)

// FormView is the form of a connection. It posts to /connections/new, /connections/{From}/edit or
// /connections/{From}/duplicate; the last asks for name and slug only. The button "change" sends the
// same form with change=auth: show it again with the fields of the chosen auth type.
type FormView struct {
	Page layout.Page
	Mode Mode
	// From is the slug of the connection that is edited or copied, Version the version that the edit
	// starts from, sent back as "version".
	From    string
	Version int
	// Provider is what the connection is for; its slug is sent as "provider".
	Provider Provider
	Name     string
	// Slug cannot be changed by an edit.
	Slug string
	// CopiesCredentials is true when a duplicate gets the credentials of the original.
	CopiesCredentials bool
	Environment, Kind string
	Environments      []Option
	Kinds             []Option
	BaseURL           string
	// BoundTo is the origin that stored secrets are for; empty when there are none. Move is what saving would do to
	// the accounts; sent back as "moves", its To agrees to it.
	BoundTo string
	Move    Move
	// BaseURLHint says what belongs into the placeholders of the base URL.
	BaseURLHint string
	AuthType    string
	AuthTypes   []Option
	Auth        []AuthField
	// Expiry is when the secret ends; nil where that is not asked for.
	Expiry *Expiry
	// OAuth is nil for auth types without an authorization server.
	OAuth *OAuthForm
	// Timeout, AttemptTimeout and MaxAttempts are sent as policy.timeout, policy.attempt_timeout and
	// policy.retry.max_attempts; empty stands for the defaults.
	Timeout, AttemptTimeout, MaxAttempts string
	// HedgeAfter and FallbackConnection are sent as policy.hedge.after and policy.fallback.connection.
	HedgeAfter, FallbackConnection string
	// DefaultTimeout, DefaultAttemptTimeout and DefaultMaxAttempts are shown in the empty fields.
	DefaultTimeout, DefaultAttemptTimeout, DefaultMaxAttempts string
	Health                                                    HealthForm
	// Policy is the rest of the policy as JSON, sent as "policy".
	Policy    string
	LogBodies bool
	// RequireChecklist lets calls through in production only once the checklist is complete.
	RequireChecklist bool
	Reason           string
	Errors           Errors
	// WhatIf is shown below the form of an edit.
	WhatIf WhatIf
}

// Move is what it does to accounts that a connection goes to another scheme, host or port.
type Move struct {
	From, To string
	// Refused are the accounts that are refused then, Back those that work again.
	Refused, Back []string
}

// AuthField is one field of an auth type; its control is called "auth." + Name.
type AuthField struct {
	Name, Label string
	// Type is text, secret, select, textarea or headers (one "Name: value" a line).
	Type     string
	Help     string
	Required bool
	// Secret fields never show a value; Set says that one is stored, which an empty field keeps.
	Secret, Set bool
	Value       string
	Options     []Option
	// Shared fields that stay empty are as those of the account default.
	Shared bool
	// Rare fields are folded away while they are empty.
	Rare bool
}

// OAuthForm is what the form of a connection offers beside the fields of an OAuth client. The button "change"
// sends change=discover (fill in from Server, sent as "server") or change=register (make a client there).
type OAuthForm struct {
	// Server is the address of an issuer or an API.
	Server string
	// RedirectURI is what has to be registered at the server; empty for grants without one. RedirectOpen says
	// that it still lacks the slug at its end.
	RedirectURI  string
	RedirectOpen bool
	// CanRegister offers the second button; Consented says that a person consents to the account, which exists.
	CanRegister, Consented bool
	// Found says what was filled in, after one of the buttons; Warning what is missing.
	Found, Warning string
	// Registered is the sealed secret of a client that was made by the button; it is sent back as it is.
	Registered string
}

// Header is the top of every page of one connection.
type Header struct {
	Slug, Name, Host string
	// State is active or paused.
	State   string
	Version int
	// Accounts is shown at the tab; 0 shows no number.
	Accounts int
	// Breaker is the state of its breaker, as of Now; nil when nothing is known of it. Troubled counts its
	// operations whose breakers keep calls back.
	Breaker  *breakers.Status
	Now      time.Time
	Troubled int
	// Checklist is shown at the tab: "9/12"; empty before the connection was judged.
	Checklist string
	// Dependents name what stops working when the connection is deleted: "1 API key that names it: shop".
	Dependents []string
	// CanConfigure allows to edit, duplicate, delete and test; CanOperate to pause, resume and roll back;
	// CanMakeKeys to make a key for applications.
	CanConfigure, CanOperate, CanMakeKeys bool
}

// DetailView is the first tab of a connection.
type DetailView struct {
	Page layout.Page
	Now  time.Time
	Head Header
	// Alerts are those that fire for the connection, the worst first.
	Alerts []alerts.Row

	// Health is how it is.
	Health HealthStatus

	ID, Provider, Kind, Environment, BaseURL string
	// Auth is the label of the auth type.
	Auth                 string
	LogBodies            bool
	LastKnownGood        int
	CreatedAt, UpdatedAt time.Time

	// ProxyURL is where applications send their requests, Example a curl command that does. Neither
	// holds a key.
	ProxyURL, Example string

	// Traffic of the last 15 minutes; Points and FailedPoints by the minute. Refused are as in [Row].
	Calls, Failed, Refused int64
	Points, FailedPoints   []float64
	// LastSuccess and LastFailure are zero when none is known. LastError says how the last failure ended.
	LastSuccess, LastFailure time.Time
	LastError                string
	// P95 is zero without calls; Latency is the mean by the minute.
	P95     time.Duration
	Latency []float64

	// PausedBy and PausedWhy tell about the pause of a connection that is paused.
	PausedBy, PausedWhy string

	// Policy is the policy in force, as facts.
	Policy     []Fact
	Credential Credential
	// Course is the traffic over a longer time.
	Course Course
}

// Fact is one name and its value. Hint says where the value comes from.
type Fact struct{ Key, Value, Hint string }

// Credential is what is known about the credential of an account; never a value of it.
type Credential struct {
	// Account is default or the name of another one.
	Account string
	// Auth is the label of the auth type.
	Auth string
	// State is active, needs_reauth, revoked, corrupt, other_origin, or missing when nothing is stored.
	State string
	// EnteredFor is the origin that what is secret is for, GoesTo that of the connection.
	EnteredFor, GoesTo string
	// Fields are the names of the fields that are set.
	Fields                []string
	UpdatedAt, LastUsedAt time.Time
	// Reveal is where a secret of it can be asked for; empty where none is shown.
	Reveal string
	// LastKey is the API key that it was last used for; the zero KeyUse when none is known.
	LastKey KeyUse
	// ExpiresOn is the end of the last day of its secret, zero when none is set; ExpiresSetBy is who set it.
	ExpiresOn    time.Time
	ExpiresSetBy string
	// Token is what is known about the token of OAuth 2; nil for a kind without one.
	Token *Token
	// Rotatable says that it can be rotated with overlap, Rotation how far that is; nil when none is under way.
	Rotatable bool
	Rotation  *Rotation
}

// KeyUse is that a credential was used for an API key, which may be gone by now.
type KeyUse struct {
	ID, Name string
	At       time.Time
}

// Token is that of an account. Without one that is connected, calls are refused.
type Token struct {
	// Connect is where a person connects the account, or connects it again; empty where nobody has to.
	Connect   string
	Connected bool
	Scopes    []string
	// ExpiresAt is zero when the service did not say; Renewable says that it is renewed by itself.
	ExpiresAt time.Time
	Renewable bool
	// Problem says why the last renewal failed; empty when it did not.
	Problem string
}

// AccountsView is the tab of the accounts. Its form posts to /connections/{slug}/accounts: account,
// auth_type, auth.*, reason. The button "change" sends it with change=auth.
type AccountsView struct {
	Page layout.Page
	Now  time.Time
	Head Header
	Rows []Credential
	Form AccountForm
	// Import brings a token along; nil where accounts are not connected by a person.
	Import *ImportForm
	// History is what happened to the credentials.
	History CredentialHistory
}

// AccountForm adds an account, or replaces the credential of one.
type AccountForm struct {
	// Replace is true when Account exists, so that its name is fixed.
	Replace bool
	// Rotating says that the credential is being rotated, so that it is not replaced here.
	Rotating  bool
	Account   string
	AuthType  string
	AuthTypes []Option
	Auth      []AuthField
	// Expiry is when the secret ends; nil where that is not asked for.
	Expiry *Expiry
	// Shares says that fields that stay empty are as those of the account default, Consented that a person consents to
	// the account.
	Shares, Consented bool
	Reason            string
	Errors            Errors
}

// VersionsView is the tab of the versions. The form that compares asks for ?a=&b=.
type VersionsView struct {
	Page layout.Page
	Now  time.Time
	Head Header
	Rows []Version
	// A and B are the versions that are compared; 0 when none are. Diff is what changed from A to B.
	A, B int
	Diff []Change
	// Problem says why the two could not be compared.
	Problem string
}

// Version is one entry of the history.
type Version struct {
	Number                int
	Active, LastKnownGood bool
	Author                string
	Reason                string
	// Cause is create, duplicate, edit, credential, pause, resume or rollback.
	Cause string
	// CopiedFrom is the version that a rollback brought back.
	CopiedFrom int
	CreatedAt  time.Time
}

// Change is one field that differs between two versions. Of a secret nothing but that is known.
type Change struct {
	Field, Before, After string
	Secret               bool
}

// RollbackView shows what a rollback changes before it is done. It posts "reason" to
// /connections/{slug}/versions/{n}/activate.
type RollbackView struct {
	Page layout.Page
	Now  time.Time
	Head Header
	// Version is the one to bring back.
	Version Version
	// Changes lead from the active version to what a rollback makes of it.
	Changes []Change
	// Move is what another address does to the accounts.
	Move Move
	// CredentialGone says that the credential of the version is no longer stored, and that the present one stays.
	CredentialGone bool
	// Problem says why the version cannot be brought back; empty when it passed every check.
	Problem string
	Reason  string
	Errors  Errors
	// CanTry offers to try its policy on the recorded calls, WhatIf is the answer.
	CanTry bool
	WhatIf WhatIf
}

// CallsView is the tab of the calls. Address of Calls has to be /connections/{slug}/calls.
type CallsView struct {
	Page  layout.Page
	Head  Header
	Calls calls.ListView
}

// BreakerView is the tab of the breakers and limits.
type BreakerView struct {
	Page    layout.Page
	Head    Header
	Breaker breakers.TabView
}

// TestView is what a test of the credential showed.
type TestView struct {
	Page layout.Page
	Now  time.Time
	Head Header
	// Account is whose credential was used.
	Account string
	// Method and URL are what was sent; a query is redacted.
	Method, URL string
	// Status is 0 when there was no answer.
	Status int
	// Outcome is its machine name, OutcomeLabel what is shown.
	Outcome, OutcomeLabel string
	Took                  time.Duration
	// OK is true when the credential was accepted. Message says so or why not, Hint what to do next.
	OK            bool
	Message, Hint string
	// Reconnect is where a person connects the account again; empty where that would not help.
	Reconnect string
	// Body is the beginning of the answer, if it is text.
	Body string
}

// Question is what a confirmation asks.
type Question string

// The questions. Each posts "reason" to the address it is asked at; QuestionDelete also "confirm".
const (
	QuestionPause         Question = "pause"
	QuestionResume        Question = "resume"
	QuestionDelete        Question = "delete"
	QuestionDeleteAccount Question = "delete-account"
	QuestionRevokeAccount Question = "revoke-account"
)

// ConfirmView is the page behind every dialog, so that the same action works without JavaScript.
type ConfirmView struct {
	Page     layout.Page
	Question Question
	Head     Header
	// Account is the one to delete.
	Account string
	Reason  string
	Errors  Errors
}
