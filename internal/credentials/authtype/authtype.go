// Package authtype knows how each kind of credential is written down and put on a request.
//
// One file per kind, listed in [All]. To add a kind: write <kind>.go with a type that implements [Type],
// add it to All, and give it a case in the conformance test, which fails until you do. Invariants:
//
//   - an unknown kind is an error, never "no authentication";
//   - [Type.Apply] fails closed: it checks the values again and refuses what it cannot put on as it is;
//   - [Type.Apply] removes what the caller authenticated with before it puts on the credential;
//   - a message never repeats a value, whether the field is secret or not.
package authtype

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"switchgear/internal/fault"
)

// maxValue bounds one field, in bytes. Long tokens have some kilobytes; servers refuse longer headers.
const maxValue = 16 << 10

// The types of a Field: which control a form shows.
const (
	FieldText    = "text"
	FieldSecret  = "secret"  // typed blindly
	FieldSelect  = "select"  // one of Options
	FieldHeaders = "headers" // several lines "Name: value", or a JSON object of strings
	FieldPEM     = "pem"     // several lines of PEM: a key or certificates
	FieldJSON    = "json"    // several lines: a JSON object
)

// Field describes one value of an auth type: forms, checks and masking follow it.
type Field struct {
	Key, Label, Type, Help string
	Required               bool
	// Secret values are write-only: they are stored sealed, and forms never show one again, whatever the control.
	Secret bool
	// Rare fields may be folded away while they are empty.
	Rare    bool
	Options []string
	Default string
}

// Type is one kind of credential.
type Type interface {
	// Kind is the stable name, such as api_key.
	Kind() string
	// Label is the name that people read.
	Label() string
	// Fields are the values that a credential of this kind has, in the order of a form.
	Fields() []Field
	// Apply puts the credential on the request in place of whatever the caller authenticated with. On an
	// error the request must not be sent. The error never holds a value.
	Apply(r *http.Request, use Use) error
}

// checker is a Type with rules that its fields do not express.
type checker interface {
	check(values map[string]string) error
}

// All returns every kind, in the order of a menu.
func All() []Type {
	return []Type{
		none{},
		apiKey{},
		bearer{},
		basic{},
		customHeaders{},
		oauth2AuthorizationCode{},
		oauth2ClientCredentials{},
		oauth2JWTBearer{},
		oauth2DeviceCode{},
		awsSigV4{},
		hmacSignature{},
		oauth1{},
		signedJWT{},
		mutualTLS{},
	}
}

// Lookup returns the kind of that name, or a fault.Invalid about auth.type.
func Lookup(kind string) (Type, error) {
	for _, t := range All() {
		if t.Kind() == kind {
			return t, nil
		}
	}
	return nil, fault.Field("UNKNOWN_AUTH_TYPE", "auth.type", "There is no such way to authenticate.").
		WithSuggestion("Use one of " + strings.Join(kinds(), ", ") + ".")
}

func kinds() []string {
	all := All()
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Kind()
	}
	return names
}

// FieldPath is where an error about a field points: auth.fields.<key>.
func FieldPath(key string) string { return "auth.fields." + key }

// Find returns the field of that key.
func Find(t Type, key string) (Field, bool) {
	fields := t.Fields()
	if i := position(fields, key); i >= 0 {
		return fields[i], true
	}
	return Field{}, false
}

// position is where the field of that key is; -1 when there is none.
func position(fields []Field, key string) int {
	for i := range fields {
		if fields[i].Key == key {
			return i
		}
	}
	return -1
}

// Validate checks values against the fields of t. The error is a fault.Invalid about auth.fields.<key>
// and repeats no value.
func Validate(t Type, values map[string]string) error {
	if err := validateFields(t, values); err != nil {
		return err
	}
	if c, ok := t.(checker); ok {
		return c.check(values)
	}
	return nil
}

// validateFields checks values by the fields of t alone.
func validateFields(t Type, values map[string]string) error {
	fields := t.Fields()
	if err := known(t, fields, values); err != nil {
		return err
	}
	for i := range fields {
		f := &fields[i]
		if err := f.validate(values[f.Key]); err != nil {
			return err
		}
	}
	return nil
}

