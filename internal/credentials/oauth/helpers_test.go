package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"switchgear/internal/credentials/authtype"
)

// canary is in every secret, and in everything a hostile server says: no error may hold it.
const canary = "canary4711"

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// client returns one that trusts the certificates of roots beside the usual ones.
func client(t *testing.T, roots *x509.CertPool) *Client {
	t.Helper()
	c, err := New(Deps{Now: now, Transport: func(certificate *tls.Certificate) http.RoundTripper {
		tr := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}}
		if certificate != nil {
			tr.TLSClientConfig.Certificates, tr.DisableKeepAlives = []tls.Certificate{*certificate}, true
		}
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// through returns a client whose requests a function answers.
func through(t *testing.T, answer func(r *http.Request) (*http.Response, error)) *Client {
	t.Helper()
	c, err := New(Deps{Now: now, Transport: func(*tls.Certificate) http.RoundTripper { return roundTrip(answer) }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// received is a request as a server saw it.
type received struct {
	header http.Header
	form   url.Values
}

// server answers every request with one answer, and keeps what arrived.
func server(t *testing.T, status int, contentType, body string) (*httptest.Server, *[]received) {
	t.Helper()
	var seen []received
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(text))
		seen = append(seen, received{r.Header.Clone(), form})
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s, &seen
}

func config(tokenURL string) Config {
	return Config{TokenURL: tokenURL, ClientID: "shop", ClientSecret: "secret-" + canary, AuthStyle: authtype.StyleBasic}
}

// failed returns the error as one of ours, once it is sure that it gives nothing away.
func failed(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%v is no error of this package", err)
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		keepsQuiet(t, cause)
	}
	if advice := e.Advice(); advice == "" || strings.Contains(advice, canary) {
		t.Errorf("advice %q", advice)
	}
	return e
}

// keepsQuiet fails when any way to print v shows a secret.
func keepsQuiet(t *testing.T, v any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		text := fmt.Sprintf(verb, v)
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s of %T gives a secret away", verb, v)
		}
	}
}

// keyPEM is a new key on P-256.
func keyPEM(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// certificatePEM is one that signs itself.
func certificatePEM(t *testing.T, key *ecdsa.PrivateKey, name string) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
