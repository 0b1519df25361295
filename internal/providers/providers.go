// Package providers is the catalogue of the systems that a connection can be made to.
//
// A provider is data, never code: one file catalog/<slug>.yaml says where the system is, how it wants
// to be authenticated, how it tells its limits and how it signs its webhooks. A new connection starts
// from these values. Invariants:
//
//   - A field that is left out is not known; nothing is guessed in its place.
//   - The files are checked as a whole by [Load]: one mistake fails all of them, with file and line.
//   - No file holds a secret, and a preset never fills a secret field.
//   - A Catalog is immutable; what it returns belongs to the caller.
package providers

import (
	"encoding/json"
	"maps"
	"slices"
)

// The kinds of system.
const (
	KindREST    = "rest"
	KindGRPC    = "grpc"
	KindWebhook = "webhook"
	KindBroker  = "broker"
)

// Provider describes one outside system.
type Provider struct {
	// Slug is the stable identifier, the same as the name of the file.
	Slug string
	// Name is what people call the system; no two providers share one.
	Name string
	// Kind is rest, grpc, webhook or broker.
	Kind string
	// Category is one of the known categories, such as payments.
	Category string
	// Docs links to the vendor's reference; empty for the generic providers.
	Docs string
	// Summary says in a sentence what the system is for.
	Summary string
	// BaseURL is what paths are appended to. It may hold {placeholders}, or be empty where only the
	// user can know it; BaseURLEditable is true in both cases.
	BaseURL string
	// BaseURLEditable is true when the user is expected to change BaseURL: placeholders, regions,
	// test environments, installations of one's own.
	BaseURLEditable bool
	// Auth lists the ways to authenticate, the recommended one first; there is at least one.
	Auth []Auth
	// RateLimit says how the system tells its limits.
	RateLimit RateLimit
	// Pagination is the style of its lists: cursor, link-header, page, offset, token, none. Empty: not known.
	Pagination string
	// Webhook names the scheme that its webhooks are signed with; none says that nothing is signed.
	// Empty: not known.
	Webhook string
	// Health is a cheap request that fails when the credential is wrong. Empty: there is none.
	Health Health
	// Policy overrides parts of the product's default policy, as a JSON object; nil overrides nothing.
	Policy json.RawMessage
}

// Auth is one way to authenticate with a provider.
type Auth struct {
	// Type is an auth type by its name, such as api_key.
	Type string
	// Label says what the vendor calls it and where to find it.
	Label string
	// Fields presets fields of the auth type; never a secret one.
	Fields map[string]string
}

// RateLimit is how a provider tells its limits.
type RateLimit struct {
	// Dialect names the response headers, see the Dialect constants. Empty: not known.
	Dialect string
	// Note says what the vendor documents, for people.
	Note string
}

// Health is a request that shows whether the system answers and the credential is good.
type Health struct {
	// Method is GET or HEAD.
	Method string
	// Path starts with a slash and is appended to the base URL. It may have a query.
	Path string
}

// clone returns a copy that shares nothing with p.
func (p Provider) clone() Provider {
	p.Auth = slices.Clone(p.Auth)
	for i := range p.Auth {
		p.Auth[i].Fields = maps.Clone(p.Auth[i].Fields)
	}
	p.Policy = slices.Clone(p.Policy)
	return p
}
