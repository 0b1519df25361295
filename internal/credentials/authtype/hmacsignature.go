package authtype

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Services ask for it.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/fault"
)

// The choices of an HMAC signature.
const (
	hmacSHA1, hmacSHA256Name, hmacSHA512 = "sha1", "sha256", "sha512"

	encodingUTF8, encodingHex, encodingBase64 = "utf8", "hex", "base64"

	timestampUnix, timestampUnixMilli, timestampRFC3339, timestampRFC3339Milli = "unix", "unix_ms", "rfc3339", "rfc3339_ms"
)

// hmacSignature signs a text that is put together of parts of the request, as many services want it, each
// in its own way.
type hmacSignature struct{}

// Kind implements Type.
func (hmacSignature) Kind() string { return "hmac_signature" }

// Label implements Type.
func (hmacSignature) Label() string { return "HMAC signature" }

// Fields implements Type.
func (hmacSignature) Fields() []Field {
	return []Field{
		{Key: "key_id", Label: "Key ID", Type: FieldText, Help: "The name of the key, where a template asks for {key_id}."},
		{Key: "secret", Label: "Secret", Type: FieldSecret, Required: true, Secret: true},
		{
			Key: "secret_encoding", Label: "The secret is written as", Type: FieldSelect, Required: true,
			Options: []string{encodingUTF8, encodingHex, encodingBase64}, Default: encodingUTF8,
		},
		{
			Key: "algorithm", Label: "Hash", Type: FieldSelect, Required: true,
			Options: []string{hmacSHA1, hmacSHA256Name, hmacSHA512}, Default: hmacSHA256Name,
		},
		{
			Key: "string_to_sign", Label: "String to sign", Type: FieldText, Required: true,
			Default: `{method}\n{path}\n{query}\n{timestamp}\n{nonce}\n{body_sha256}`,
			Help:    `Of {method}, {path}, {query}, {host}, {timestamp}, {nonce}, {body}, {body_sha256} and {key_id}. Write a line break as \n and a brace twice.`,
		},
		{
			Key: "timestamp_format", Label: "Timestamps are", Type: FieldSelect, Required: true,
			Options: []string{timestampUnix, timestampUnixMilli, timestampRFC3339, timestampRFC3339Milli}, Default: timestampUnix,
		},
		{
			Key: "signature_encoding", Label: "Signatures are written as", Type: FieldSelect, Required: true,
			Options: []string{encodingHex, encodingBase64}, Default: encodingHex,
		},
		{Key: "header", Label: "Header", Type: FieldText, Required: true, Default: "Authorization"},
		{
			Key: "header_value", Label: "Value of the header", Type: FieldText, Required: true, Default: "HMAC {key_id}:{nonce}:{timestamp}:{signature}",
			Help: "Of {signature}, {key_id}, {timestamp}, {nonce} and {body_sha256}.",
		},
		{Key: "key_id_header", Label: "Header of the key ID", Type: FieldText, Help: "When the key ID has a header of its own."},
		{Key: "timestamp_header", Label: "Header of the timestamp", Type: FieldText, Help: "When the timestamp has a header of its own."},
		{Key: "nonce_header", Label: "Header of the nonce", Type: FieldText, Help: "When the nonce has a header of its own."},
	}
}

// The placeholders of the two templates.
func hmacSigned() placeholders {
	return oneOf("method", "path", "query", "host", "timestamp", "nonce", "body", "body_sha256", "key_id")
}

func hmacSent() placeholders {
	return oneOf("signature", "key_id", "timestamp", "nonce", "body_sha256")
}

func (t hmacSignature) check(values map[string]string) error {
	_, err := t.plan(values)
	return err
}

// hmacPlan is what the values ask for, checked.
type hmacPlan struct {
	signed, sent template
	key          []byte
}

func (t hmacSignature) plan(values map[string]string) (p hmacPlan, err error) {
	if p.signed, p.sent, err = t.templates(values); err != nil {
		return hmacPlan{}, err
	}
	if p.key, err = t.key(values); err != nil {
		return hmacPlan{}, err
	}
	if err := t.checkHeaders(values); err != nil {
		return hmacPlan{}, err
	}
	return p, t.checkTemplates(values, p.signed, p.sent)
}

func (t hmacSignature) checkTemplates(values map[string]string, signed, sent template) error {
	if !sent.uses("signature") {
		return field(t, "header_value").invalid("leaves {signature} out.")
	}
	if text := strings.TrimSpace(values["header_value"]); text != values["header_value"] {
		return field(t, "header_value").invalid("begins or ends with a space.")
	}
	if (signed.uses("key_id") || sent.uses("key_id") || values["key_id_header"] != "") && values["key_id"] == "" {
		return fault.Field("AUTH_FIELD_REQUIRED", FieldPath("key_id"), "Key ID is missing: a template or header asks for it.")
	}
	// Who checks the signature has to know them.
	for _, p := range []struct{ name, header string }{{"timestamp", "timestamp_header"}, {"nonce", "nonce_header"}} {
		if signed.uses(p.name) && !sent.uses(p.name) && values[p.header] == "" {
			return field(t, "string_to_sign").invalid("uses {" + p.name + "}, which no header sends. Add it to the value of the header, or give it a header of its own.")
		}
	}
	return nil
}

