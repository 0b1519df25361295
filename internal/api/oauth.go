package api

import (
	"context"
	"net/http"

	"switchgear/internal/access"
	"switchgear/internal/credentials/oauth"
)

// discovery finds authorization servers; *connect.Service does.
type discovery interface {
	Discover(ctx context.Context, a access.Actor, address string) (oauth.Metadata, error)
}

// OAuthMetadata is what an authorization server publishes about itself (RFC 8414). The names of the endpoints are
// those of the fields of the auth types.
type OAuthMetadata struct {
	Issuer                 string   `json:"issuer" example:"https://login.example.com"`
	AuthorizeURL           string   `json:"authorize_url,omitempty"`
	TokenURL               string   `json:"token_url,omitempty"`
	RevokeURL              string   `json:"revoke_url,omitempty"`
	DeviceAuthorizationURL string   `json:"device_authorization_url,omitempty"`
	RegistrationURL        string   `json:"registration_url,omitempty" doc:"Clients can be registered there by a program (RFC 7591)."`
	AuthStyles             []string `json:"auth_styles" nullable:"false" doc:"How clients may authenticate, as the field auth_style writes it."`
	Grants                 []string `json:"grants" nullable:"false" doc:"As the server writes them; none when it does not say."`
	Scopes                 []string `json:"scopes" nullable:"false"`
	NamesItself            bool     `json:"names_itself" doc:"Its answers in the browser carry the parameter iss (RFC 9207)."`
	Source                 string   `json:"source" doc:"The document that says so."`
}

func oauthMetadataOf(m oauth.Metadata) OAuthMetadata {
	list := func(values []string) []string { return append([]string{}, values...) }
	return OAuthMetadata{
		Issuer: m.Issuer, AuthorizeURL: m.AuthorizeURL, TokenURL: m.TokenURL, RevokeURL: m.RevokeURL, DeviceAuthorizationURL: m.DeviceURL,
		RegistrationURL: m.RegisterURL, AuthStyles: list(m.AuthStyles), Grants: list(m.Grants), Scopes: list(m.Scopes), NamesItself: m.NamesItself,
		Source: m.Source,
	}
}

func (v *version) oauthRoutes() {
	register(v, route{
		method: http.MethodPost, path: "/oauth/discover", id: "discover-oauth-server", tag: "Accounts", summary: "Find an authorization server",
		description: "Reads the metadata of an issuer (RFC 8414, OpenID Connect Discovery), or of the one that guards an API (RFC 9728). Nothing is stored.",
		refusals:    []int{http.StatusBadGateway},
	}, func(ctx context.Context, in *struct {
		Body struct {
			URL string `json:"url" example:"https://login.example.com" doc:"Of the issuer, of its metadata, or of an API."`
		}
	},
	) (*struct{ Body OAuthMetadata }, error) {
		m, err := v.deps.OAuth.Discover(ctx, actor(ctx), in.Body.URL)
		return &struct{ Body OAuthMetadata }{oauthMetadataOf(m)}, err
	})
}
