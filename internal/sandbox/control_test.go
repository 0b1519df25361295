package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

// receiver notes the webhooks that arrive.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	header []http.Header
	bodies []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.header, r.bodies = append(r.header, req.Header), append(r.bodies, string(body))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "thanks")
	}))
	t.Cleanup(r.Close)
	return r
}

// The first two vectors are those that the authors of the schemes publish.
func TestWebhookSignatures(t *testing.T) {
	t.Parallel()
	at := time.Unix(1614265330, 0)
	mac := hmac.New(sha256.New, []byte("whsec_stripe"))
	_, _ = mac.Write([]byte("1614265330.{}"))
	for scheme, c := range map[string]struct {
		hook Webhook
		want map[string]string
	}{
		SchemeStandard: {
			Webhook{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Body: json.RawMessage(`{"test": 2432232314}`)},
			map[string]string{
				"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
				"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
			},
		},
		SchemeGitHub: {
			Webhook{Secret: "It's a Secret to Everybody", ID: "1", Event: "push", Body: json.RawMessage("Hello, World!")},
			map[string]string{
				"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
				"X-GitHub-Event":      "push", "X-GitHub-Delivery": "1",
			},
		},
		SchemeStripe: {
			Webhook{Secret: "whsec_stripe", Body: json.RawMessage("{}")},
			map[string]string{"Stripe-Signature": "t=1614265330,v1=" + hex.EncodeToString(mac.Sum(nil))},
		},
		SchemeNone: {Webhook{Body: json.RawMessage("{}")}, map[string]string{"Content-Type": "application/json"}},
	} {
		c.hook.Scheme = scheme
		got, err := c.hook.sign(at)
		if err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		for name, want := range c.want {
			if got.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", scheme, name, got.Get(name), want)
			}
		}
	}
}

func TestWebhooksAreSent(t *testing.T) {
	t.Parallel()
	p, to := serve(t, Config{}), newReceiver(t)
	results, err := p.SendWebhook(t.Context(), Webhook{
		URL: to.URL, Scheme: SchemeStandard, Secret: "k", ID: "evt_1", Body: json.RawMessage(`{"a":1}`), Count: 2, Age: Duration(time.Hour), Tamper: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	answered := WebhookResult{ID: "evt_1", Status: http.StatusAccepted, Body: "thanks"}
	if diff := cmp.Diff([]WebhookResult{answered, answered}, results); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`{"a":1} `, `{"a":1} `}, to.bodies); diff != "" {
		t.Error(diff)
	}
	if got := to.header[0].Get("Webhook-Timestamp"); got != "1772362800" { // an hour before the clock
		t.Errorf("signed at %s", got)
	}
	for field, h := range map[string]Webhook{
		"url": {URL: "ftp://127.0.0.1", Scheme: SchemeNone}, "scheme": {URL: to.URL, Scheme: "wax"},
		"secret": {URL: to.URL, Scheme: SchemeStandard, Secret: "whsec_***"}, "count": {URL: to.URL, Scheme: SchemeNone, Count: 1000},
	} {
		_, err := p.SendWebhook(t.Context(), h)
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Details.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Beyond loopback nothing is sent unless the configuration allows that address; the check falls before
// any packet leaves.
func TestWebhooksStayOnTheMachine(t *testing.T) {
	t.Parallel()
	asked := make(chan netip.AddrPort, 1)
	p := serve(t, Config{AllowTarget: func(to netip.AddrPort) bool { asked <- to; return false }})
	results, err := p.SendWebhook(t.Context(), Webhook{URL: "http://192.0.2.1/hook", Scheme: SchemeNone, Body: json.RawMessage("{}")})
	if err != nil || len(results) != 1 || results[0].Status != 0 || !strings.Contains(results[0].Error, errTarget.Error()) {
		t.Errorf("%+v, %v", results, err)
	}
	if got := <-asked; got.String() != "192.0.2.1:80" {
		t.Errorf("asked about %v", got)
	}
	// A receiver that redirects is not followed.
	to := newReceiver(t)
	away := httptest.NewServer(http.RedirectHandler(to.URL, http.StatusTemporaryRedirect))
	t.Cleanup(away.Close)
	results, err = p.SendWebhook(t.Context(), Webhook{URL: away.URL, Scheme: SchemeNone, Body: json.RawMessage("{}")})
	if err != nil || results[0].Status != http.StatusTemporaryRedirect || len(to.bodies) != 0 {
		t.Errorf("redirect: %+v, %v", results, err)
	}
}

// A drill asserts what the server saw: method, path, headers, body, order, and what it answered.
func TestReceivedIsWhatArrived(t *testing.T) {
	t.Parallel()
	p := serve(t, Config{APIs: []API{shop("")}})
	p.do(http.MethodPost, "/shop/orders?x=1", `{"a":1}`, "Idempotency-Key", "k")
	p.get("/shop/a%2Fb")
	p.get("/nothing")
	sum := sha256.Sum256([]byte(`{"a":1}`))
	got := p.Received(ReceivedQuery{})
	if len(got) != 3 {
		t.Fatalf("%d requests", len(got))
	}
	first := got[0]
	if first.Seq != 1 || first.Method != http.MethodPost || first.Path != "/shop/orders" || first.Query != "x=1" || first.BodyBytes != 7 ||
		first.BodySHA256 != hex.EncodeToString(sum[:]) || first.Header.Get("Idempotency-Key") != "k" || first.Header.Get("Host") == "" ||
		first.Status != http.StatusCreated || !first.Time.Equal(p.clock.Now()) || first.Scripted {
		t.Errorf("first: %+v", first)
	}
	for name, c := range map[string]struct {
		query ReceivedQuery
		want  int
	}{
		"method": {ReceivedQuery{Method: http.MethodPost}, 1}, "exact": {ReceivedQuery{Path: "/nothing"}, 1}, "below": {ReceivedQuery{Path: "/shop/*"}, 2},
		"after": {ReceivedQuery{After: 2}, 1}, "escaped": {ReceivedQuery{Path: "/shop/a%2Fb"}, 1},
	} {
		if got := p.Received(c.query); len(got) != c.want {
			t.Errorf("%s: %d requests, want %d", name, len(got), c.want)
		}
	}
}

// What is remembered is bounded; numbers go on, so that a gap can be seen.
func TestReceivedIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t, Config{MaxReceived: 8}, time.Now)
	for range 100 {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	}
	got := s.Received(ReceivedQuery{})
	if len(got) > 8 || got[len(got)-1].Seq != 100 || got[0].Seq != 100-int64(len(got))+1 {
		t.Errorf("%d, from %d to %d", len(got), got[0].Seq, got[len(got)-1].Seq)
	}
	large := httptest.NewRecorder()
	s.ServeHTTP(large, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(make([]byte, maxBody+1))))
	if large.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", large.Code)
	}
}

