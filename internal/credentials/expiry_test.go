package credentials

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
)

// What ends is what a person has to see to: not the tokens that are renewed.
func TestExpiries(t *testing.T) {
	t.Parallel()
	w := newTokenWorld(t, rotating)
	now := w.moment()
	w.reconnect() // the account default, with a refresh token
	client := []string{"authorize_url", "https://as.example.com/authorize", "token_url", "https://as.example.com/token", "client_id", "app"}
	for _, account := range []string{"ends", "over", "endless"} {
		w.put(account, "oauth2_authorization_code", client...)
	}
	w.put("machine", "oauth2_client_credentials", "token_url", "https://as.example.com/token", "client_id", "app", "client_secret", "x")
	certificate, key := selfSigned(t, now.Add(72*time.Hour))
	w.put("tls", "mutual_tls", "certificate", certificate, "private_key", key)
	for account, token := range map[string]oauth.Token{
		"ends": {Access: "a", ExpiresIn: 48 * time.Hour}, "over": {Access: "a", Refresh: "r", ExpiresIn: time.Hour}, "endless": {Access: "a"},
		"machine": {Access: "a", ExpiresIn: time.Hour},
	} {
		w.tx(func(ctx context.Context, tx *db.Tx) error {
			c, err := w.PutToken(ctx, tx, holderOf(account), token)
			if err == nil && account == "over" {
				err = w.SetState(ctx, tx, c.ID, StateNeedsReauth)
			}
			return err
		})
	}
	got, err := w.Expiries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Expiry{
		{"con_1", "over", ExpiryConsent, "oauth2_authorization_code", now},
		{"con_1", "ends", ExpiryToken, "oauth2_authorization_code", now.Add(48 * time.Hour)},
		{"con_1", "tls", ExpiryCertificate, "mutual_tls", now.Add(72 * time.Hour).Truncate(time.Second)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// selfSigned is a certificate that ends at a time, and its key.
func selfSigned(t *testing.T, end time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-1000 * time.Hour), NotAfter: end}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
