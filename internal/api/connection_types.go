package api

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"switchgear/internal/connections"
	"switchgear/internal/runtime"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// Connection is a connection as the API shows it.
type Connection struct {
	ID          string `json:"id" example:"con_01k8"`
	Slug        string `json:"slug" example:"stripe" doc:"Names the connection in URLs and key scopes. It never changes."`
	Name        string `json:"name" example:"Stripe live"`
	Kind        string `json:"kind" enum:"rest,grpc,webhook,broker"`
	Provider    string `json:"provider" example:"stripe"`
	Environment string `json:"environment" enum:"production,staging,development,sandbox"`
	BaseURL     string `json:"base_url" example:"https://api.stripe.com"`
	Auth        Auth   `json:"auth"`
	Policy      Policy `json:"policy" doc:"What was written for this connection. What is left out comes from the provider or the product."`
	LogBodies   bool   `json:"log_bodies"`

	RequireChecklist bool `json:"require_checklist" doc:"Calls go through in production only once the checklist is complete: the connection begins paused, and resuming it answers 409 with what is open."`

	Requirements  connections.Requirements  `json:"requirements,omitzero" doc:"What the connection is for and what is expected of it."`
	Documentation connections.Documentation `json:"documentation,omitzero" doc:"Runbook and notes in Markdown, contacts, links."`

	Status string `json:"status" enum:"active,paused"`
	// Health is in lists only: a change may be the cause of another status.
	Health        *HealthSummary `json:"health,omitempty" doc:"How it is; in lists only."`
	Version       int            `json:"version" doc:"The active version; it is also the ETag."`
	LastKnownGood int            `json:"last_known_good,omitempty" doc:"The newest version that was seen to work."`
	CreatedAt     time.Time      `json:"created_at"`
	UpdatedAt     time.Time      `json:"updated_at"`
}

// Auth is how a connection authenticates, without secrets.
type Auth struct {
	Type    string            `json:"type" example:"bearer"`
	Fields  map[string]string `json:"fields" example:"{}" doc:"The values that are not secret."`
	Secrets []string          `json:"secrets" example:"[\"token\"]" nullable:"false" doc:"The names of the secret fields that are set. Their values are never returned."`
	// ExpiresOn is of accounts and rotations only: it is no part of a definition.
	ExpiresOn string `json:"expires_on,omitempty" format:"date" doc:"The last day of the secret, as somebody set it; of accounts and rotations only."`
}

// AuthInput is a credential on its way in.
type AuthInput struct {
	Type      string            `json:"type,omitempty" example:"bearer" doc:"Left out: the first of the provider."`
	Fields    map[string]string `json:"fields,omitempty" example:"{\"token\":\"sk_…\"}" doc:"Secret fields are write-only. Left out, they keep their value while the type stays the same."`
	ExpiresOn *string           `json:"expires_on,omitempty" example:"2027-01-31" doc:"The last day (UTC) of the secret. It announces: the secret is used for as long as the service accepts it. Left out: it stays, unless the secret is another one. An empty text: none is known. It is no part of a version."`
}

func (a AuthInput) auth() connections.Auth {
	return connections.Auth{Type: a.Type, Fields: a.Fields, ExpiresOn: a.ExpiresOn}
}

// ConnectionInput is what a connection is made of.
type ConnectionInput struct {
	Name        string    `json:"name" example:"Stripe live"`
	Slug        string    `json:"slug,omitempty" example:"stripe" doc:"Left out: made from the name."`
	Kind        string    `json:"kind,omitempty" example:"rest" doc:"rest, grpc, webhook or broker. Left out: that of the provider."`
	Provider    string    `json:"provider,omitempty" example:"stripe" doc:"A provider of the catalogue. Left out: generic-rest."`
	Environment string    `json:"environment,omitempty" example:"production" doc:"production, staging, development or sandbox. Left out: development."`
	BaseURL     string    `json:"base_url,omitempty" example:"https://api.stripe.com" doc:"Left out: that of the provider."`
	Auth        AuthInput `json:"auth,omitzero"`
	Policy      Policy    `json:"policy,omitzero"`
	LogBodies   bool      `json:"log_bodies,omitempty"`

	RequireChecklist bool `json:"require_checklist,omitempty" doc:"Calls go through in production only once the checklist is complete: the connection begins paused, and resuming it answers 409 with what is open."`

	Requirements  connections.Requirements  `json:"requirements,omitzero" doc:"What the connection is for and what is expected of it."`
	Documentation connections.Documentation `json:"documentation,omitzero" doc:"Runbook and notes in Markdown, contacts, links."`
}

func (in ConnectionInput) draft() connections.Draft {
	return connections.Draft{
		Name: in.Name, Slug: in.Slug, Kind: in.Kind, Provider: in.Provider, Environment: in.Environment, BaseURL: in.BaseURL,
		Auth: in.Auth.auth(), Policy: json.RawMessage(in.Policy), LogBodies: in.LogBodies, RequireChecklist: in.RequireChecklist,
		Requirements: &in.Requirements, Documentation: &in.Documentation,
	}
}

// Policy is the part of a policy that is written down; what is left out has a default. The runtime knows
// its fields and checks them.
type Policy json.RawMessage

// MarshalJSON implements json.Marshaler.
func (p Policy) MarshalJSON() ([]byte, error) { return json.RawMessage(p).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (p *Policy) UnmarshalJSON(raw []byte) error { return (*json.RawMessage)(p).UnmarshalJSON(raw) }

// Schema implements huma.SchemaProvider: the fields of the runtime, each of which may be left out.
func (Policy) Schema(huma.Registry) *huma.Schema {
	own := huma.NewMapRegistry("#/", huma.DefaultSchemaNamer)
	s := optional(own, own.Schema(typeOf[runtime.Policy](), true, "Policy"))
	s.Examples = []any{map[string]any{"timeout": "10s", "retry": map[string]any{"max_attempts": 3}}}
	return s
}

// optional is a schema without references in which nothing is required.
func optional(r huma.Registry, s *huma.Schema) *huma.Schema {
	for s.Ref != "" {
		s = r.SchemaFromRef(s.Ref)
	}
	out := &huma.Schema{Type: s.Type, Format: s.Format, AdditionalProperties: s.AdditionalProperties}
	if s.Items != nil {
		out.Items = optional(r, s.Items)
		return out
	}
	for name, field := range s.Properties {
		if out.Properties == nil {
			out.Properties = map[string]*huma.Schema{}
		}
		out.Properties[name] = optional(r, field)
	}
	return out
}
