package oauth

import "net/http"

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
	for _, method := range a.list("token_endpoint_auth_methods_supported") {
		if style := styleOf(method); style != "" {
			m.AuthStyles = append(m.AuthStyles, style)
		}
	}
	ok := a.status == http.StatusOK && sameIssuer(m.Issuer, issuer) && (webURL(m.TokenURL) || webURL(m.AuthorizeURL))
	for _, endpoint := range []*string{&m.AuthorizeURL, &m.TokenURL, &m.RevokeURL, &m.DeviceURL, &m.RegisterURL} {
		if !webURL(*endpoint) {
			*endpoint = ""
		}
	}
	return m, ok
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
