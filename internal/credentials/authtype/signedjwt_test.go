package authtype

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

// part decodes a part of a JWT.
func part(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	return new(big.Int).SetBytes(part(t, text))
}

// RFC 7515 A.1: HS256.
func TestRFC7515HS256(t *testing.T) {
	t.Parallel()
	const (
		input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
		key   = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
		want  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	)
	got, err := Assertion{Key: string(part(t, key)), Algorithm: "HS256"}.signText(input)
	if err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}

// RFC 7515 A.2: RS256.
func TestRFC7515RS256(t *testing.T) {
	t.Parallel()
	const (
		input = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
		n     = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
		d     = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"
		p     = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc"
		q     = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc"
		want  = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
	)
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(t, n), E: 65537}, D: number(t, d), Primes: []*big.Int{number(t, p), number(t, q)},
	}
	key.Precompute()
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	got, err := Assertion{Key: text, Algorithm: "RS256"}.signText(input)
	if err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}

// jwtValues are the defaults, with a secret.
func jwtValues(pairs ...string) map[string]string {
	values := map[string]string{"secret": canary}
	for _, f := range (signedJWT{}).Fields() {
		if f.Default != "" {
			values[f.Key] = f.Default
		}
	}
	values["algorithm"] = "HS256"
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

// minted are the header and claims of a JWT, and what is signed and the signature.
func minted(t *testing.T, values map[string]string) (header, claims map[string]any, input string, signature []byte, token Token) {
	t.Helper()
	if err := Validate(signedJWT{}, values); err != nil {
		t.Fatal(err)
	}
	token, err := signedJWT{}.Mint(values, moment)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token.Access, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token.Access)
	}
	if json.Unmarshal(part(t, parts[0]), &header) != nil || json.Unmarshal(part(t, parts[1]), &claims) != nil {
		t.Fatalf("%q is no JWT", token.Access)
	}
	return header, claims, parts[0] + "." + parts[1], part(t, parts[2]), token
}

const now = 1767323045 // moment

// A GitHub App says who it is: issued a minute ago, for at most ten minutes, by RS256.
func TestGitHubApp(t *testing.T) {
	t.Parallel()
	text, key := testRSAKey(t)
	header, claims, input, signature, token := minted(t, jwtValues(
		"algorithm", "RS256", "secret", "", "private_key", text, "issuer", "Iv1.8a61f9b3a7aba766", "claims", `{"iat":"{now-60}"}`, "lifetime", "540",
	))
	if diff := cmp.Diff(map[string]any{"iss": "Iv1.8a61f9b3a7aba766", "iat": now - 60.0, "exp": now + 540.0}, claims); diff != "" {
		t.Error(diff)
	}
	sum := sha256.Sum256([]byte(input))
	if header["alg"] != "RS256" || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		t.Errorf("header %v, or the signature does not verify", header)
	}
	if !token.ExpiresAt.Equal(moment.Add(9 * time.Minute)) {
		t.Errorf("ends at %s", token.ExpiresAt)
	}
}

// App Store Connect wants ES256, the ID of the key, the issuer and its own audience.
func TestAppStoreConnect(t *testing.T) {
	t.Parallel()
	text := testKey()
	header, claims, input, signature, _ := minted(t, jwtValues(
		"algorithm", "ES256", "secret", "", "private_key", text, "key_id", "2X9R4HXF34", "issuer", "57246542-96fe-1a63-e053-0824d011072a",
		"claims", `{"aud":"appstoreconnect-v1","scope":["GET /v1/apps?filter[platform]=IOS"]}`, "lifetime", "1200",
	))
	if diff := cmp.Diff(map[string]any{
		"iss": "57246542-96fe-1a63-e053-0824d011072a", "iat": float64(now), "exp": now + 1200.0, "aud": "appstoreconnect-v1",
		"scope": []any{"GET /v1/apps?filter[platform]=IOS"},
	}, claims); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "JWT", "kid": "2X9R4HXF34"}, header); diff != "" {
		t.Error(diff)
	}
	signer, err := parsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := signer.(*ecdsa.PrivateKey)
	sum := sha256.Sum256([]byte(input))
	if len(signature) != 64 || !ecdsa.Verify(&key.PublicKey, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the signature does not verify")
	}
}

