package authtype

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

const canary = "canary-7Q-secret"

// vector is a credential of a kind and what it must do to a request.
type vector struct {
	name   string
	values map[string]string
	query  string // of the request afterwards; the caller's is a=1&key=theirs&b=%2F
	header http.Header
}

// moment is when the vectors are applied.
var moment = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// useOf is a use of values; the kinds that have a token find one.
func useOf(values map[string]string) Use {
	return Use{Values: values, Token: Token{Access: canary}, Now: moment, Nonce: func() string { return "nonce-1" }}
}

// hasToken reports whether a kind puts a token on requests, or nothing, and none of its values.
func hasToken(typ Type) bool {
	switch typ.(type) {
	case Granted, Minter, TLSConfigurer:
		return true
	}
	return false
}

// vectors must have an entry for every kind.
func vectors() map[string][]vector {
	const query = "a=1&key=theirs&b=%2F"
	return map[string][]vector{
		"none":   {{"", nil, query, http.Header{"Cookie": {"sid=theirs; lang=de"}}}},
		"bearer": {{"", map[string]string{"token": canary}, query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}}},
		"basic": {
			{"", map[string]string{"username": "Aladdin", "password": "open sesame"}, query, http.Header{"Authorization": {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, "Cookie": {"sid=theirs; lang=de"}}},
			{"no password", map[string]string{"username": "key"}, query, http.Header{"Authorization": {"Basic a2V5Og=="}, "Cookie": {"sid=theirs; lang=de"}}},
			{"not ASCII", map[string]string{"username": "test", "password": "123£"}, query, http.Header{"Authorization": {"Basic dGVzdDoxMjPCow=="}, "Cookie": {"sid=theirs; lang=de"}}},
		},
		"api_key": {
			{"header", apiKeyValues("in", "header", "name", "x-token"), query, http.Header{"X-Token": {canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"header with a word", apiKeyValues("in", "header", "name", "Authorization", "prefix", "Token"), query, http.Header{"Authorization": {"Token " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"header with a word and a space", apiKeyValues("in", "header", "name", "Authorization", "prefix", "Bot "), query, http.Header{"Authorization": {"Bot " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"header with signs", apiKeyValues("in", "header", "name", "Authorization", "prefix", "Token token="), query, http.Header{"Authorization": {"Token token=" + canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"query", apiKeyValues("in", "query", "name", "key"), "a=1&b=%2F&key=" + canary, http.Header{"Cookie": {"sid=theirs; lang=de"}}},
			{"query, escaped", map[string]string{"key": "a&b=c d", "in": "query", "name": "the key"}, query + "&the+key=a%26b%3Dc+d", http.Header{"Cookie": {"sid=theirs; lang=de"}}},
			{"cookie", apiKeyValues("in", "cookie", "name", "sid"), query, http.Header{"Cookie": {"lang=de; sid=" + canary}}},
		},
		"oauth2_authorization_code": {
			{"public client", clientValues("authorize_url", "https://as.example.com/authorize", "authorize_params", "prompt=consent"), query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"secret", clientValues("authorize_url", "https://as.example.com/authorize", "client_secret", canary, "scopes", "read write"), query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
		},
		"oauth2_device_code": {{"", clientValues("device_authorization_url", "https://as.example.com/device"), query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}}},
		"oauth2_client_credentials": {
			{"secret", clientValues("client_secret", canary, "auth_style", "post", "token_params", "audience=https%3A%2F%2Fapi.example.com"), query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"key", clientValues("auth_style", "private_key_jwt", "private_key", testKey(), "algorithm", "ES256"), query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
		},
		"oauth2_jwt_bearer": {
			{"", map[string]string{"token_url": "https://as.example.com/token", "client_id": "robot@example.com", "private_key": testKey(), "algorithm": "ES256", "claims": `{"tenant":"t1"}`}, query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
		},
		"aws_sigv4": {
			{"", awsValues(), query, http.Header{
				"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-central-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date, Signature=e570e75e0da13c4bd30fcdda48f30a21394aebfb2802d9296461729ad39ef1ec"},
				"X-Amz-Date":    {"20260102T030405Z"}, "X-Amz-Security-Token": nil, "X-Amz-Content-Sha256": nil, "Cookie": {"sid=theirs; lang=de"},
			}},
			{"session", awsValues("session_token", canary), query, http.Header{
				"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-central-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=67d415a043bbb0f1caf6f759d0cb8470455a96311c915960a4f80e85d681496b"},
				"X-Amz-Date":    {"20260102T030405Z"}, "X-Amz-Security-Token": {canary},
			}},
			{"s3", awsValues("region", "auto", "service", "s3", "payload", "unsigned"), query, http.Header{
				"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/auto/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=4d5fe65938a46a9e051ef9eeeb7650c22244657a52f28a9c1c2b6450b87d4e56"},
				"X-Amz-Date":    {"20260102T030405Z"}, "X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"},
			}},
		},
		"hmac_signature": {
			{"", hmacValues(), query, http.Header{
				"Authorization": {"HMAC key-1:nonce-1:1767323045:048f502a55cee7a9b5c2fe0ee33cc39830da0194a68b1e54d836ef5e63394322"}, "Cookie": {"sid=theirs; lang=de"},
			}},
			{"headers of its own", hmacValues(
				"secret", "Y2FuYXJ5LTdRLXNlY3JldA==", "secret_encoding", "base64", "algorithm", "sha512", "signature_encoding", "base64",
				"string_to_sign", "{timestamp}{method}{path}?{query}", "timestamp_format", "unix_ms",
				"header", "X-One", "header_value", "{signature}", "key_id_header", "X-Two", "timestamp_header", "X-Token", "nonce_header", "X-Nonce",
			), query, http.Header{
				"X-One": {"JeDQp0RZtSltHppPkfPxJa7Wp55P4djq0INTW4FlFTLNMsW5Zmz39ZWVSwOVedC7SnGHZvuQr3ouZwEQz4Hz7g=="},
				"X-Two": {"key-1"}, "X-Token": {"1767323045000"}, "X-Nonce": {"nonce-1"}, "Cookie": {"sid=theirs; lang=de"},
			}},
		},
		"signed_jwt": {
			{"shared secret", jwtValues(), query, http.Header{"Authorization": {"Bearer " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"key", jwtValues("algorithm", "ES256", "secret", "", "private_key", testKey(), "header", "X-Token", "scheme", "JWT"), query, http.Header{
				"X-Token": {"JWT " + canary}, "Authorization": nil, "Cookie": {"sid=theirs; lang=de"},
			}},
		},
		"mutual_tls": {{"", tlsValues(), query, http.Header{"Authorization": nil, "Cookie": {"sid=theirs; lang=de"}}}},
		"oauth1": {
			{"HMAC-SHA1", map[string]string{"signature_method": "HMAC-SHA1", "consumer_key": "ck", "consumer_secret": canary, "token": "tok", "token_secret": canary, "realm": "r 1"}, query, http.Header{
				"Authorization": {`OAuth realm="r 1", oauth_consumer_key="ck", oauth_nonce="nonce-1", oauth_signature_method="HMAC-SHA1", oauth_timestamp="1767323045", oauth_version="1.0", oauth_token="tok", oauth_signature="d1JzevMT5BalZCRvLwBEa71p12c%3D"`},
				"Cookie":        {"sid=theirs; lang=de"},
			}},
			{"HMAC-SHA256", map[string]string{"signature_method": "HMAC-SHA256", "consumer_key": "ck", "consumer_secret": canary}, query, http.Header{
				"Authorization": {`OAuth oauth_consumer_key="ck", oauth_nonce="nonce-1", oauth_signature_method="HMAC-SHA256", oauth_timestamp="1767323045", oauth_version="1.0", oauth_signature="fSwFn3K7DRACHGM7%2BBb2akFB2AbopCVDjcX%2BfiPR3iU%3D"`},
			}},
		},
		"custom_headers": {
			{"lines", map[string]string{"headers": "X-One: 1\r\nx-two:" + canary + "\n\n"}, query, http.Header{"X-One": {"1"}, "X-Two": {canary}, "Cookie": {"sid=theirs; lang=de"}}},
			{"object", map[string]string{"headers": `{"X-One":"a: b","Authorization":"Custom ` + canary + `"}`}, query, http.Header{"X-One": {"a: b"}, "Authorization": {"Custom " + canary}, "Cookie": {"sid=theirs; lang=de"}}},
		},
	}
}

func apiKeyValues(pairs ...string) map[string]string {
	values := map[string]string{"key": canary}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// awsValues are those of a key of AWS. What the vectors expect was computed with another implementation of
// the documented algorithm (Python's hmac); so it was for hmac_signature and oauth1.
func awsValues(pairs ...string) map[string]string {
	values := map[string]string{
		"access_key_id": "AKIDEXAMPLE", "secret_access_key": canary, "region": "eu-central-1", "service": "execute-api", "payload": "signed",
	}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// hmacValues are the defaults, with a key.
func hmacValues(pairs ...string) map[string]string {
	values := map[string]string{"key_id": "key-1", "secret": canary}
	for _, f := range (hmacSignature{}).Fields() {
		if f.Default != "" {
			values[f.Key] = f.Default
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// clientValues are those of a client that every kind of OAuth 2 with one has.
func clientValues(pairs ...string) map[string]string {
	values := map[string]string{"token_url": "https://as.example.com/token", "client_id": "switchgear", "auth_style": "basic"}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// testKey is a private key for ES256, of no other use.
func testKey() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// theirs is a request of a caller who authenticated in every way there is, in any case of letters.
func theirs(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://api.example.com/v1/x?a=1&key=theirs&b=%2F", nil)
	r.Header = http.Header{
		"Authorization": {"Bearer sg_theirs", "Basic dGhlaXJz"}, "authorization": {"theirs"}, "Proxy-Authorization": {"theirs"},
		"X-Api-Key": {"sg_theirs"}, "Cookie": {"sid=theirs; lang=de"}, "X-Token": {"theirs"}, "X-One": {"theirs"}, "x-two": {"theirs"},
	}
	return r
}

func TestConformance(t *testing.T) {
	t.Parallel()
	all := vectors()
	seen := map[string]bool{}
	for _, typ := range All() {
		kind := typ.Kind()
		if seen[kind] || typ.Label() == "" {
			t.Errorf("%q: twice, or without a label", kind)
		}
		seen[kind] = true
		if len(all[kind]) == 0 {
			t.Errorf("%s has no vectors", kind)
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			conformFields(t, typ)
			for _, v := range all[kind] {
				t.Run(v.name, func(t *testing.T) {
					t.Parallel()
					conformApply(t, typ, v)
					conformRefusals(t, typ, v)
				})
			}
		})
		delete(all, kind)
	}
	for kind := range all {
		t.Errorf("vectors for %s, which is not in All()", kind)
	}
}

func conformFields(t *testing.T, typ Type) {
	t.Helper()
	keys := map[string]bool{}
	for _, f := range typ.Fields() {
		if keys[f.Key] || f.Label == "" {
			t.Errorf("field %q: twice, or without a label", f.Key)
		}
		keys[f.Key] = true
		switch f.Type {
		case FieldText, FieldSecret, FieldHeaders, FieldPEM, FieldJSON:
		case FieldSelect:
			if len(f.Options) == 0 {
				t.Errorf("field %s offers nothing", f.Key)
			}
		default:
			t.Errorf("field %s has the unknown type %q", f.Key, f.Type)
		}
		if f.Type == FieldSecret && !f.Secret || f.Secret && f.Default != "" {
			t.Errorf("field %s: a secret is write-only and has no default", f.Key)
		}
	}
	if found, err := Lookup(typ.Kind()); err != nil || found.Kind() != typ.Kind() {
		t.Errorf("Lookup: %v, %v", found, err)
	}
}

func conformApply(t *testing.T, typ Type, v vector) {
	t.Helper()
	if err := Validate(typ, v.values); err != nil {
		t.Fatal(err)
	}
	r := theirs(t)
	shared := r.URL
	before := *r.URL
	kept := maps.Clone(v.values)
	// Twice: a second attempt must not put the credential on twice.
	for range 2 {
		if err := typ.Apply(r, useOf(v.values)); err != nil {
			t.Fatal(err)
		}
	}
	if r.URL.RawQuery != v.query || r.URL.Host != "api.example.com" || r.URL.Path != "/v1/x" {
		t.Errorf("the URL became %s, want the query %s", r.URL, v.query)
	}
	if *shared != before {
		t.Error("a URL that others may share was changed")
	}
	if !maps.Equal(kept, v.values) {
		t.Error("the values were changed")
	}
	want := v.header.Clone()
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), "theirs") && !isOther(v, name) {
			t.Errorf("the caller's %s is still there: %q", name, values)
		}
	}
	for name := range want {
		if diff := cmp.Diff(want[name], r.Header[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// isOther reports whether a header has nothing to do with this credential and passes.
func isOther(v vector, name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "x-api-key":
		return false
	case "cookie":
		return v.values["in"] != "cookie"
	}
	_, ours := v.header[http.CanonicalHeaderKey(name)]
	return !ours
}

// conformRefusals breaks each value in turn. Validate and Apply must both refuse it without repeating it,
// and Apply must not have put anything on the request.
func conformRefusals(t *testing.T, typ Type, v vector) {
	t.Helper()
	refuse := func(what, field string, values map[string]string) {
		t.Helper()
		r := theirs(t)
		applied, validated := typ.Apply(r, useOf(values)), Validate(typ, values)
		refusals := []error{validated}
		if !hasToken(typ) {
			refusals = append(refusals, applied)
		}
		for _, err := range refusals {
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Kind != fault.Invalid || !strings.HasPrefix(f.Details.Field, field) {
				t.Errorf("%s: got %v (%+v)", what, err, f)
				continue
			}
			if text := err.Error() + f.Details.Value + f.Details.Suggestion; strings.Contains(text, canary) {
				t.Errorf("%s: the error repeats the secret: %s", what, text)
			}
		}
		if diff := cmp.Diff(theirs(t).Header, r.Header); applied != nil && diff != "" {
			t.Errorf("%s: refused, but the request changed:\n%s", what, diff)
		}
	}
	with := func(key, value string) map[string]string {
		values := maps.Clone(v.values)
		if values == nil {
			values = map[string]string{}
		}
		values[key] = value
		return values
	}
	refuse("unknown field", "auth.fields.tokenn", with("tokenn", canary))
	refuse("a secret in the place of a key", "auth.fields", with(canary, "x"))
	for _, f := range typ.Fields() {
		path := FieldPath(f.Key)
		if f.Required {
			refuse("missing "+f.Key, path, with(f.Key, ""))
		}
		for _, injected := range []string{"\r\nX-Evil: 1", "\n", "\r", "\x00", "\x7f"} {
			value := canary + injected
			switch f.Type {
			case FieldJSON:
				value = "{" + value
			case FieldPEM:
				value = v.values[f.Key] + value
			case FieldHeaders:
				escaped := strings.NewReplacer("\r", `\r`, "\n", `\n`, "\x00", `\u0000`).Replace(value)
				value = `{"X-One":"` + escaped + `"}`
			}
			refuse("injection into "+f.Key, "auth.fields.", with(f.Key, value))
		}
		refuse("too long "+f.Key, path, with(f.Key, strings.Repeat("x", maxValue+1)))
		refuse("no text in "+f.Key, path, with(f.Key, canary+"\xff"))
		if f.Type == FieldSelect {
			refuse("no option of "+f.Key, path, with(f.Key, canary))
		}
	}
}

func TestEveryFileIsListed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, typ := range All() {
		listed[strings.ReplaceAll(typ.Kind(), "_", "")+".go"] = true
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), ") Kind() string") && !strings.HasSuffix(f, "_test.go") && !listed[f] {
			t.Errorf("%s defines a kind that All() does not list", f)
		}
	}
}

func TestUnknownKind(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "None", "oauth9", canary} {
		_, err := Lookup(kind)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid || f.Details.Field != "auth.type" || strings.Contains(err.Error()+f.Details.Value, canary) {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typ    Type
		values map[string]string
		field  string
	}{
		"scheme in the token":      {bearer{}, map[string]string{"token": "Bearer abc"}, "token"},
		"space in the token":       {bearer{}, map[string]string{"token": "abc def"}, "token"},
		"colon in the user name":   {basic{}, map[string]string{"username": "a:b"}, "username"},
		"host header":              {apiKey{}, apiKeyValues("in", "header", "name", "Host"), "name"},
		"length header":            {apiKey{}, apiKeyValues("in", "header", "name", "content-length"), "name"},
		"hop-by-hop header":        {apiKey{}, apiKeyValues("in", "header", "name", "Connection"), "name"},
		"header of ours":           {apiKey{}, apiKeyValues("in", "header", "name", "Switchgear-Error"), "name"},
		"header with a colon":      {apiKey{}, apiKeyValues("in", "header", "name", "X-A: b"), "name"},
		"key with a space":         {apiKey{}, map[string]string{"key": " abc", "in": "header", "name": "X-A"}, "key"},
		"cookie with a semicolon":  {apiKey{}, map[string]string{"key": "a;b=c", "in": "cookie", "name": "sid"}, "key"},
		"cookie prefix":            {apiKey{}, map[string]string{"key": "a", "in": "cookie", "name": "sid", "prefix": "x; y="}, "key"},
		"cookie name":              {apiKey{}, map[string]string{"key": "a", "in": "cookie", "name": "a=b"}, "name"},
		"no headers":               {customHeaders{}, map[string]string{"headers": " \n"}, "headers"},
		"no colon":                 {customHeaders{}, map[string]string{"headers": "X-A"}, "headers"},
		"no value":                 {customHeaders{}, map[string]string{"headers": "X-A:"}, "headers"},
		"twice":                    {customHeaders{}, map[string]string{"headers": "X-A: 1\nx-a: 2"}, "headers"},
		"transport header":         {customHeaders{}, map[string]string{"headers": "Transfer-Encoding: chunked"}, "headers"},
		"not an object of strings": {customHeaders{}, map[string]string{"headers": `{"X-A":1}`}, "headers"},
		"too many":                 {customHeaders{}, map[string]string{"headers": manyHeaders()}, "headers"},
	} {
		err := Validate(c.typ, c.values)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Invalid || f.Details.Field != FieldPath(c.field) {
			t.Errorf("%s: %v (%+v)", name, err, f)
		}
	}
}

func manyHeaders() string {
	var out strings.Builder
	for i := range maxHeaders + 1 {
		out.WriteString("X-" + strings.Repeat("a", i+1) + ": 1\n")
	}
	return out.String()
}

// Whatever the query of the caller, afterwards the parameter is there once, with our value, and the other
// parameters are as they were.
func FuzzReplaceParameter(f *testing.F) {
	for _, q := range []string{"", "key=1", "a=1&key=2&b=3", "%6bey=1", "k%65y", "key", "&&", "a=%zz&key=1", "a;key=1", "key=1&key=2"} {
		f.Add(q, "key", "v w&x=y")
	}
	f.Fuzz(func(t *testing.T, query, name, value string) {
		got := replaceParameter(query, name, value)
		if again := replaceParameter(got, name, value); again != got {
			t.Errorf("not stable: %q, then %q", got, again)
		}
		parsed, _ := url.ParseQuery(got) // keeps what it can read
		if values := parsed[name]; len(values) != 1 || values[0] != value {
			t.Errorf("%q: the values of %q are %q", got, name, values)
		}
	})
}

func FuzzCustomHeaders(f *testing.F) {
	f.Add("X-A: 1\r\nX-B: 2")
	f.Add(`{"X-A":"1"}`)
	f.Add("Host: evil")
	f.Add(":\n: \x00")
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, "https://api.example.com/", nil)
		if (customHeaders{}).Apply(r, Use{Values: map[string]string{"headers": text}}) != nil {
			return
		}
		var wire strings.Builder
		if err := r.Header.Write(&wire); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Count(wire.String(), "\n"), len(r.Header); got != want {
			t.Errorf("%d headers became %d lines: %q", want, got, wire.String())
		}
		if r.Header.Get("Host") != "" || r.Host != "api.example.com" {
			t.Errorf("the host became %q, %q", r.Host, r.Header.Get("Host"))
		}
	})
}
