package api

import (
	"context"
	"net/http"
	"slices"

	"switchgear/internal/providers"
)

// catalog finds providers; *providers.Catalog is one.
type catalog interface {
	Find(slug string) (providers.Provider, error)
	Search(text, category string) []providers.Provider
	Categories() []string
}

// Provider is a system of the catalogue.
type Provider struct {
	Slug            string            `json:"slug" example:"stripe"`
	Name            string            `json:"name" example:"Stripe"`
	Kind            string            `json:"kind" enum:"rest,grpc,webhook,broker"`
	Category        string            `json:"category" example:"payments"`
	Summary         string            `json:"summary"`
	Docs            string            `json:"docs,omitempty" doc:"The reference of the vendor."`
	BaseURL         string            `json:"base_url" doc:"May hold {placeholders}; empty where only the user knows it."`
	BaseURLEditable bool              `json:"base_url_editable"`
	Auth            []ProviderAuth    `json:"auth" nullable:"false" doc:"The ways to authenticate, the recommended one first."`
	RateLimit       ProviderRateLimit `json:"rate_limit"`
	Pagination      string            `json:"pagination,omitempty"`
	Webhook         string            `json:"webhook,omitempty" doc:"How its webhooks are signed."`
	Health          *ProviderHealth   `json:"health,omitempty" doc:"A cheap request that fails when the credential is wrong."`
	Policy          Policy            `json:"policy" doc:"What a connection gets when it does not say otherwise."`
}

// ProviderAuth is one way to authenticate with a provider.
type ProviderAuth struct {
	Type   string            `json:"type" example:"bearer"`
	Label  string            `json:"label,omitempty"`
	Fields map[string]string `json:"fields" example:"{}" doc:"Values that are preset; never a secret."`
}

// ProviderRateLimit is how a provider tells its limits.
type ProviderRateLimit struct {
	Dialect string `json:"dialect,omitempty"`
	Note    string `json:"note,omitempty"`
}

// ProviderHealth is a request that shows whether the system answers.
type ProviderHealth struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

func providerOf(p providers.Provider) Provider {
	out := Provider{
		Slug: p.Slug, Name: p.Name, Kind: p.Kind, Category: p.Category, Summary: p.Summary, Docs: p.Docs,
		BaseURL: p.BaseURL, BaseURLEditable: p.BaseURLEditable, Pagination: p.Pagination, Webhook: p.Webhook, Policy: policyOf(p.Policy),
		RateLimit: ProviderRateLimit{Dialect: p.RateLimit.Dialect, Note: p.RateLimit.Note},
		Auth: each(p.Auth, func(a providers.Auth) ProviderAuth {
			fields := a.Fields
			if fields == nil {
				fields = map[string]string{}
			}
			return ProviderAuth{Type: a.Type, Label: a.Label, Fields: fields}
		}),
	}
	if p.Health.Path != "" {
		out.Health = &ProviderHealth{Method: p.Health.Method, Path: p.Health.Path}
	}
	return out
}

type providerList struct {
	Body struct {
		Data []Provider `json:"data" nullable:"false"`
		Meta Meta       `json:"meta"`
	}
}

// providerRoutes serve the catalogue. It is the same for everybody and changes with the program only.
func (v *version) providerRoutes() {
	const tag = "Providers"
	register(v, route{
		method: http.MethodGet, path: "/providers", id: "list-providers", tag: tag, summary: "List the catalogue",
		description: "Sorted by name, slug or category.",
	}, v.listProviders)
	register(v, route{
		method: http.MethodGet, path: "/providers/{slug}", id: "get-provider", tag: tag, summary: "Read a provider",
	}, func(_ context.Context, in *struct {
		Slug string `path:"slug" doc:"The slug of the provider." example:"stripe"`
	},
	) (*struct{ Body Provider }, error) {
		p, err := v.deps.Providers.Find(in.Slug)
		return &struct{ Body Provider }{providerOf(p)}, err
	})
}

func (v *version) listProviders(_ context.Context, in *struct {
	Paging

	Search   string `query:"filter[search]" doc:"Words that occur in the name, slug or category."`
	Category string `query:"filter[category]" doc:"Such as payments."`
	Kind     string `query:"filter[kind]" doc:"rest, grpc, webhook or broker."`
},
) (*providerList, error) {
	if err := oneOf("filter[category]", in.Category, v.deps.Providers.Categories()); err != nil {
		return nil, err
	}
	if err := oneOf("filter[kind]", in.Kind, []string{providers.KindREST, providers.KindGRPC, providers.KindWebhook, providers.KindBroker}); err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(v.deps.Providers.Search(in.Search, in.Category), func(p providers.Provider) bool { return in.Kind != "" && p.Kind != in.Kind })
	if err := sortBy(all, in.Sort, []order[providers.Provider]{
		{"name", func(a, b providers.Provider) int { return compare(a.Name, b.Name) }},
		{"slug", func(a, b providers.Provider) int { return compare(a.Slug, b.Slug) }},
		{"category", func(a, b providers.Provider) int { return compare(a.Category, b.Category) }},
	}); err != nil {
		return nil, err
	}
	out := &providerList{}
	out.Body.Meta, out.Body.Data = in.meta(len(all)), each(cut(in.Paging, all), providerOf)
	return out, nil
}