// Zoom's way: HS256 with a secret that is text. Ghost's: with one in hexadecimal, and a word of its own.
func TestSharedSecrets(t *testing.T) {
	t.Parallel()
	for encoding, key := range map[string]string{"utf8": "636166c3a9", "hex": "\x63\x61\x66\xc3\xa9"} {
		header, claims, input, signature, _ := minted(t, jwtValues(
			"secret", "636166c3a9", "secret_encoding", encoding, "key_id", "k1", "claims", `{"appKey":"sdk","tokenExp":"{now+3600}","iat":"{now}","jti":"{uuid}","note":"at {now} {{x}}"}`,
		))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(input))
		if header["kid"] != "k1" || !hmac.Equal(mac.Sum(nil), signature) {
			t.Errorf("%s: the signature does not verify", encoding)
		}
		jti, _ := claims["jti"].(string)
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(jti) {
			t.Errorf("jti %q", jti)
		}
		delete(claims, "jti")
		if diff := cmp.Diff(map[string]any{"appKey": "sdk", "tokenExp": now + 3600.0, "iat": float64(now), "exp": now + 300.0, "note": "at 1767323045 {x}"}, claims); diff != "" {
			t.Error(diff)
		}
	}
}

// What the template says about the end holds, and null leaves a claim out.
func TestClaimsOfTheTemplate(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]map[string]any{
		``:                                 {"iat": float64(now), "exp": now + 300.0},
		`{"exp":"{now+120}"}`:              {"iat": float64(now), "exp": now + 120.0},
		`{"iat":null,"exp":null}`:          {},
		`{"a":{"b":["{now}",1.50,true]}}`:  {"iat": float64(now), "exp": now + 300.0, "a": map[string]any{"b": []any{float64(now), 1.5, true}}},
		`{"nbf":"{now-5}","big":12345678}`: {"iat": float64(now), "exp": now + 300.0, "nbf": now - 5.0, "big": 12345678.0},
	} {
		_, claims, _, _, token := minted(t, jwtValues("claims", template))
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("%s: %s", template, diff)
		}
		end := moment.Add(5 * time.Minute)
		if exp, ok := want["exp"].(float64); ok {
			end = time.Unix(int64(exp), 0)
		}
		if !token.ExpiresAt.Equal(end) {
			t.Errorf("%s: ends at %s", template, token.ExpiresAt)
		}
	}
}

func TestSignedJWTHeader(t *testing.T) {
	t.Parallel()
	r := theirs(t)
	err := signedJWT{}.Apply(r, Use{Values: map[string]string{"header": "X-Token", "scheme": ""}, Token: Token{Access: "a.b.c"}})
	if err != nil || r.Header.Get("X-Token") != "a.b.c" || r.Header.Get("Authorization") != "" {
		t.Errorf("%v, %v", r.Header, err)
	}
	if err := (signedJWT{}).Apply(r, Use{Values: map[string]string{"header": http.CanonicalHeaderKey("host")}, Token: Token{Access: "a.b.c"}}); err == nil {
		t.Error("the host was set")
	}
}

func TestSignedJWTRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		field  string
		values map[string]string
	}{
		"no secret":              {"secret", jwtValues("secret", "")},
		"no key":                 {"private_key", jwtValues("algorithm", "ES256")},
		"another key":            {"private_key", jwtValues("algorithm", "RS256", "private_key", testKey())},
		"a key for HS":           {"private_key", jwtValues("private_key", testKey())},
		"secret not hexadecimal": {"secret", jwtValues("secret_encoding", "hex")},
		"claims that are none":   {"claims", jwtValues("claims", `["{now}"]`)},
		"unknown placeholder":    {"claims", jwtValues("claims", `{"a":"{tomorrow}"}`)},
		"odd time":               {"claims", jwtValues("claims", `{"a":"{now+-5}"}`)},
		"iss twice":              {"claims", jwtValues("claims", `{"iss":"a"}`, "issuer", "b")},
		"exp that passes":        {"claims", jwtValues("claims", `{"exp":1900000000}`)},
		"exp as text":            {"claims", jwtValues("claims", `{"exp":"at {now+300}"}`)},
		"exp too soon":           {"claims", jwtValues("claims", `{"exp":"{now+5}"}`)},
		"exp too late":           {"claims", jwtValues("claims", `{"exp":"{now+90000}"}`)},
		"lifetime too short":     {"lifetime", jwtValues("lifetime", "59")},
		"lifetime too long":      {"lifetime", jwtValues("lifetime", "86401")},
		"lifetime in words":      {"lifetime", jwtValues("lifetime", "5m")},
		"transport header":       {"header", jwtValues("header", "Host")},
		"scheme of two words":    {"scheme", jwtValues("scheme", "a b")},
	} {
		err := Validate(signedJWT{}, c.values)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Details.Field != FieldPath(c.field) || strings.Contains(err.Error()+f.Details.Suggestion, canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
