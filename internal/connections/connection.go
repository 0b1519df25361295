package connections

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"switchgear/internal/audit"
	"switchgear/internal/credentials"
)

// The kinds of connection.
const (
	KindREST    = "rest"
	KindGRPC    = "grpc"
	KindWebhook = "webhook"
	KindBroker  = "broker"
)

// Kinds returns every kind.
func Kinds() []string { return []string{KindREST, KindGRPC, KindWebhook, KindBroker} }

// Environments returns what a connection may be for, the most serious first.
func Environments() []string { return []string{"production", "staging", "development", "sandbox"} }

// The states of a connection.
const (
	StateActive = "active"
	StatePaused = "paused"
)

// States returns every state.
func States() []string { return []string{StateActive, StatePaused} }

// GenericProvider stands for any system that speaks HTTP.
const GenericProvider = "generic-rest"

// The causes of a version.
const (
	CauseCreate     = "create"
	CauseDuplicate  = "duplicate"
	CauseEdit       = "edit"
	CauseCredential = "credential"
	CausePause      = "pause"
	CauseResume     = "resume"
	CauseRollback   = "rollback"

	CauseRotationSwitch   = "rotation_switch"   // a staged credential is in use
	CauseRotationRollback = "rotation_rollback" // the old one is in use again
)

// Connection is one connection as its active version defines it.
type Connection struct {
	ID, Slug, Name, Kind, Provider, Environment, BaseURL string

	AuthType string
	// AuthFields are the values of the fields of the default account that are not secret.
	AuthFields map[string]string
	// AuthSecrets are the names of its secret fields that are set, sorted. Empty for a type that has
	// secrets means that the credential is missing.
	AuthSecrets []string
	// CredentialMark changes with the secrets of the default account, and tells nothing about them.
	CredentialMark string
	// Policy is the part of the policy that was written for this connection, as a JSON object.
	Policy json.RawMessage
	// State is active or paused.
	State   string
	Version int
	// LastKnownGood is the newest version that was seen to work, 0 when there is none.
	LastKnownGood int
	LogBodies     bool
	// RequireChecklist lets calls through in production only once the checklist is complete.
	RequireChecklist     bool
	Requirements         Requirements
	Documentation        Documentation
	CreatedAt, UpdatedAt time.Time
}

// Draft returns what an edit starts from: everything but the secrets, which stay as they are when left out.
func (c Connection) Draft() Draft {
	c.Documentation.Contacts = slices.Clone(c.Documentation.Contacts)
	return Draft{
		Name: c.Name, Slug: c.Slug, Kind: c.Kind, Provider: c.Provider, Environment: c.Environment, BaseURL: c.BaseURL,
		Auth:   Auth{Type: c.AuthType, Fields: maps.Clone(c.AuthFields)},
		Policy: slices.Clone(c.Policy), LogBodies: c.LogBodies, RequireChecklist: c.RequireChecklist, Requirements: &c.Requirements, Documentation: &c.Documentation,
	}
}

func (c Connection) target() audit.Target {
	return audit.Target{Kind: "connection", ID: c.ID, Name: c.Slug}
}

// Auth is a credential on its way in. It prints and encodes without values.
type Auth struct {
	Type   string
	Fields map[string]string
	// ExpiresOn is the last day of the secret as 2027-01-31, empty for none known. nil leaves what there is: the
	// day that was set, unless the secret is another one.
	ExpiresOn *string
	// Origin is what the values were entered for, as credentials.OriginOf has it; empty is wherever the connection
	// goes to.
	Origin string
}

// String names the type and the fields, never a value.
func (a Auth) String() string {
	return fmt.Sprintf("auth %s %v", a.Type, slices.Sorted(maps.Keys(a.Fields)))
}

// Format implements fmt.Formatter for every verb.
func (a Auth) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(a.String())) }

// MarshalJSON writes the type and the names of the fields.
func (a Auth) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type   string   `json:"type"`
		Fields []string `json:"fields"`
	}{a.Type, slices.Sorted(maps.Keys(a.Fields))})
}

