package credentials

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"switchgear/internal/credentials/authtype"
)

// ClientTLS is what the connections of an account present to servers, and whom they trust.
type ClientTLS struct {
	// Certificate opens the certificate with its key for one handshake. Nothing of the key is kept here.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	// Authorities are those that certificates of servers have to come from; nil for those of the system.
	Authorities *x509.CertPool
}

// CertificateAccounts are the accounts that present a client certificate, sorted. Connections must not be
// shared between them, nor with other accounts.
func (s *Set) CertificateAccounts() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range maps.Keys(s.accounts) {
			if s.accounts[name].clientTLS != nil && !yield(name) {
				return
			}
		}
	})
}

// ClientTLS returns what opens what the connections of an account present, nil for an account that presents
// nothing. It opens the sealed values once, to see whether they can be used.
func (s *Set) ClientTLS(name string) func() (ClientTLS, error) {
	return s.accounts[name].clientTLS
}

// Expiry is when the credential ends by itself, as far as what is not secret of it says: the end of a client
// certificate.
func (c Credential) Expiry() (time.Time, bool) {
	t, err := authtype.Lookup(c.AuthType)
	if err != nil {
		return time.Time{}, false
	}
	return authtype.Expiry(t, c.Settings)
}

func (v *Vault) clientTLS(r sealedRow, t authtype.TLSConfigurer) func() (ClientTLS, error) {
	aad, sealed := r.aad(), r.sealed
	open := func() (tls.Certificate, *x509.CertPool, error) {
		values, err := v.openSealed(aad, sealed)
		if err != nil {
			return tls.Certificate{}, nil, err
		}
		certificate, authorities, err := t.ClientTLS(values)
		if err != nil {
			return tls.Certificate{}, nil, notApplicable(err)
		}
		return certificate, authorities, nil
	}
	return func() (ClientTLS, error) {
		_, authorities, err := open()
		if err != nil {
			return ClientTLS{}, err
		}
		return ClientTLS{
			Authorities: authorities,
			Certificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				certificate, _, err := open()
				return &certificate, err
			},
		}, nil
	}
}
