package authtype

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/fault"
)

// The bounds of how long a JWT of ours is accepted. A shorter one would be made for nearly every call.
const (
	minLifetime = time.Minute
	maxLifetime = 24 * time.Hour
)

// signedJWT sends a JWT that we make and sign ourselves (RFC 7519), and make anew shortly before its end.
type signedJWT struct{}

// Kind implements Type.
func (signedJWT) Kind() string { return "signed_jwt" }

// Label implements Type.
func (signedJWT) Label() string { return "Signed JWT" }

// Fields implements Type.
func (signedJWT) Fields() []Field {
	return []Field{
		{
			Key: "algorithm", Label: "Signature algorithm", Type: FieldSelect, Required: true,
			Options: slices.Concat([]string{"HS256", "HS384", "HS512"}, signatureAlgorithms()), Default: "RS256",
		},
		{Key: "private_key", Label: "Private key", Type: FieldPEM, Secret: true, Help: "Of every algorithm but HS. PEM."},
		{Key: "secret", Label: "Secret", Type: FieldSecret, Secret: true, Help: "Of the HS algorithms."},
		{
			Key: "secret_encoding", Label: "The secret is written as", Type: FieldSelect, Required: true,
			Options: []string{encodingUTF8, encodingHex, encodingBase64}, Default: encodingUTF8,
		},
		{Key: "key_id", Label: "Key ID", Type: FieldText, Help: "The kid that the service knows the key by."},
		{Key: "issuer", Label: "Issuer", Type: FieldText, Help: "The claim iss, such as the ID of an app."},
		{
			Key: "claims", Label: "Claims", Type: FieldJSON,
			Help: `A JSON object. In its texts, {now}, {now+300}, {now-60} and {uuid} are filled in. iat and exp are added when it does not name them; null leaves them out.`,
		},
		{Key: "lifetime", Label: "Lifetime in seconds", Type: FieldText, Required: true, Default: "300", Help: "How long each is valid, 60 to 86400."},
		{Key: "header", Label: "Header", Type: FieldText, Required: true, Default: "Authorization"},
		{Key: "scheme", Label: "Scheme", Type: FieldText, Default: "Bearer", Help: "The word before the token; empty for none."},
	}
}

func (t signedJWT) check(values map[string]string) error {
	if err := t.checkKey(values); err != nil {
		return err
	}
	if _, err := t.lifetime(values); err != nil {
		return err
	}
	if err := t.checkHeader(values); err != nil {
		return err
	}
	// At any time it comes out the same.
	_, _, err := t.claims(values, time.Unix(1<<30, 0))
	return err
}

func (t signedJWT) checkKey(values map[string]string) error {
	shared := strings.HasPrefix(values["algorithm"], "HS")
	if _, err := decodeSecret(field(t, "secret"), values["secret"], values["secret_encoding"]); err != nil {
		return err
	}
	switch {
	case shared && values["secret"] == "":
		return fault.Field("AUTH_FIELD_REQUIRED", FieldPath("secret"), "Secret is missing: "+values["algorithm"]+" needs it.")
	case !shared && values["private_key"] == "":
		return fault.Field("AUTH_FIELD_REQUIRED", FieldPath("private_key"), "Private key is missing: "+values["algorithm"]+" needs it.")
	case shared && values["private_key"] != "":
		return field(t, "private_key").invalid("is not used by " + values["algorithm"] + ". Empty it, or choose another algorithm.")
	case shared:
		return nil
	}
	return checkSigningKey(field(t, "private_key"), values["private_key"], values["algorithm"])
}

func (t signedJWT) checkHeader(values map[string]string) error {
	if err := checkHeaderName(field(t, "header"), values["header"]); err != nil {
		return err
	}
	if values["scheme"] != "" && !isToken(values["scheme"]) {
		return field(t, "scheme").invalid("is not one word.")
	}
	return nil
}

func (t signedJWT) lifetime(values map[string]string) (time.Duration, error) {
	seconds, err := strconv.ParseInt(values["lifetime"], 10, 32)
	lifetime := time.Duration(seconds) * time.Second
	if err != nil || lifetime < minLifetime || lifetime > maxLifetime {
		return 0, field(t, "lifetime").invalid("must be a number of seconds from 60 to 86400.")
	}
	return lifetime, nil
}

