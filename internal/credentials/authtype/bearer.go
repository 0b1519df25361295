package authtype

import (
	"net/http"
	"strings"
)

// bearer sends a token as RFC 6750 says.
type bearer struct{}

// Kind implements Type.
func (bearer) Kind() string { return "bearer" }

// Label implements Type.
func (bearer) Label() string { return "Bearer token" }

// Fields implements Type.
func (bearer) Fields() []Field {
	return []Field{{
		Key: "token", Label: "Token", Type: FieldSecret, Required: true, Secret: true,
		Help: "Sent as Authorization: Bearer. Paste the token alone.",
	}}
}

func (t bearer) check(values map[string]string) error {
	f, token := field(t, "token"), values["token"]
	if scheme, _, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "bearer") {
		return f.invalid("begins with the word Bearer. Paste the token alone.")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return f.invalid("contains a space or a character that tokens do not have. Paste it again.")
	}
	return nil
}

// Apply implements Type.
func (t bearer) Apply(r *http.Request, use Use) error {
	values := use.Values
	if err := begin(t, r, values); err != nil {
		return err
	}
	set(r.Header, "Authorization", "Bearer "+values["token"])
	return nil
}