// checkHeaders holds the names of the headers to be different ones that may be set.
func (t hmacSignature) checkHeaders(values map[string]string) error {
	used := map[string]bool{}
	for _, key := range []string{"header", "key_id_header", "timestamp_header", "nonce_header"} {
		name := values[key]
		if name == "" {
			continue
		}
		if err := checkHeaderName(field(t, key), name); err != nil {
			return err
		}
		if used[strings.ToLower(name)] {
			return field(t, key).invalid("names a header that another field names.")
		}
		used[strings.ToLower(name)] = true
	}
	return checkHeaderValue(field(t, "key_id"), values["key_id"])
}

func (t hmacSignature) templates(values map[string]string) (signed, sent template, err error) {
	if signed, err = parseTemplate(field(t, "string_to_sign"), values["string_to_sign"], true, hmacSigned()); err != nil {
		return nil, nil, err
	}
	sent, err = parseTemplate(field(t, "header_value"), values["header_value"], false, hmacSent())
	return signed, sent, err
}

func (t hmacSignature) key(values map[string]string) ([]byte, error) {
	return decodeSecret(field(t, "secret"), values["secret"], values["secret_encoding"])
}

// decodeSecret reads a key that is written as text, hexadecimal digits or base64.
func decodeSecret(f ref, text, encoding string) ([]byte, error) {
	switch encoding {
	case encodingHex:
		key, err := hex.DecodeString(text)
		if err != nil {
			return nil, f.invalid("is not hexadecimal.")
		}
		return key, nil
	case encodingBase64:
		// Both alphabets, with padding or without.
		plain := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
		key, err := base64.RawStdEncoding.DecodeString(plain)
		if err != nil {
			return nil, f.invalid("is not base64.")
		}
		return key, nil
	}
	return []byte(text), nil
}

// SignsBody implements BodySigner.
func (t hmacSignature) SignsBody(values map[string]string, _ string) bool {
	signed, sent, err := t.templates(values)
	return err == nil && (signed.uses("body") || signed.uses("body_sha256") || sent.uses("body_sha256"))
}

// Apply implements Type.
func (t hmacSignature) Apply(r *http.Request, use Use) error {
	values := use.Values
	if err := validateFields(t, values); err != nil {
		return err
	}
	p, err := t.plan(values)
	if err != nil {
		return err
	}
	signed, sent := p.signed, p.sent
	text := map[string]string{
		"method": r.Method, "path": "/" + strings.TrimPrefix(r.URL.EscapedPath(), "/"), "query": r.URL.RawQuery, "host": requestHost(r),
		"key_id": values["key_id"], "timestamp": timestamp(use.Now, values["timestamp_format"]),
	}
	if signed.uses("nonce") || sent.uses("nonce") || values["nonce_header"] != "" {
		text["nonce"] = use.nonce()
	}
	if signed.uses("body_sha256") || sent.uses("body_sha256") {
		sum := sha256.New()
		if err := copyBody(sum, r); err != nil {
			return err
		}
		text["body_sha256"] = hex.EncodeToString(sum.Sum(nil))
	}
	mac := hmac.New(hashOf(values["algorithm"]), p.key)
	for _, part := range signed {
		if part.name == "body" {
			if err := copyBody(mac, r); err != nil {
				return err
			}
			continue
		}
		_, _ = io.WriteString(mac, part.text(text)) // A hash takes everything.
	}
	text["signature"] = hex.EncodeToString(mac.Sum(nil))
	if values["signature_encoding"] == encodingBase64 {
		text["signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	strip(r)
	for _, name := range []string{"key_id", "timestamp", "nonce"} {
		if header := values[name+"_header"]; header != "" {
			set(r.Header, header, text[name])
		}
	}
	set(r.Header, values["header"], sent.fill(text))
	return nil
}

func copyBody(to io.Writer, r *http.Request) error {
	body, err := openBody(r)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(to, body)
	return err
}

func hashOf(algorithm string) func() hash.Hash {
	switch algorithm {
	case hmacSHA1:
		return sha1.New
	case hmacSHA512:
		return sha512.New
	}
	return sha256.New
}

func timestamp(now time.Time, format string) string {
	switch format {
	case timestampUnixMilli:
		return strconv.FormatInt(now.UnixMilli(), 10)
	case timestampRFC3339:
		return now.UTC().Format(time.RFC3339)
	case timestampRFC3339Milli:
		return now.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return strconv.FormatInt(now.Unix(), 10)
}