// known refuses values that t has no field for: a misspelt key must not silently leave a credential out.
func known(t Type, fields []Field, values map[string]string) error {
	for key := range values {
		if position(fields, key) >= 0 {
			continue
		}
		path := "auth.fields"
		// Somebody may have put the secret in the place of the key.
		if len(key) <= 32 && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") == "" {
			path = FieldPath(key)
		}
		suggestion := "It takes no fields."
		if len(fields) > 0 {
			names := make([]string, len(fields))
			for i, f := range fields {
				names[i] = f.Key
			}
			suggestion = "Its fields are " + strings.Join(names, ", ") + "."
		}
		return fault.Field("UNKNOWN_AUTH_FIELD", path, t.Label()+" has no such field.").WithSuggestion(suggestion)
	}
	return nil
}

func (f *Field) validate(value string) error {
	switch {
	case value == "" && f.Required:
		return fault.Field("AUTH_FIELD_REQUIRED", FieldPath(f.Key), f.Label+" is missing.")
	case value == "":
		return nil
	case len(value) > maxValue:
		return f.invalid("is too long.")
	case !utf8.ValidString(value):
		return f.invalid("is not text. Paste it again.")
	case f.lines(): // its own check follows
		return nil
	case strings.ContainsFunc(value, unicode.IsControl):
		return f.invalid("contains a line break or another control character. Paste it again.")
	case f.Type == FieldSelect && !slices.Contains(f.Options, value):
		return f.invalid("must be one of " + strings.Join(f.Options, ", ") + ".")
	}
	return nil
}

// lines reports whether a value may have several lines.
func (f Field) lines() bool {
	return f.Type == FieldHeaders || f.Type == FieldPEM || f.Type == FieldJSON
}

func (f Field) invalid(what string) error {
	return fault.Field("INVALID_AUTH_FIELD", FieldPath(f.Key), f.Label+" "+what)
}

// ref names a field of a kind. What the field is, is looked up for an error only: checks run with every call.
type ref struct {
	t   Type
	key string
}

// field names a field of t that is known to exist.
func field(t Type, key string) ref { return ref{t, key} }

func (r ref) invalid(what string) error {
	f, _ := Find(r.t, r.key)
	return f.invalid(what)
}

// begin is the first step of every Apply that needs nothing else of the request: it checks the values and
// strips the request.
func begin(t Type, r *http.Request, values map[string]string) error {
	if err := Validate(t, values); err != nil {
		return err
	}
	strip(r)
	return nil
}

// strip removes what callers authenticate to us with, so that an application's key never reaches an upstream.
func strip(r *http.Request) {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	for key := range r.Header {
		if strings.EqualFold(key, "Authorization") || strings.EqualFold(key, "Proxy-Authorization") || strings.EqualFold(key, "X-Api-Key") {
			delete(r.Header, key)
		}
	}
}

// drop removes a header in whatever case a map may hold it.
func drop(h http.Header, name string) {
	for key := range h {
		if strings.EqualFold(key, name) {
			delete(h, key)
		}
	}
}

func set(h http.Header, name, value string) {
	drop(h, name)
	h[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
}

// checkHeaderName refuses what is no header name, and the headers that frame a message or route it: a
// credential must not be able to change what is sent where.
func checkHeaderName(f ref, name string) error {
	if len(name) > 128 || !isToken(name) {
		return f.invalid("is not the name of a header. Use letters, digits and hyphens.")
	}
	switch strings.ToLower(name) {
	case "host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade",
		"content-length", "expect":
		return f.invalid("names a header that belongs to the transport. Use another one.")
	}
	if strings.HasPrefix(strings.ToLower(name), "switchgear-") {
		return f.invalid("names a header that Switchgear uses itself. Use another one.")
	}
	return nil
}

// isToken reports whether text is a token of RFC 9110, which names of headers and cookies are.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// checkHeaderValue refuses what would be changed, or taken for more than one header, on the way.
func checkHeaderValue(f ref, value string) error {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return f.invalid("contains a character that a header cannot carry.")
	}
	if value != strings.TrimSpace(value) {
		return f.invalid("begins or ends with a space. Paste it again.")
	}
	return nil
}
