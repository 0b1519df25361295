package authtype

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"time"
)

// mutualTLS presents a client certificate on the connection, and puts nothing on the request.
type mutualTLS struct{}

// Kind implements Type.
func (mutualTLS) Kind() string { return "mutual_tls" }

// Label implements Type.
func (mutualTLS) Label() string { return "Client certificate" }

// Fields implements Type.
func (mutualTLS) Fields() []Field {
	return []Field{
		{Key: "certificate", Label: "Certificate", Type: FieldPEM, Required: true, Help: "PEM, with the chain."},
		{Key: "private_key", Label: "Private key", Type: FieldPEM, Required: true, Secret: true, Help: "PEM, without a passphrase."},
		{
			Key: "ca", Label: "Authorities", Type: FieldPEM,
			Help: "PEM. The certificate of the server has to come from one of them. Empty for those of the system.",
		},
	}
}

func (t mutualTLS) check(values map[string]string) error {
	_, _, err := t.pair(values)
	return err
}

// pair is ClientTLS without the check of the rest.
func (t mutualTLS) pair(values map[string]string) (tls.Certificate, *x509.CertPool, error) {
	certificate, err := keyPair(field(t, "certificate"), field(t, "private_key"), values["certificate"], values["private_key"])
	if err != nil || values["ca"] == "" {
		return certificate, nil, err
	}
	authorities, err := certificates(field(t, "ca"), values["ca"])
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range authorities {
		pool.AddCert(c)
	}
	return certificate, pool, nil
}

// ClientTLS implements TLSConfigurer.
func (t mutualTLS) ClientTLS(values map[string]string) (tls.Certificate, *x509.CertPool, error) {
	if err := validateFields(t, values); err != nil {
		return tls.Certificate{}, nil, err
	}
	return t.pair(values)
}

// Expiry implements Expirer: the first end of the certificate and its chain.
func (t mutualTLS) Expiry(values map[string]string) (time.Time, bool) {
	chain, err := certificates(field(t, "certificate"), values["certificate"])
	if err != nil {
		return time.Time{}, false
	}
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end, true
}

// certificates reads one certificate or several, and nothing else.
func certificates(f ref, text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(strings.TrimSpace(text)); len(rest) > 0; {
		var block *pem.Block
		if !strings.HasPrefix(string(rest), "-----BEGIN ") {
			return nil, f.invalid("is not certificates in PEM form. Paste everything from BEGIN to END.")
		}
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, f.invalid("is not certificates in PEM form. Paste everything from BEGIN to END.")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, f.invalid("has a certificate that does not parse.")
		}
		out, rest = append(out, c), []byte(strings.TrimSpace(string(rest)))
	}
	if len(out) == 0 {
		return nil, f.invalid("has no certificate.")
	}
	return out, nil
}

// Apply implements Type. The certificate is on the connection, where it is checked too; what the caller
// authenticated with does not pass.
func (mutualTLS) Apply(r *http.Request, _ Use) error {
	strip(r)
	return nil
}
