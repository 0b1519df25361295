package authtype

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// basic sends a user name and password as RFC 7617 says.
type basic struct{}

// Kind implements Type.
func (basic) Kind() string { return "basic" }

// Label implements Type.
func (basic) Label() string { return "User name and password" }

// Fields implements Type. Many services take their secret key in the place of the user name, so that is
// write-only as well.
func (basic) Fields() []Field {
	return []Field{
		{
			Key: "username", Label: "User name", Type: FieldText, Required: true, Secret: true,
			Help: "Some services expect the API key here.",
		},
		{
			Key: "password", Label: "Password", Type: FieldSecret, Secret: true,
			Help: "Leave it empty if the service asks for none.",
		},
	}
}

func (t basic) check(values map[string]string) error {
	if strings.Contains(values["username"], ":") {
		return field(t, "username").invalid("contains a colon, which ends a user name. Put what follows into the password.")
	}
	return nil
}

// Apply implements Type.
func (t basic) Apply(r *http.Request, use Use) error {
	values := use.Values
	if err := begin(t, r, values); err != nil {
		return err
	}
	pair := values["username"] + ":" + values["password"]
	set(r.Header, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	return nil
}
