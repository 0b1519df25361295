package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"switchgear/internal/fault"
)

// The schemes in which a webhook is signed.
const (
	SchemeNone     = "none"
	SchemeStandard = "standard" // Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature
	SchemeGitHub   = "github"   // X-Hub-Signature-256, X-GitHub-Event, X-GitHub-Delivery
	SchemeStripe   = "stripe"   // Stripe-Signature
)

const (
	webhookTimeout  = 10 * time.Second
	maxWebhookCount = 100
	maxWebhookReply = 4 << 10
)

// Webhook is an event to send.
type Webhook struct {
	URL string `json:"url"`
	// Scheme is one of the Scheme constants.
	Scheme string `json:"scheme"`
	// Secret signs. For the scheme standard it may be whsec_ and base64; otherwise its bytes are the key.
	Secret string `json:"secret,omitempty"`
	// ID names the event; the same ID is the same event sent again. Empty: a new one.
	ID    string          `json:"id,omitempty"`
	Event string          `json:"event,omitempty"`
	Body  json.RawMessage `json:"body"`
	// Count sends the same event so often, one after the other. 0 = 1.
	Count int `json:"count,omitempty"`
	// Age moves the signed time into the past.
	Age Duration `json:"age,omitempty"`
	// Tamper changes the body after it was signed.
	Tamper bool `json:"tamper,omitempty"`
}

// WebhookResult is what a receiver answered.
type WebhookResult struct {
	ID     string `json:"id"`
	Status int    `json:"status"` // 0 when there was no answer
	Body   string `json:"body,omitempty"`
	Error  string `json:"error,omitempty"`
}

// errTarget is why a webhook is not sent to an address.
var errTarget = errors.New("the sandbox sends webhooks to loopback addresses only, unless it is configured otherwise")

// newSender makes the client of webhooks. The address is checked when it is dialled, so that a name which
// resolves elsewhere gains nothing; redirects are not followed.
func (s *Sandbox) newSender() *http.Client {
	d := net.Dialer{Timeout: webhookTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return errTarget
		}
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
		if to.Addr().IsLoopback() || s.cfg.AllowTarget != nil && s.cfg.AllowTarget(to) {
			return nil
		}
		return errTarget
	}}
	return &http.Client{
		Timeout:       webhookTimeout,
		Transport:     &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SendWebhook signs an event and sends it as often as Count says, one after the other. What the receiver
// answered, or that it did not, is in the results; an error is about the webhook itself.
func (s *Sandbox) SendWebhook(ctx context.Context, h Webhook) ([]WebhookResult, error) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.Field("INVALID_URL", "url", "The URL must be http or https.")
	}
	if h.Count < 0 || h.Count > maxWebhookCount {
		return nil, fault.Field("INVALID_COUNT", "count", fmt.Sprintf("An event is sent %d times at most.", maxWebhookCount))
	}
	if h.ID == "" {
		h.ID = "msg_" + rand.Text()
	}
	header, err := h.sign(s.now().Add(-time.Duration(h.Age)))
	if err != nil {
		return nil, err
	}
	body := []byte(h.Body)
	if h.Tamper {
		body = append(bytes.Clone(body), ' ')
	}
	results := make([]WebhookResult, 0, max(1, h.Count))
	for range max(1, h.Count) {
		results = append(results, s.sendOnce(ctx, h, header, body))
	}
	return results, nil
}

func (s *Sandbox) sendOnce(ctx context.Context, h Webhook, header http.Header, body []byte) WebhookResult {
	result := WebhookResult{ID: h.ID}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		result.Error = err.Error()
		return result
	}
	r.Header = header.Clone()
	resp, err := s.sender.Do(r)
	if err != nil {
		result.Error = err.Error()
		return result
	}
	defer func() { _ = resp.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxWebhookReply))
	if err != nil {
		result.Error = err.Error()
	}
	result.Status, result.Body = resp.StatusCode, string(reply)
	return result
}

// sign returns the headers of the event in its scheme.
func (h Webhook) sign(at time.Time) (http.Header, error) {
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"switchgear-sandbox"}}
	stamp := strconv.FormatInt(at.Unix(), 10)
	switch h.Scheme {
	case SchemeNone:
	case SchemeStandard:
		key := []byte(h.Secret)
		if encoded, ok := strings.CutPrefix(h.Secret, "whsec_"); ok {
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return nil, fault.Field("INVALID_SECRET", "secret", "After whsec_ the secret must be base64.")
			}
			key = decoded
		}
		header.Set("Webhook-Id", h.ID)
		header.Set("Webhook-Timestamp", stamp)
		header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum(key, h.ID+"."+stamp+".", h.Body)))
	case SchemeGitHub:
		header.Set("X-Github-Event", h.Event)
		header.Set("X-Github-Delivery", h.ID)
		header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum([]byte(h.Secret), "", h.Body)))
	case SchemeStripe:
		header.Set("Stripe-Signature", "t="+stamp+",v1="+hex.EncodeToString(sum([]byte(h.Secret), stamp+".", h.Body)))
	default:
		return nil, fault.Field("UNKNOWN_SCHEME", "scheme", "There is no such scheme.").
			WithSuggestion("Use one of none, standard, github, stripe.")
	}
	return header, nil
}

func sum(key []byte, prefix string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(prefix)) // A hash never fails.
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}
