package channels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"switchgear/internal/fault"
)

const canary = "canary-channels-4711"

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// valid are values that each kind accepts, with the canary in every secret.
func valid() map[string]map[string]string {
	return map[string]map[string]string{
		"webhook": {"url": "http://127.0.0.1:1/", SecretField: "whsec_" + strings.Repeat("QUFB", 10)},
		"slack":   {"url": "http://127.0.0.1:1/" + canary},
		"email": {
			"host": "127.0.0.1", "port": "1", "security": "starttls", "username": "user", "password": canary, "from": "Alerts <alerts@example.com>",
			"to": "ops@example.com, Second <second@example.com>",
		},
	}
}

func message() Message {
	return Message{
		ID: "ant_1", Event: EventFiring, At: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC), AlertID: "alr_1", Rule: "Down", RuleKind: "connection_down",
		Severity: "critical", State: "firing", Connection: "stripe", ConnectionName: "Stripe", Environment: "production", Operation: "charge",
		Why: "All of the 10 calls failed.", OpenedAt: time.Date(2030, 5, 6, 7, 0, 0, 0, time.UTC), URL: "https://console.example.com/alerts/alr_1",
	}
}

func wire() Wire {
	return Wire{
		Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Dial:   (&net.Dialer{}).DialContext, Now: time.Now,
	}
}

// Every kind keeps to the contract: it is described, refuses what it does not know, and its errors hold no
// secret.
func TestKinds(t *testing.T) {
	t.Parallel()
	if len(valid()) != len(All()) {
		t.Errorf("%d kinds have a case, there are %d", len(valid()), len(All()))
	}
	for _, k := range All() {
		info := k.Info()
		t.Run(info.ID, func(t *testing.T) {
			t.Parallel()
			values := valid()[info.ID]
			must(t, Validate(k, values))
			if info.Label == "" || info.About == "" {
				t.Errorf("%+v is not described", info)
			}
			if found, err := Lookup(info.ID); err != nil || found.Info().ID != info.ID {
				t.Errorf("it is not found: %v", err)
			}
			if err := Validate(k, map[string]string{"nonsense": canary}); fault.CodeOf(err) != "UNKNOWN_FIELD" || strings.Contains(err.Error(), canary) {
				t.Errorf("an unknown field: %v", err)
			}
			for _, f := range info.Fields {
				if f.Label == "" || f.Type == "" || f.Secret != (f.Type == FieldSecret) {
					t.Errorf("field %+v", f)
				}
				for _, bad := range []string{"a\r\nBcc: " + canary, "a\x00", strings.Repeat("x", maxValue+1), "\xff"} {
					with := maps.Clone(values)
					with[f.Key] = bad
					err := Validate(k, with)
					e, ok := errors.AsType[*fault.Error](err)
					if !ok || e.Details.Field != FieldPath(f.Key) || strings.Contains(fmt.Sprintf("%+v", e), canary) {
						t.Errorf("%s takes %.20q: %v", f.Key, bad, err)
					}
				}
				if !f.Required {
					continue
				}
				with := maps.Clone(values)
				delete(with, f.Key)
				if err := Validate(k, with); fault.CodeOf(err) != "INVALID_CHANNEL" {
					t.Errorf("it does without %s: %v", f.Key, err)
				}
			}
			// Nobody listens on port 1.
			err := k.Send(t.Context(), wire(), Target{Values: values}, message())
			failure, ok := errors.AsType[*SendError](err)
			if !ok || failure.Permanent || strings.Contains(fmt.Sprintf("%+v", failure), canary) || !strings.HasSuffix(failure.Text, ".") {
				t.Errorf("nobody listens: %#v", err)
			}
			done, cancel := context.WithCancel(t.Context())
			cancel()
			if err := k.Send(done, wire(), Target{Values: values}, message()); err == nil {
				t.Error("it sends after the end")
			}
			if err := k.Send(t.Context(), wire(), Target{Values: map[string]string{}}, message()); err == nil {
				t.Error("it sends without values")
			}
		})
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"ftp://a.example.com", "https://", "https:a", "//a.example.com", "https://user:pw@a.example.com", "https://a.example.com/#x", "javascript:alert(1)", "https://a b", "https://a.example.com:0443/x"} {
		if err := checkURL(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	must(t, checkURL("https://a.example.com/x?y=z"))
}

// What has a meaning in the other program's markup loses it, and the size is bounded.
func TestSlack(t *testing.T) {
	t.Parallel()
	var got []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	t.Cleanup(srv.Close)
	m := message()
	m.ConnectionName, m.Why = "<!channel> & <https://evil.example.com|Stripe>", strings.Repeat("<&>", 5000)
	must(t, slack{}.Send(t.Context(), wire(), Target{Values: map[string]string{"url": srv.URL}}, m))
	var body struct {
		Text   string
		Blocks []struct {
			Type     string
			Text     struct{ Type, Text string }
			Elements []struct{ Text string }
		}
	}
	must(t, json.Unmarshal(got, &body))
	if len(body.Blocks) != 2 || !strings.Contains(body.Text, "&lt;!channel&gt; &amp;") || !strings.Contains(body.Blocks[0].Text.Text, "<https://console.example.com/alerts/alr_1|Open the alert>") {
		t.Errorf("%.600s", got)
	}
	for _, text := range []string{body.Text, strings.Replace(body.Blocks[0].Text.Text, "<https://console.example.com/alerts/alr_1|Open the alert>", "", 1)} {
		if strings.ContainsAny(text, "<>") {
			t.Errorf("markup got through: %.200s", text)
		}
	}
	if len(body.Blocks[1].Elements) == 0 {
		t.Error("no facts")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999": maxRetryAfter, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestTitle(t *testing.T) {
	t.Parallel()
	m := message()
	m.Rule, m.ConnectionName = "a\r\nBcc: x@example.com", "line\u2028separator\tand\x00more"
	if got := m.Title(); strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' }) {
		t.Errorf("%q", got)
	}
	for _, e := range Events() {
		m.Event = e
		if m.Title() == "" {
			t.Errorf("%s has no title", e)
		}
	}
	if got := clip("äöü", 2); got != "ä…" {
		t.Error(got)
	}
	if bytes.ContainsRune([]byte(oneLine("a\nb")), '\n') {
		t.Error("two lines")
	}
}
