package oauth

import (
	"net/http"
	"slices"
	"strings"

	"switchgear/internal/credentials/authtype"
)

// Metadata is what an authorization server publishes about itself (RFC 8414 2).
type Metadata struct {
	Issuer, AuthorizeURL, TokenURL, RevokeURL, DeviceURL, RegisterURL string
	Scopes, Grants, AuthStyles                                        []string
	// NamesItself says that its authorization answers carry the parameter iss (RFC 9207 3).
	NamesItself bool
	// Source is the document that says so.
	Source string
}

// metadataOf reads a document and checks that it is that of the issuer (RFC 8414 3.3).
func metadataOf(a answer, issuer, source string) (Metadata, bool) {
	m := Metadata{
		Issuer: a.text("issuer"), AuthorizeURL: a.text("authorization_endpoint"), TokenURL: a.text("token_endpoint"),
		RevokeURL: a.text("revocation_endpoint"), DeviceURL: a.text("device_authorization_endpoint"),
		RegisterURL: a.text("registration_endpoint"),
		Scopes:      a.list("scopes_supported"), Grants: a.list("grant_types_supported"), Source: source,
	}
	m.NamesItself, _ = a.fields["authorization_response_iss_parameter_supported"].(bool)
	methods, told := a.fields["token_endpoint_auth_methods_supported"]
	if !told || methods == nil {
		m.AuthStyles = []string{authtype.StyleBasic} // RFC 8414 2 says so.
	}
	for _, method := range a.list("token_endpoint_auth_methods_supported") {
		if style := styleOf(method); style != "" && !slices.Contains(m.AuthStyles, style) {
			m.AuthStyles = append(m.AuthStyles, style)
		}
	}
	secure := strings.HasPrefix(source, "https:")
	for _, endpoint := range []*string{&m.AuthorizeURL, &m.TokenURL, &m.RevokeURL, &m.DeviceURL, &m.RegisterURL} {
		// What came safely does not lead to a place that is not safe.
		if !webURL(*endpoint) || secure && !strings.HasPrefix(*endpoint, "https:") {
			*endpoint = ""
		}
	}
	return m, a.status == http.StatusOK && sameIssuer(m.Issuer, issuer) && (m.TokenURL != "" || m.AuthorizeURL != "")
}

func (a answer) list(name string) []string {
	values, _ := a.fields[name].([]any)
	var out []string
	for _, v := range values {
		if text, ok := v.(string); ok && text != "" && len(out) < 500 {
			out = append(out, text)
		}
	}
	return out
}
