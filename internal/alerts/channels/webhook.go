package channels

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/fault"
)

// SecretField is the field of a kind that signs: it is made when it is left out, and can be rotated.
const SecretField = "signing_secret"

// secretPrefix begins every secret of the Standard Webhooks scheme.
const secretPrefix = "whsec_"

// NewSecret makes a signing secret.
func NewSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(raw)
}

// webhook posts JSON signed by the Standard Webhooks scheme.
type webhook struct{}

func (webhook) Info() Info {
	return Info{
		ID: "webhook", Label: "Webhook", About: "A JSON document to a URL of yours, signed by the Standard Webhooks scheme.",
		Fields: []Field{
			{Key: "url", Label: "URL", Type: FieldText, Required: true, Help: "Where the document is posted."},
			{Key: SecretField, Label: "Signing secret", Type: FieldSecret, Secret: true, Help: "whsec_ and 24 to 64 bytes in base64. Leave it empty to have one made; it is shown once."},
		},
	}
}

func (webhook) Check(values map[string]string) error {
	if err := checkURL(values["url"]); err != nil {
		return err
	}
	if _, ok := secretBytes(values[SecretField]); values[SecretField] != "" && !ok {
		return fault.Field("INVALID_CHANNEL", FieldPath(SecretField), "It must be whsec_ and 24 to 64 bytes in base64.")
	}
	return nil
}

func secretBytes(text string) ([]byte, bool) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return raw, ok && err == nil && len(raw) >= 24 && len(raw) <= 64
}

// envelope is the body of a webhook: what happened, when, and about what.
type envelope struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Message   `json:"data"`
}

func (webhook) Send(ctx context.Context, w Wire, t Target, m Message) error {
	body, err := json.Marshal(envelope{m.Type(), m.At.UTC(), m})
	if err != nil {
		return &SendError{Text: "The message cannot be encoded.", Permanent: true}
	}
	stamp := strconv.FormatInt(w.Now().Unix(), 10)
	var signatures []string
	for _, secret := range []string{t.Values[SecretField], t.Previous} {
		if secret == "" {
			continue
		}
		key, ok := secretBytes(secret)
		if !ok {
			return &SendError{Text: "The signing secret cannot be used.", Permanent: true}
		}
		signatures = append(signatures, sign(key, m.ID, stamp, body))
	}
	if len(signatures) == 0 {
		return &SendError{Text: "There is no signing secret.", Permanent: true}
	}
	return post(ctx, w, t.Values["url"], body, http.Header{
		"Webhook-Id": {m.ID}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {strings.Join(signatures, " ")},
	})
}

// sign is the signature of the scheme: over id, time and the body as it is sent.
func sign(key []byte, id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + stamp + "."))
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
