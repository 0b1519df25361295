package authtype

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"switchgear/internal/fault"
)

// Use is what a credential is put on one request with.
type Use struct {
	// Values are those of the fields. A kind with a token gets at most those that are not secret.
	Values map[string]string
	// Token is that of a [Granted] or [Minter] kind, and zero otherwise.
	Token Token
	// Now is the time that signatures are made at.
	Now time.Time
	// Nonce makes what must not be the same in two signatures. nil is 16 random bytes in hexadecimal.
	Nonce func() string
}

func (u Use) nonce() string {
	if u.Nonce != nil {
		return u.Nonce()
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails: see crypto/rand.
	return hex.EncodeToString(b[:])
}

// Token is what a kind with a token puts on a request. It holds a secret and is never stored or printed as
// it is.
type Token struct {
	Access string
	// Type is the token type of RFC 6749 7.1. Empty is Bearer.
	Type string
	// ExpiresAt is zero when nobody said when it ends.
	ExpiresAt time.Time
}

// The grants of OAuth 2 by which a token is obtained.
const (
	GrantAuthorizationCode = "authorization_code" // a person consents in the browser
	GrantDeviceCode        = "device_code"        // a person consents on another device
	GrantClientCredentials = "client_credentials"
	GrantJWTBearer         = "jwt_bearer"
)

// Granted is a Type whose token comes from the token endpoint of an authorization server. The values are
// those of the client; the token is obtained, renewed and kept by package credentials.
type Granted interface {
	Type
	// Grant is one of the grants above.
	Grant() string
}

// Interactive reports whether the token of a kind needs the consent of a person.
func Interactive(t Type) bool {
	g, ok := t.(Granted)
	return ok && (g.Grant() == GrantAuthorizationCode || g.Grant() == GrantDeviceCode)
}

// Minter is a Type that makes its token itself, without asking anybody.
type Minter interface {
	Type
	// Mint makes a token at a time. It is used until shortly before its end. The error is a fault.Invalid
	// about auth.fields.<key> and holds no value.
	Mint(values map[string]string, now time.Time) (Token, error)
}

// Expirer is a Type whose credential ends at a date that its values hold.
type Expirer interface {
	Type
	// Expiry is when the credential ends; false when the values do not say. It asks for none of the secret
	// values.
	Expiry(values map[string]string) (time.Time, bool)
}

// Expiry is when a credential ends, as far as its values say.
func Expiry(t Type, values map[string]string) (time.Time, bool) {
	e, ok := t.(Expirer)
	if !ok {
		return time.Time{}, false
	}
	return e.Expiry(values)
}

// Placed is a Type that cannot be used with every address.
type Placed interface {
	Type
	// CheckOrigin refuses values that cannot be used at an origin (scheme, host and port), as a fault.Invalid
	// about auth.fields.<key>. It asks for none of the secret values.
	CheckOrigin(values map[string]string, origin string) error
}

// CheckOrigin refuses values of a kind that cannot be used at an origin.
func CheckOrigin(t Type, values map[string]string, origin string) error {
	if p, ok := t.(Placed); ok {
		return p.CheckOrigin(values, origin)
	}
	return nil
}

// BodySigner is a Type whose signature covers the body. Its Apply reads the body by [http.Request.GetBody],
// which is nil for a request without one, and for one whose body it does not need.
type BodySigner interface {
	Type
	// SignsBody reports whether a body of a content type takes part in the signature. It asks for none of
	// the secret values.
	SignsBody(values map[string]string, contentType string) bool
}

// openBody is the body that takes part in a signature.
func openBody(r *http.Request) (io.ReadCloser, error) {
	switch {
	case r.GetBody != nil:
		return r.GetBody()
	case r.Body == nil || r.Body == http.NoBody:
		return http.NoBody, nil
	}
	// Signing an empty body instead would be refused by the service, and nobody would see why.
	return nil, fault.New(fault.Internal, "", "The body of the request was not kept for its signature.")
}

// TLSConfigurer is a Type that authenticates the connection below the request. Its Apply gets only the values
// that are not secret.
type TLSConfigurer interface {
	Type
	// ClientTLS returns the certificate to present, and the authorities to trust; nil for those of the
	// system. The error is a fault.Invalid about auth.fields.<key> and holds no value.
	ClientTLS(values map[string]string) (certificate tls.Certificate, authorities *x509.CertPool, err error)
}
