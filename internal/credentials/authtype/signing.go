package authtype

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signatureAlgorithms are those of RFC 7518 3.1 and RFC 8037 that have a key pair.
func signatureAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Assertion is a JWT to be signed.
type Assertion struct {
	// Key is a private key as PEM, or the shared secret of an HS algorithm.
	Key, KeyID, Algorithm string
	Claims                map[string]any
}

// Sign makes the JWT. Registered claims are written as they are in Claims; nothing is added but the header.
// The error holds no part of the key.
func (a Assertion) Sign() (string, error) {
	method := jwt.GetSigningMethod(a.Algorithm)
	if method == nil {
		return "", errors.New("authtype: unknown signature algorithm")
	}
	token := jwt.NewWithClaims(method, jwt.MapClaims(maps.Clone(a.Claims)))
	if a.KeyID != "" {
		token.Header["kid"] = a.KeyID
	}
	text, err := token.SigningString()
	if err != nil {
		return "", errors.New("authtype: the claims cannot be written")
	}
	signature, err := a.signText(text)
	if err != nil {
		return "", err
	}
	return text + "." + signature, nil
}

// signText is the signature of header and claims, as a JWT has it.
func (a Assertion) signText(text string) (string, error) {
	method := jwt.GetSigningMethod(a.Algorithm)
	if method == nil || a.Algorithm == "none" {
		return "", errors.New("authtype: unknown signature algorithm")
	}
	var key any = []byte(a.Key)
	if !strings.HasPrefix(a.Algorithm, "HS") {
		private, err := parsePrivateKey(a.Key)
		if err != nil {
			return "", err
		}
		if !fits(private, a.Algorithm) {
			return "", errors.New("authtype: the key is not one of the algorithm")
		}
		key = private
	}
	signature, err := method.Sign(text, key)
	if err != nil {
		// The text of a library could say too much about a key.
		return "", errors.New("authtype: the assertion cannot be signed")
	}
	return base64.RawURLEncoding.EncodeToString(signature), nil
}

// Numeric is a time as JWTs write it (RFC 7519 2, NumericDate).
func Numeric(t time.Time) int64 { return t.Unix() }

// parsePrivateKey reads the one private key of a PEM text: PKCS #8, PKCS #1 or SEC 1, not encrypted.
func parsePrivateKey(text string) (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil || strings.TrimSpace(string(rest)) != "" || !strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN ") {
		return nil, errors.New("authtype: not one PEM block")
	}
	var (
		key any
		err error
	)
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, errors.New("authtype: the PEM block is no private key that is not encrypted")
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("authtype: the private key does not parse")
	}
	return signer, nil
}

// fits reports whether a key is one of an algorithm.
func fits(key crypto.Signer, algorithm string) bool {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PrivateKey:
		switch algorithm {
		case "ES256":
			return k.Curve.Params().BitSize == 256
		case "ES384":
			return k.Curve.Params().BitSize == 384
		case "ES512":
			return k.Curve.Params().BitSize == 521
		}
	case ed25519.PrivateKey:
		return algorithm == "EdDSA"
	}
	return false
}

// checkSigningKey refuses what does not sign with the algorithm.
func checkSigningKey(f ref, text, algorithm string) error {
	key, err := parsePrivateKey(text)
	if err != nil {
		return f.invalid("is not a private key in PEM form without a passphrase. Paste everything from BEGIN to END.")
	}
	if !fits(key, algorithm) {
		return f.invalid("is not a key of the signature algorithm " + algorithm + ".")
	}
	if k, ok := key.(*rsa.PrivateKey); ok && k.N.BitLen() < 2048 {
		return f.invalid("has fewer than 2048 bits, which RFC 7518 rules out.")
	}
	return nil
}

// keyPair reads a client certificate with its key.
func keyPair(certificateField, keyField ref, certificate, key string) (tls.Certificate, error) {
	rest, count := []byte(strings.TrimSpace(certificate)), 0
	for len(rest) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			break
		}
		rest = []byte(strings.TrimSpace(string(rest)))
		count++
	}
	if count == 0 || len(rest) > 0 {
		return tls.Certificate{}, certificateField.invalid("is not certificates in PEM form. Paste everything from BEGIN to END.")
	}
	if _, err := parsePrivateKey(key); err != nil {
		return tls.Certificate{}, keyField.invalid("is not a private key in PEM form without a passphrase. Paste everything from BEGIN to END.")
	}
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		return tls.Certificate{}, keyField.invalid("is not the key of the certificate, or one of both does not parse.")
	}
	return pair, nil
}

// parseClaims reads a JSON object; empty is none.
func parseClaims(f ref, text string) (map[string]any, error) {
	if strings.TrimSpace(text) == "" {
		return map[string]any{}, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var claims map[string]any
	if err := decoder.Decode(&claims); err != nil || claims == nil || decoder.More() {
		// The decoder's text could quote a value: it stays out.
		return nil, f.invalid("are not a JSON object.")
	}
	return claims, nil
}
