package authtype

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

func testRSAKey(t *testing.T) (string, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})), key
}

// testCertificate is a certificate of its own making that ends at a time, and its key.
func testCertificate(end time.Time) (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		panic(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func tlsValues(pairs ...string) map[string]string {
	certificate, key := testCertificate(moment.Add(time.Hour))
	values := map[string]string{"certificate": certificate, "private_key": key}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return values
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	values := tlsValues()
	certificate, authorities, err := mutualTLS{}.ClientTLS(values)
	if err != nil || len(certificate.Certificate) != 1 || authorities != nil {
		t.Errorf("%d certificates, %v, %v", len(certificate.Certificate), authorities, err)
	}
	values["ca"] = values["certificate"]
	if _, authorities, err = (mutualTLS{}).ClientTLS(values); err != nil || authorities == nil {
		t.Errorf("%v, %v", authorities, err)
	}
	_, other := testCertificate(moment)
	for name, broken := range map[string]map[string]string{
		"the key of another":   tlsValues("private_key", other),
		"a key as certificate": tlsValues("certificate", other),
		"a key as authority":   tlsValues("ca", other),
		"text as authority":    tlsValues("ca", "x"),
		"an unknown field":     tlsValues("cert", "x"),
	} {
		if _, _, err := (mutualTLS{}).ClientTLS(broken); err == nil || Validate(mutualTLS{}, broken) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// The end of a certificate can be read without its key; a chain ends with its first end.
func TestExpiry(t *testing.T) {
	t.Parallel()
	early, _ := testCertificate(moment)
	late, _ := testCertificate(moment.Add(time.Hour))
	for name, c := range map[string]struct {
		certificate string
		want        time.Time
	}{
		"one": {late, moment.Add(time.Hour)}, "chain": {late + early, moment}, "none": {"", time.Time{}}, "no certificate": {"x", time.Time{}},
	} {
		got, ok := Expiry(mutualTLS{}, map[string]string{"certificate": c.certificate})
		if !got.Equal(c.want) || ok != !c.want.IsZero() {
			t.Errorf("%s: %s, %v", name, got, ok)
		}
	}
	if _, ok := Expiry(bearer{}, nil); ok {
		t.Error("a token has an end that nobody knows")
	}
}
