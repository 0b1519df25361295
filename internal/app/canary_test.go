package app

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchgear/internal/telemetry"
)

// Secrets go in through every door of the process; afterwards they may be nowhere: not in the database or
// its side files, not in the log, the notices, the metrics or a page, in no common encoding.
func TestCanary(t *testing.T) {
	t.Parallel()
	up := newGossip(t)
	p := start(t, map[string]string{"METRICS_ADDR": "127.0.0.1:0", "EGRESS_ALLOW": up.egressRule(t)})
	setupToken := tokenIn(t, p.setupLink(t))
	owner := p.owner(t)
	secrets := map[string]string{
		"password": ownerPassword, "set-up token": setupToken, "wrong password": "canary wrong password 4711",
		"new password": "canary new password 4712 long", "accepted password": "canary accepted password 4713",
	}
	base, err := url.Parse(owner.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range owner.client.Jar.Cookies(base) {
		secrets["session cookie"] = c.Value
	}

	var pages strings.Builder
	see := func(got page) page {
		pages.WriteString(got.body)
		return got
	}
	// What is shown once is not kept for the search: that page is where it belongs.
	created := owner.post("/keys/new", url.Values{"name": {"canary"}, "scope": {"api:read"}, "expiry": {"30"}})
	key := regexp.MustCompile(`sg_[0-9A-Za-z]+_[0-9A-Za-z]+_[0-9A-Za-z]+`).FindString(created.body)
	if key == "" {
		t.Fatalf("no key on the page: %d\n%s", created.status, created.body)
	}
	secrets["api key"] = key
	secrets["api key secret"] = strings.Split(key, "_")[2]
	invited := owner.post("/invitations/new", url.Values{"email": {"second@example.com"}, "role": {"viewer"}})
	invitation := tokenIn(t, regexp.MustCompile(`http://[^"\s<]+/accept\?token=[^"\s<]+`).FindString(invited.body))
	secrets["invitation token"] = invitation

	visitor := p.browser(t)
	see(visitor.post("/sign-in", url.Values{"email": {ownerEmail}, "password": {secrets["wrong password"]}}))
	// The form that comes back holds the visitor's own token, as their address bar does, and no password.
	again := visitor.post("/accept", url.Values{"token": {invitation}, "name": {"Second"}, "password": {secrets["accepted password"]}, "repeat": {"differs"}})
	if again.status != 400 || strings.Contains(again.body, secrets["accepted password"]) {
		t.Errorf("accept with differing passwords: %d", again.status)
	}
	see(visitor.post("/accept", url.Values{"token": {invitation}, "name": {"Second"}, "password": {secrets["accepted password"]}, "repeat": {secrets["accepted password"]}}))
	see(owner.post("/profile/password", url.Values{"current": {ownerPassword}, "password": {secrets["new password"]}, "repeat": {secrets["new password"]}}))
	see(visitor.get("/metrics", "Authorization", "Bearer "+key))
	see(visitor.get("/metrics", "X-API-Key", key[:len(key)-1]+"x"))
	for _, path := range []string{"/", "/users", "/invitations", "/sessions", "/profile", "/keys", "/audit?limit=200", "/about"} {
		if got := see(owner.get(path)); got.status != 200 {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
	see(owner.get("http://" + p.MetricsAddr() + "/metrics"))
	if _, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateUser(), UserCreate{
		Email: "third@example.com", Role: "viewer", Password: "canary third password 4714",
	}); err != nil {
		t.Fatal(err)
	}
	secrets["admin socket password"] = "canary third password 4714"

	// Bodies are recorded here, and full of secrets: those of the caller, those of the upstream, and the
	// credential, which the upstream repeats in several ways.
	secrets["upstream credential"], secrets["in a request"], secrets["in an answer"] = upstreamSecret, "canary-request-secret-4715", gossip
	made := owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Gossip"}, "slug": {"gossip"}, "base_url": {up.URL}, "auth_type": {"bearer"},
		"auth.token": {upstreamSecret}, "log_bodies": {"on"},
	})
	see(made)
	caller, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "gossip", Scopes: []string{"call:gossip"}})
	if err != nil {
		t.Fatal(err)
	}
	secrets["key of the caller"] = caller.Key
	for _, body := range []string{
		`{"plain":"seen by everyone","password":"canary-request-secret-4715","key":"` + caller.Key + `"}`,
		`{"plain":"seen by everyone","long":"` + strings.Repeat("x", 32<<10-100) + `","token":"canary-request-secret-4715` + strings.Repeat("y", 200),
	} {
		got := visitor.do("POST", "/proxy/gossip/v1", "application/json", strings.NewReader(body), "X-API-Key", caller.Key)
		if got.status != 200 || !strings.Contains(got.body, gossip) {
			t.Fatalf("call: %d %s", got.status, got.body)
		}
		if entry := see(owner.waitFor("/calls/"+got.header.Get("X-Request-Id"), 200)); !strings.Contains(entry.body, "seen by everyone") {
			t.Errorf("the page of the call lacks its body:\n%s", entry.body)
		}
	}

	haystacks := map[string]string{"pages and metrics": pages.String(), "log": p.logs.String()}
	addFiles(t, haystacks, filepath.Join(p.dir, "data")) // with its WAL, while the process runs
	p.stop(t)
	haystacks["log after stop"] = p.logs.String()
	addFiles(t, haystacks, filepath.Join(p.dir, "data"))

	wantNowhere(t, secrets, haystacks)
	// The search itself must be able to find something.
	if !strings.Contains(haystacks["console.db"], ownerEmail) {
		t.Error("the search cannot see into the database")
	}
}

const gossip = "canary-answer-secret-4716"

// newGossip starts an upstream that repeats everything.
func newGossip(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		token := r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"you_are":%q,"that_is":%q,"session":{"id":%q},"log":"token=%s","you_sent":%q}`,
			gossip, token, base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(token, "Bearer "))), gossip, gossip, sent)
	}))
	t.Cleanup(u.Close)
	return u
}

// wantNowhere looks for every secret in every text, in the encodings that things are commonly stored in.
func wantNowhere(t *testing.T, secrets, haystacks map[string]string) {
	t.Helper()
	lower := make(map[string]string, len(haystacks))
	for where, text := range haystacks {
		lower[where] = strings.ToLower(text)
	}
	for name, secret := range secrets {
		if len(secret) < 8 {
			t.Fatalf("%s is too short to search for: %q", name, secret)
		}
		raw := []byte(secret)
		for encoding, form := range map[string]string{
			"raw": secret, "hex": hex.EncodeToString(raw), "base64": strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="),
			"base64url": base64.RawURLEncoding.EncodeToString(raw), "url": url.QueryEscape(secret),
		} {
			for where, text := range lower {
				// A page may repeat nothing, but a stored file may hold it in no letter case either.
				if strings.Contains(text, strings.ToLower(form)) {
					t.Errorf("%s appears in %s (%s)", name, where, encoding)
				}
			}
		}
	}
}

func tokenIn(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("token") == "" {
		t.Fatalf("no token in %q (%v)", link, err)
	}
	return u.Query().Get("token")
}

func addFiles(t *testing.T, into map[string]string, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		into[filepath.Base(path)] += string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