func TestControlAPI(t *testing.T) {
	t.Parallel()
	p, to := serve(t, Config{APIs: []API{shop("")}}), newReceiver(t)
	script := `{"scripts":[{"path":"/shop/orders","loop":true,"steps":[{"status":503,"delay":"1ms","headers":{"Retry-After":"1"}},{"merge":{"data":null}}]}]}`
	if got := p.control(http.MethodPut, "scripts", script); got.status != http.StatusOK {
		t.Fatalf("scripts: %d %s", got.status, got.body)
	}
	if got := p.get("/shop/orders"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "1" {
		t.Errorf("scripted: %d", got.status)
	}
	state := p.control(http.MethodGet, "scripts", "")
	if !strings.Contains(state.body, `"delay":"1ms"`) || !strings.Contains(state.body, `"served":1`) {
		t.Errorf("state: %s", state.body)
	}
	// What the control API tells of a script, it takes again.
	var told struct {
		Scripts []Script `json:"scripts"`
	}
	if err := json.Unmarshal([]byte(state.body), &told); err != nil || len(told.Scripts) != 1 || len(told.Scripts[0].Steps) != 2 {
		t.Errorf("told: %+v, %v", told, err)
	}
	if got := p.control(http.MethodGet, "received?path=/shop/*&after=0", ""); strings.Count(got.body, `"seq"`) != 1 || !strings.Contains(got.body, `"scripted":true`) {
		t.Errorf("received: %s", got.body)
	}
	p.control(http.MethodDelete, "received", "")
	if got := p.control(http.MethodGet, "received", ""); got.body != `{"received":[]}` {
		t.Errorf("forgotten: %s", got.body)
	}
	p.control(http.MethodDelete, "scripts", "")
	if got := p.get("/shop/orders"); got.status != http.StatusOK {
		t.Errorf("without scripts: %d", got.status)
	}
	sent := p.control(http.MethodPost, "webhooks", `{"url":"`+to.URL+`","scheme":"github","secret":"s","event":"push","body":{"a":1}}`)
	if !strings.Contains(sent.body, `"status":202`) || len(to.bodies) != 1 || to.bodies[0] != `{"a":1}` {
		t.Errorf("webhook: %s, %v", sent.body, to.bodies)
	}
	p.control(http.MethodPost, "reset", "")
	if got := p.Received(ReceivedQuery{}); len(got) != 0 {
		t.Errorf("after a reset: %+v", got)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"PUT", "scripts", `{"scripts":[{"path":"x"}]}`, 400},
		{"PUT", "scripts", `{"script":[]}`, 400},
		{"PUT", "scripts", `{`, 400},
		{"PUT", "scripts", `{"scripts":[{"path":"/x","steps":[{"delay":"soon"}]}]}`, 400},
		{"GET", "received?after=x", "", 400},
		{"POST", "webhooks", `{"url":"x"}`, 400},
		{"GET", "reset", "", 404},
		{"GET", "", "", 404},
	} {
		if got := p.control(c.method, c.path, c.body); got.status != c.want {
			t.Errorf("%s %s %s: %d, want %d", c.method, c.path, c.body, got.status, c.want)
		}
	}
}

// Without its token the control API does nothing, and without one that is configured it does not exist.
func TestControlAPINeedsItsToken(t *testing.T) {
	t.Parallel()
	p := serve(t, Config{})
	for _, header := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", controlToken}} {
		if got := p.do(http.MethodPost, "/_control/reset", "", header...); got.status != http.StatusUnauthorized {
			t.Errorf("%v: %d", header, got.status)
		}
	}
	closed := open(t, Config{}, time.Now)
	for _, header := range []string{"", "Bearer ", "Bearer " + controlToken} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/_control/received", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		if closed.ServeHTTP(w, r); w.Code != http.StatusNotFound {
			t.Errorf("%q without a configured token: %d", header, w.Code)
		}
	}
}
