package connections

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"switchgear/internal/runtime"
)

// authority makes certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.certificate, a.key = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a.serial++
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(a.serial), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return certificate, key
}

// client is a certificate for a name, and its key, in PEM.
func (a *authority) client(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	c, private := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pemOf("CERTIFICATE", c.Raw), pemOf("PRIVATE KEY", der)
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// vault asks for client certificates of an authority, and answers with whom it sees.
func (a *authority) vault(t *testing.T, http2 bool) *httptest.Server {
	t.Helper()
	c, key := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.EnableHTTP2 = http2
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) // It would tell what is refused.
	s.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool(),
		Certificates: []tls.Certificate{{Certificate: [][]byte{c.Raw}, PrivateKey: key}},
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// seen is whom the server of a connection sees, and the code of an error of ours.
func seen(t *testing.T, gateway *httptest.Server, account string) (name, code string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway.URL+"/bank/who", http.NoBody)
	must(t, err)
	r.Header.Set("Switchgear-Account", account)
	resp, err := gateway.Client().Do(r)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		return "", resp.Header.Get(runtime.ErrorHeader)
	}
	return string(body), ""
}

// Every account presents its own certificate, on connections of its own: however the calls of several are
// mixed, the server sees who makes each. A new certificate holds from the next call.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t)
			server := ca.vault(t, http2)
			w := newWorld(t)
			fields := func(name string) map[string]string {
				certificate, key := ca.client(t, name)
				return map[string]string{"certificate": certificate, "private_key": key, "ca": pemOf("CERTIFICATE", ca.certificate.Raw)}
			}
			d := draft("bank")
			d.BaseURL, d.Auth = server.URL, Auth{Type: "mutual_tls", Fields: fields("ada")}
			_, err := w.Create(t.Context(), admin(), d, "")
			must(t, err)
			_, err = w.PutAccount(t.Context(), admin(), "bank", "zoe", Auth{Type: "mutual_tls", Fields: fields("zoe")}, "")
			must(t, err)
			s := gatewayOf(w)
			for range 3 {
				for account, want := range map[string]string{"default": "ada", "zoe": "zoe"} {
					if got, code := seen(t, s, account); got != want {
						t.Errorf("%s is %q %s, want %s", account, got, code, want)
					}
				}
			}
			if w.guard.count() != 2 {
				t.Errorf("%d transports were made for two certificates", w.guard.count())
			}
			target, err := w.Target("bank", "zoe")
			must(t, err)
			if got := runtime.Probe(t.Context(), target, http.MethodGet, "/"); got.Body != "zoe" {
				t.Errorf("probe: %+v", got)
			}

			_, err = w.PutAccount(t.Context(), admin(), "bank", "zoe", Auth{Type: "mutual_tls", Fields: fields("zoe again")}, "")
			must(t, err)
			if got, code := seen(t, s, "zoe"); got != "zoe again" {
				t.Errorf("after the rotation the server sees %q %s", got, code)
			}
			if got, _ := seen(t, s, "default"); got != "ada" || w.guard.count() != 3 {
				t.Errorf("the other account is %q, and %d transports were made", got, w.guard.count())
			}
			accounts, err := w.vault.List(t.Context(), target.ConnectionID)
			must(t, err)
			for _, a := range accounts {
				if end, ok := a.Expiry(); !ok || end.Before(time.Now()) || end.After(time.Now().Add(time.Hour)) {
					t.Errorf("%s ends at %s, %v", a.Account, end, ok)
				}
			}
			c, _ := w.Peek("bank")
			text, err := json.Marshal(c)
			must(t, err)
			if strings.Contains(string(text)+w.logs.String(), "PRIVATE KEY") {
				t.Error("a key is in the connection or the log")
			}
		})
	}
}

// A certificate that the server does not know, none at all, and a server that we do not know: no call goes
// through, and none borrows the connection of an account that may.
func TestClientCertificatesRefused(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	server := ca.vault(t, false)
	w := newWorld(t)
	fields := func(by, trusted *authority) map[string]string {
		certificate, key := by.client(t, "mallory")
		return map[string]string{"certificate": certificate, "private_key": key, "ca": pemOf("CERTIFICATE", trusted.certificate.Raw)}
	}
	d := draft("bank")
	d.BaseURL, d.Auth = server.URL, Auth{Type: "mutual_tls", Fields: fields(ca, ca)}
	_, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	for account, auth := range map[string]Auth{
		"stranger": {Type: "mutual_tls", Fields: fields(other, ca)},
		"wary":     {Type: "mutual_tls", Fields: fields(ca, other)},
	} {
		_, err = w.PutAccount(t.Context(), admin(), "bank", account, auth, "")
		must(t, err)
	}
	s := gatewayOf(w)
	if got, code := seen(t, s, "default"); got != "mallory" {
		t.Fatalf("%q %s", got, code)
	}
	if got, code := seen(t, s, "wary"); got != "" || code != runtime.CodeTLSFailed {
		t.Errorf("a server of another authority: %q %s", got, code)
	}
	// What it says differs: with TLS 1.3 the refusal comes after the request was written.
	if got, code := seen(t, s, "stranger"); got != "" || code == "" {
		t.Errorf("a certificate of another authority: %q %s", got, code)
	}
}
