package connections

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"strings"
	"testing"

	"switchgear/internal/credentials/authtype"
	"switchgear/internal/providers"
)

// Every provider of the built-in catalogue makes a valid connection: its presets fit the fields of the
// auth types, and its policy that of the product.
func TestCatalogFits(t *testing.T) {
	t.Parallel()
	catalog, err := providers.Load()
	must(t, err)
	fitting := 0
	for _, p := range catalog.All() {
		if _, err := effectivePolicy(nil, p); err != nil {
			t.Errorf("%s: %v", p.Slug, err)
		}
		for _, auth := range p.Auth {
			typ, err := authtype.Lookup(auth.Type)
			must(t, err)
			fitting++
			p := p
			p.Auth = []providers.Auth{auth}
			_, values, err := completeAuth(Auth{}, p, nil)
			must(t, err)
			switch { // Only the presets are in question.
			case auth.Type == "mutual_tls":
				values["certificate"], values["private_key"] = newAuthority(t).client(t, "x")
			case auth.Type == "signed_jwt" && strings.HasPrefix(values["algorithm"], "HS"):
				values["secret"] = "6b6b"
			case auth.Type == "signed_jwt":
				_, values["private_key"] = newAuthority(t).client(t, "x")
			}
			for key, value := range auth.Fields {
				if values[key] != value {
					t.Errorf("%s: %s has no field %s", p.Slug, auth.Type, key)
				}
			}
			values = maps.Clone(values)
			for _, f := range typ.Fields() {
				// What the person fills in: the name of their tenant, and addresses of a server of their own.
				if f.Type != authtype.FieldJSON {
					values[f.Key] = strings.NewReplacer("{", "", "}", "").Replace(values[f.Key])
				}
				switch {
				case values[f.Key] == "" && f.Required && strings.HasSuffix(f.Key, "_url"):
					values[f.Key] = "https://as.example.com/" + f.Key
				case values[f.Key] != "":
				case f.Type == authtype.FieldHeaders:
					values[f.Key] = "X-Key: k"
				case f.Type == authtype.FieldPEM: // where it is needed, the key is right: only the presets are in question
					if f.Required || values["auth_style"] == authtype.StylePrivateKeyJWT && f.Key == "private_key" {
						values[f.Key] = rsaKey(t)
					}
				case f.Key == "algorithm":
					values[f.Key] = "RS256"
				case f.Secret || f.Required && f.Default == "":
					values[f.Key] = "k"
				case f.Required:
					values[f.Key] = f.Default
				}
			}
			if err := authtype.Validate(typ, values); err != nil {
				t.Errorf("%s: %s: %v", p.Slug, auth.Type, err)
			}
		}
	}
	if fitting < 20 {
		t.Errorf("only %d ways to authenticate were checked", fitting)
	}
}

// rsaKey is a key for RS256, of no other use.
func rsaKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}