// claims are those of a JWT that is made now, and when it ends.
func (t signedJWT) claims(values map[string]string, now time.Time) (claims map[string]any, end time.Time, err error) {
	f := field(t, "claims")
	raw, err := parseClaims(f, values["claims"])
	if err != nil {
		return nil, time.Time{}, err
	}
	lifetime, err := t.lifetime(values)
	if err != nil {
		return nil, time.Time{}, err
	}
	claims = make(map[string]any, len(raw)+3)
	for name, value := range raw {
		if claims[name], err = expandClaim(f, value, now); err != nil {
			return nil, time.Time{}, err
		}
	}
	if values["issuer"] != "" {
		if _, twice := claims["iss"]; twice {
			return nil, time.Time{}, f.invalid("name iss, which the field Issuer says already.")
		}
		claims["iss"] = values["issuer"]
	}
	end = now.Add(lifetime)
	for name, value := range map[string]any{"iat": Numeric(now), "exp": Numeric(end)} {
		given, named := claims[name]
		switch {
		case !named:
			claims[name] = value
		case given == nil:
			delete(claims, name)
		}
	}
	if exp, ok := claims["exp"]; ok {
		at, isTime := exp.(int64)
		end = time.Unix(at, 0)
		if !isTime || end.Before(now.Add(minLifetime).Truncate(time.Second)) || end.After(now.Add(maxLifetime)) {
			return nil, time.Time{}, f.invalid("have an exp that does not follow the time, such as {now+300}. Leave it out, and Lifetime says it.")
		}
	}
	return claims, end, nil
}

// expandClaim fills in the placeholders of a claim, in lists and objects too. A text that is nothing but a
// time becomes a number.
func expandClaim(f ref, value any, now time.Time) (any, error) {
	switch v := value.(type) {
	case string:
		return expandText(f, v, now)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = expandClaim(f, item, now); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			var err error
			if out[key], err = expandClaim(f, item, now); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return value, nil
}

func expandText(f ref, text string, now time.Time) (any, error) {
	parts, err := parseTemplate(f, text, false, placeholders{
		known: func(name string) bool {
			_, isTime := claimTime(name, now)
			return isTime || name == "uuid"
		},
		list: "{now}, {now+300}, {now-60}, {uuid}",
	})
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 {
		if at, isTime := claimTime(parts[0].name, now); isTime {
			return at, nil
		}
	}
	var out strings.Builder
	for _, p := range parts {
		at, isTime := claimTime(p.name, now)
		switch {
		case isTime:
			out.WriteString(strconv.FormatInt(at, 10))
		case p.name == "uuid":
			out.WriteString(newUUID())
		default:
			out.WriteString(p.literal)
		}
	}
	return out.String(), nil
}

// claimTime is the time of now, now+N or now-N.
func claimTime(name string, now time.Time) (int64, bool) {
	rest, ok := strings.CutPrefix(name, "now")
	if !ok {
		return 0, false
	}
	if rest == "" {
		return Numeric(now), true
	}
	if len(rest) < 2 || len(rest) > 10 || rest[0] != '+' && rest[0] != '-' || rest[1] < '0' || rest[1] > '9' {
		return 0, false
	}
	seconds, err := strconv.ParseInt(rest, 10, 64)
	return Numeric(now) + seconds, err == nil
}

// newUUID is a random one (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails: see crypto/rand.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// Mint implements Minter.
func (t signedJWT) Mint(values map[string]string, now time.Time) (Token, error) {
	if err := Validate(t, values); err != nil {
		return Token{}, err
	}
	claims, end, err := t.claims(values, now)
	if err != nil {
		return Token{}, err
	}
	key := values["private_key"]
	if strings.HasPrefix(values["algorithm"], "HS") {
		secret, err := decodeSecret(field(t, "secret"), values["secret"], values["secret_encoding"])
		if err != nil {
			return Token{}, err
		}
		key = string(secret)
	}
	signed, err := Assertion{Key: key, KeyID: values["key_id"], Algorithm: values["algorithm"], Claims: claims}.Sign()
	if err != nil {
		return Token{}, field(t, "algorithm").invalid("does not sign with this key.")
	}
	return Token{Access: signed, ExpiresAt: end}, nil
}

// Apply implements Type.
func (t signedJWT) Apply(r *http.Request, use Use) error {
	if use.Token.Access == "" {
		return fault.New(fault.Internal, "", "There is no JWT yet.")
	}
	if err := t.checkHeader(use.Values); err != nil {
		return err
	}
	strip(r)
	text := use.Token.Access
	if scheme := use.Values["scheme"]; scheme != "" {
		text = scheme + " " + text
	}
	set(r.Header, use.Values["header"], text)
	return nil
}
