package authtype

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"switchgear/internal/fault"
)

// The body takes part as it is and as its hash, and the nonce differs from call to call.
func TestHMACBody(t *testing.T) {
	t.Parallel()
	const body = `{"a":1}`
	values := hmacValues(
		"secret", "00ff10", "secret_encoding", "hex", "algorithm", "sha1", "signature_encoding", "base64", "timestamp_format", "rfc3339_ms",
		"string_to_sign", `{key_id}{{}}{timestamp}\\{nonce}\n{host}{body}{body_sha256}`, "header", "X-Signature", "header_value", "v1={signature};{timestamp};{nonce}",
	)
	nonces := map[string]bool{}
	for range 3 {
		r := keeping(t.Context(), http.MethodPost, "https://api.example.com/a", "application/json", body)
		if err := (hmacSignature{}).Apply(r, Use{Values: values, Now: moment.Add(7 * time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
		signature, rest, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Signature"), "v1="), ";")
		at, nonce, _ := strings.Cut(rest, ";")
		nonces[nonce] = true
		sum := sha256.Sum256([]byte(body))
		mac := hmac.New(sha1.New, []byte{0, 255, 16})
		mac.Write([]byte("key-1{}2026-01-02T03:04:05.007Z\\" + nonce + "\napi.example.com" + body + hex.EncodeToString(sum[:])))
		if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); signature != want || at != "2026-01-02T03:04:05.007Z" || len(nonce) != 32 {
			t.Errorf("%s, want the signature %s", r.Header.Get("X-Signature"), want)
		}
	}
	if len(nonces) != 3 {
		t.Error("a nonce came twice")
	}
}

func TestHMACRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		field  string
		values map[string]string
	}{
		"unknown placeholder":           {"string_to_sign", hmacValues("string_to_sign", "{methode}")},
		"signature in what is signed":   {"string_to_sign", hmacValues("string_to_sign", "{signature}")},
		"placeholder without an end":    {"string_to_sign", hmacValues("string_to_sign", "{method")},
		"end without a placeholder":     {"string_to_sign", hmacValues("string_to_sign", "method}")},
		"unknown escape":                {"string_to_sign", hmacValues("string_to_sign", `a\x`)},
		"escape without an end":         {"string_to_sign", hmacValues("string_to_sign", `a\`)},
		"a time that nobody is told":    {"string_to_sign", hmacValues("header_value", "{key_id}:{nonce}:{signature}")},
		"a nonce that nobody is told":   {"string_to_sign", hmacValues("header_value", "{key_id}:{timestamp}:{signature}")},
		"body in the header":            {"header_value", hmacValues("header_value", "{signature}{body}")},
		"header without the signature":  {"header_value", hmacValues("header_value", "{key_id} {timestamp} {nonce}")},
		"header that ends in a space":   {"header_value", hmacValues("header_value", "HMAC {key_id}:{nonce}:{timestamp}:{signature} ")},
		"no key ID":                     {"key_id", hmacValues("key_id", "")},
		"secret that is no hexadecimal": {"secret", hmacValues("secret_encoding", "hex")},
		"secret that is no base64":      {"secret", hmacValues("secret_encoding", "base64", "secret", canary+"!")},
		"one header for two":            {"nonce_header", hmacValues("timestamp_header", "X-A", "nonce_header", "x-a")},
		"transport header":              {"timestamp_header", hmacValues("timestamp_header", "Host")},
	} {
		err := Validate(hmacSignature{}, c.values)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Details.Field != FieldPath(c.field) || strings.Contains(err.Error()+f.Details.Suggestion, canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the template, it parses to what it was written from, and an error repeats none of it.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{`{method}\n{path}`, "{{a}}", "{", "}", `\`, "{a}{b}", `\\{{`} {
		f.Add(text)
	}
	names := hmacSigned()
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseTemplate(field(hmacSignature{}, "string_to_sign"), text, true, names)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, p := range parsed {
			if p.name != "" {
				again.WriteString("{" + p.name + "}")
				continue
			}
			again.WriteString(strings.NewReplacer("{", "{{", "}", "}}", "\n", `\n`, "\r", `\r`, "\t", `\t`, `\`, `\\`).Replace(p.literal))
		}
		twice, err := parseTemplate(field(hmacSignature{}, "string_to_sign"), again.String(), true, names)
		if err != nil || len(twice) != len(parsed) {
			t.Fatalf("%q became %q: %v", text, again.String(), err)
		}
		for i := range parsed {
			if parsed[i] != twice[i] {
				t.Errorf("%q: part %d is %+v, then %+v", text, i, parsed[i], twice[i])
			}
		}
	})
}
