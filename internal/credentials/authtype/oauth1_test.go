package authtype

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"testing"
	"time"
)

// The example of RFC 5849 3.4.1.1. The RFC prints no signature of it that follows from the secrets it names;
// so only the base string is compared.
func TestOAuth1BaseString(t *testing.T) {
	t.Parallel()
	r := keeping(t.Context(), http.MethodPost, "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", "application/x-www-form-urlencoded", "c2&a3=2+q")
	got := oauth1Base(r, "c2&a3=2+q", []parameter{
		{"oauth_consumer_key", "9djdj82h48djs9d2"},
		{"oauth_token", "kkk9d7dh3k39sjv7"},
		{"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", "137131201"},
		{"oauth_nonce", "7d8f3e4a"},
	})
	const want = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26" +
		"oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The example of RFC 5849 1.2, which leaves the version out.
func TestOAuth1RFCSignature(t *testing.T) {
	t.Parallel()
	r := keeping(t.Context(), http.MethodGet, "http://photos.example.net/photos?file=vacation.jpg&size=original", "", "")
	base := oauth1Base(r, "", []parameter{
		{"oauth_consumer_key", "dpf43f3p2l4k3l03"},
		{"oauth_token", "nnch734d00sl2jdk"},
		{"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", "137131202"},
		{"oauth_nonce", "chapoH"},
	})
	got, err := oauth1{}.sign(map[string]string{"signature_method": "HMAC-SHA1", "consumer_secret": "kd94hf93k423kf44", "token_secret": "pfkkdhi9sl3r4s00"}, base)
	if err != nil || got != "MdpQcU8iPSUjWoN/UDMsK2sui9I=" {
		t.Errorf("%s, %v", got, err)
	}
}

// The example of X (developer documentation, "Creating a signature"): the form takes part.
func TestOAuth1Form(t *testing.T) {
	t.Parallel()
	r := keeping(t.Context(), http.MethodPost, "https://api.twitter.com/1.1/statuses/update.json?include_entities=true",
		"application/x-www-form-urlencoded; charset=utf-8", "status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21")
	err := oauth1{}.Apply(r, Use{
		Values: map[string]string{
			"signature_method": "HMAC-SHA1", "consumer_key": "xvz1evFS4wEEPTGEFPHBog", "consumer_secret": "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
			"token": "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", "token_secret": "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
		},
		Now: time.Unix(1318622958, 0), Nonce: func() string { return "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg" },
	})
	const want = `OAuth oauth_consumer_key="xvz1evFS4wEEPTGEFPHBog", oauth_nonce="kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", oauth_signature_method="HMAC-SHA1", ` +
		`oauth_timestamp="1318622958", oauth_version="1.0", oauth_token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", oauth_signature="hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D"`
	if got := r.Header.Get("Authorization"); err != nil || got != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}

func TestOAuth1RSA(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"signature_method": "RSA-SHA1", "consumer_key": "ck",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	}
	if err := Validate(oauth1{}, values); err != nil {
		t.Fatal(err)
	}
	signature, err := oauth1{}.sign(values, "base")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	sum := sha1.Sum([]byte("base"))
	if err != nil || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA1, sum[:], raw) != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	for name, broken := range map[string]map[string]string{
		"RSA without a key":       {"signature_method": "RSA-SHA1", "consumer_key": "ck"},
		"RSA with another key":    {"signature_method": "RSA-SHA1", "consumer_key": "ck", "private_key": testKey()},
		"HMAC without a secret":   {"signature_method": "HMAC-SHA1", "consumer_key": "ck"},
		"quotation mark in realm": {"signature_method": "HMAC-SHA1", "consumer_key": "ck", "consumer_secret": "s", "realm": `a"b`},
	} {
		if Validate(oauth1{}, broken) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