// Draft is what somebody wants a connection to be. On an edit, what is left empty stays as it is (a
// policy of {} is not empty: it goes back to the defaults); LogBodies and RequireChecklist are always taken as they
// are.
type Draft struct {
	Name string
	// Slug names the connection in URLs and key scopes. Empty on create: made from the name. It never changes.
	Slug string
	// Kind is empty for that of the provider.
	Kind string
	// Provider is empty for generic-rest.
	Provider string
	// Environment is empty for development.
	Environment string
	// BaseURL is empty for that of the provider.
	BaseURL string
	// Auth is the credential of the default account. An empty type stands for the one in use, or the
	// provider's first. While the type stays the same, fields that are left out keep their value.
	Auth Auth
	// Policy is laid over that of the provider and the product; empty is {}.
	Policy    json.RawMessage
	LogBodies bool
	// RequireChecklist lets calls through in production only once the checklist is complete: the connection
	// begins paused, and resuming it asks for that.
	RequireChecklist bool
	// Requirements and Documentation are nil for those there are, or none on create.
	Requirements  *Requirements
	Documentation *Documentation
}

// Query selects connections; empty fields select every one.
type Query struct {
	// Search is words that all occur in the name, slug, provider or host.
	Search                             string
	Kind, State, Environment, Provider string
	// Sort is name, slug, kind, provider, environment, state, created_at or updated_at; "-" before it
	// reverses. Empty is name.
	Sort  string
	Page  int // from 1
	Limit int // 50 when zero, 200 at most
}

// Page is one page of connections and the number of all that match.
type Page struct {
	Connections []Connection
	Total       int
}

// Definition is everything that a version says, without secrets.
type Definition struct {
	Name        string          `json:"name"`
	Slug        string          `json:"slug"`
	Kind        string          `json:"kind"`
	Provider    string          `json:"provider"`
	Environment string          `json:"environment"`
	BaseURL     string          `json:"base_url"`
	State       string          `json:"state"`
	Auth        DefinitionAuth  `json:"auth"`
	Policy      json.RawMessage `json:"policy"`
	LogBodies   bool            `json:"log_bodies"`

	RequireChecklist bool `json:"require_checklist,omitempty"`

	Requirements  Requirements  `json:"requirements,omitzero"`
	Documentation Documentation `json:"documentation,omitzero"`
}

// DefinitionAuth refers to the credential of the default account.
type DefinitionAuth struct {
	Type string `json:"type"`
	// Fields are the values of the fields that are not secret.
	Fields map[string]string `json:"fields"`
	// Marks has a random mark for each secret field; see [credentials.Credential].
	Marks map[string]string `json:"marks"`
	// CredentialID and CredentialVersion are empty when there was no credential.
	CredentialID      string `json:"credential_id,omitempty"`
	CredentialVersion int64  `json:"credential_version,omitempty"`
}

func authOf(c credentials.Credential) DefinitionAuth {
	return DefinitionAuth{
		Type: c.AuthType, Fields: c.Settings, Marks: c.Marks, CredentialID: c.ID, CredentialVersion: c.Version,
	}
}

// sameCredential reports whether both use the same values, whichever version holds them.
func (d DefinitionAuth) sameCredential(o DefinitionAuth) bool {
	return d.Type == o.Type && maps.Equal(d.Fields, o.Fields) && maps.Equal(d.Marks, o.Marks)
}

// Version is one entry of the history of a connection.
type Version struct {
	Version int
	// Active and LastKnownGood mark at most one version each.
	Active, LastKnownGood bool
	// Cause is one of the Cause constants.
	Cause string
	// CopiedFrom is the version that a rollback brought back, 0 otherwise.
	CopiedFrom             int
	Reason                 string
	AuthorKind, AuthorName string
	CreatedAt              time.Time
	Definition             Definition
}

// Change is one field that differs between two versions. Of a secret only that it changed is known:
// Before and After then are "", "set" or "changed".
type Change struct {
	Field, Before, After string
	Secret               bool
}
