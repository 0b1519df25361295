package authtype

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 5849 has no other; services ask for it.
	"crypto/sha256"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"switchgear/internal/fault"
)

// The signature methods of OAuth 1: those of RFC 5849 3.4 but PLAINTEXT, and the one that followed.
const (
	oauth1HMACSHA1   = "HMAC-SHA1"
	oauth1HMACSHA256 = "HMAC-SHA256"
	oauth1RSASHA1    = "RSA-SHA1"
)

// oauth1 signs requests with a token that was obtained elsewhere (RFC 5849 3).
type oauth1 struct{}

// Kind implements Type.
func (oauth1) Kind() string { return "oauth1" }

// Label implements Type.
func (oauth1) Label() string { return "OAuth 1.0a" }

// Fields implements Type.
func (oauth1) Fields() []Field {
	return []Field{
		{
			Key: "signature_method", Label: "Signature method", Type: FieldSelect, Required: true,
			Options: []string{oauth1HMACSHA1, oauth1HMACSHA256, oauth1RSASHA1}, Default: oauth1HMACSHA1,
		},
		{Key: "consumer_key", Label: "Consumer key", Type: FieldText, Required: true, Help: "Also called API key or client identifier."},
		{Key: "consumer_secret", Label: "Consumer secret", Type: FieldSecret, Secret: true, Help: "Of the HMAC methods."},
		{Key: "token", Label: "Access token", Type: FieldSecret, Secret: true, Help: "Empty when the service knows the consumer alone."},
		{Key: "token_secret", Label: "Token secret", Type: FieldSecret, Secret: true, Help: "Of the HMAC methods."},
		{Key: "private_key", Label: "Private key", Type: FieldPEM, Secret: true, Help: "Of RSA-SHA1. PEM."},
		{Key: "realm", Label: "Realm", Type: FieldText, Help: "When the service wants one, such as the account of NetSuite."},
	}
}

func (t oauth1) check(values map[string]string) error {
	if strings.ContainsAny(values["realm"], `"\`) {
		return field(t, "realm").invalid("contains a quotation mark or a backslash.")
	}
	if values["signature_method"] != oauth1RSASHA1 {
		if values["consumer_secret"] == "" {
			return fault.Field("AUTH_FIELD_REQUIRED", FieldPath("consumer_secret"), "Consumer secret is missing: "+values["signature_method"]+" needs it.")
		}
		if values["private_key"] == "" {
			return nil
		}
	} else if values["private_key"] == "" {
		return fault.Field("AUTH_FIELD_REQUIRED", FieldPath("private_key"), "Private key is missing: RSA-SHA1 needs it.")
	}
	return checkSigningKey(field(t, "private_key"), values["private_key"], "RS256") // Any key of RSA will do.
}

// SignsBody implements BodySigner: forms take part, other bodies do not (RFC 5849 3.4.1.3.1).
func (oauth1) SignsBody(_ map[string]string, contentType string) bool { return isForm(contentType) }

func isForm(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/x-www-form-urlencoded"
}

// Apply implements Type.
func (t oauth1) Apply(r *http.Request, use Use) error {
	values := use.Values
	if err := Validate(t, values); err != nil {
		return err
	}
	var form string
	if isForm(r.Header.Get("Content-Type")) {
		body, err := openBody(r)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(body)
		_ = body.Close()
		if err != nil {
			return err
		}
		form = string(text)
	}
	protocol := []parameter{
		{"oauth_consumer_key", values["consumer_key"]},
		{"oauth_nonce", use.nonce()},
		{"oauth_signature_method", values["signature_method"]},
		{"oauth_timestamp", strconv.FormatInt(use.Now.Unix(), 10)},
		{"oauth_version", "1.0"},
	}
	if values["token"] != "" {
		protocol = append(protocol, parameter{"oauth_token", values["token"]})
	}
	signature, err := t.sign(values, oauth1Base(r, form, protocol))
	if err != nil {
		return err
	}
	strip(r)
	set(r.Header, "Authorization", oauth1Header(values["realm"], append(protocol, parameter{"oauth_signature", signature})))
	return nil
}

// oauth1Header writes the parameters of the protocol as a header (RFC 5849 3.5.1).
func oauth1Header(realm string, protocol []parameter) string {
	parts := make([]string, 0, len(protocol)+1)
	if realm != "" {
		parts = append(parts, `realm="`+realm+`"`)
	}
	for _, p := range protocol {
		parts = append(parts, escapeUnreserved(p.name, false)+`="`+escapeUnreserved(p.value, false)+`"`)
	}
	return "OAuth " + strings.Join(parts, ", ")
}

// oauth1Base is the signature base string (RFC 5849 3.4.1).
func oauth1Base(r *http.Request, form string, protocol []parameter) string {
	all := slices.Concat(parseParameters(r.URL.RawQuery), parseParameters(form))
	for _, p := range protocol {
		all = append(all, parameter{escapeUnreserved(p.name, false), escapeUnreserved(p.value, false)})
	}
	slices.SortFunc(all, compareParameters)
	var normalized strings.Builder
	for i, p := range all {
		if i > 0 {
			normalized.WriteByte('&')
		}
		normalized.WriteString(p.name + "=" + p.value)
	}
	host, scheme := strings.ToLower(requestHost(r)), strings.ToLower(r.URL.Scheme)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	address := scheme + "://" + host + "/" + strings.TrimPrefix(r.URL.EscapedPath(), "/")
	return strings.ToUpper(r.Method) + "&" + escapeUnreserved(address, false) + "&" + escapeUnreserved(normalized.String(), false)
}

func (t oauth1) sign(values map[string]string, base string) (string, error) {
	if values["signature_method"] == oauth1RSASHA1 {
		signer, err := parsePrivateKey(values["private_key"])
		if err != nil {
			return "", err
		}
		key, ok := signer.(*rsa.PrivateKey)
		if !ok {
			return "", field(t, "private_key").invalid("is not a key of RSA.")
		}
		sum := sha1.Sum([]byte(base)) //nolint:gosec // What the method is.
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, sum[:])
		if err != nil {
			return "", field(t, "private_key").invalid("does not sign.")
		}
		return base64.StdEncoding.EncodeToString(signature), nil
	}
	algorithm := sha1.New
	if values["signature_method"] == oauth1HMACSHA256 {
		algorithm = sha256.New
	}
	mac := hmac.New(algorithm, []byte(escapeUnreserved(values["consumer_secret"], false)+"&"+escapeUnreserved(values["token_secret"], false)))
	_, _ = io.WriteString(mac, base) // A hash takes everything.
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
