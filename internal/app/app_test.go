package app

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchgear/internal/config"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func TestSetupOnceThenSignIn(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	link := p.setupLink(t)

	// Before there is an owner, everything but the link answers 503 and says what to do.
	stranger := p.browser(t)
	if got := stranger.get("/users"); got.status != http.StatusServiceUnavailable {
		t.Errorf("before set-up: status %d", got.status)
	}
	if got := stranger.get("/", "Accept", "application/json"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "SETUP_NEEDED") {
		t.Errorf("before set-up: %d %s", got.status, got.body)
	}
	if got := stranger.get("/setup?token=wrong"); got.status != http.StatusForbidden {
		t.Errorf("wrong token: status %d", got.status)
	}
	if got := stranger.get(link); got.status != http.StatusOK || !strings.Contains(got.body, p.core.keyring.Fingerprint()) {
		t.Errorf("right token: status %d", got.status)
	}
	file, err := os.ReadFile(filepath.Join(p.dir, "data", "setup-link"))
	if err != nil || strings.TrimSpace(string(file)) != link {
		t.Errorf("setup-link file = %q, %v", file, err)
	}

	owner := p.owner(t)
	if got := owner.get("/users"); got.status != http.StatusOK || !strings.Contains(got.body, ownerEmail) {
		t.Errorf("users page: status %d", got.status)
	}
	// The link is dead, and its file gone.
	if got := stranger.get(link); got.status != http.StatusGone {
		t.Errorf("used link: status %d", got.status)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "data", "setup-link")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("setup-link file is still there: %v", err)
	}

	// Signing in leads back to where the visitor wanted to go, and nowhere else.
	visitor := p.browser(t)
	if got := visitor.get("/audit?action=user.sign_in"); got.path != "/sign-in?next="+url.QueryEscape("/audit?action=user.sign_in") {
		t.Errorf("unauthenticated visitor ends at %s", got.path)
	}
	if got := visitor.post("/sign-in", url.Values{"email": {ownerEmail}, "password": {"wrong password here"}}); got.status != http.StatusUnauthorized {
		t.Errorf("wrong password: status %d", got.status)
	}
	got := visitor.post("/sign-in", url.Values{"email": {ownerEmail}, "password": {ownerPassword}, "next": {"/audit?action=user.sign_in"}})
	if got.path != "/audit?action=user.sign_in" {
		t.Errorf("signed in at %s", got.path)
	}
	if got := visitor.post("/sign-out", nil); got.path != "/sign-in?after=sign-out" {
		t.Errorf("signed out at %s", got.path)
	}
	got = visitor.post("/sign-in", url.Values{"email": {ownerEmail}, "password": {ownerPassword}, "next": {"//evil.example/"}})
	if got.path != "/" {
		t.Errorf("an outside next led to %s", got.path)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"METRICS_ADDR": "127.0.0.1:0"})
	b := p.browser(t)
	for _, path := range []string{"/livez", "/readyz"} {
		if got := b.get(path); got.status != http.StatusOK || !json.Valid([]byte(got.body)) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := b.get("http://" + p.MetricsAddr() + "/metrics"); got.status != http.StatusOK || !strings.Contains(got.body, "switchgear_build_info") {
		t.Errorf("own metrics listener: %d", got.status)
	}
	got := b.get("/metrics")
	if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("metrics without a key: %d", got.status)
	}
	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "prometheus", Scopes: []string{"api:read"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.get("/metrics", "Authorization", "Bearer "+key.Key); got.status != http.StatusOK {
		t.Errorf("metrics with a key: %d %s", got.status, got.body)
	}
	calls, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "app", Scopes: []string{"call:*"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.get("/metrics", "X-API-Key", calls.Key); got.status != http.StatusForbidden {
		t.Errorf("metrics with another scope: %d", got.status)
	}
	got = b.get("/api/v1/nothing")
	var envelope fault.Envelope
	if err := json.Unmarshal([]byte(got.body), &envelope); err != nil || got.status != http.StatusNotFound || envelope.RequestID != got.header.Get("X-Request-Id") {
		t.Errorf("unknown API path: %d %s", got.status, got.body)
	}
	if got := b.get("/api/v1/nothing", "Accept", "application/problem+json"); !strings.Contains(got.header.Get("Content-Type"), "problem+json") {
		t.Errorf("problem+json: %s", got.header.Get("Content-Type"))
	}
}

func TestGatewayListenerTakesTheMachineRoutes(t *testing.T) {
	t.Parallel()
	p := start(t, map[string]string{"GATEWAY_ADDR": "127.0.0.1:0"})
	p.owner(t)
	b := p.browser(t)
	if got := b.get("http://" + p.GatewayAddr() + "/metrics"); got.status != http.StatusUnauthorized {
		t.Errorf("machine route on the gateway listener: %d", got.status)
	}
	if got := b.get("/metrics"); got.path == "/metrics" && got.status == http.StatusUnauthorized {
		t.Errorf("machine route still on the console listener: %d", got.status)
	}
	if got := b.get("http://" + p.GatewayAddr() + "/sign-in"); got.status != http.StatusNotFound {
		t.Errorf("console route on the gateway listener: %d", got.status)
	}
}

// A restart keeps sessions and keys, and a port that is taken is a clean failure.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startIn(t, dir, nil)
	owner := p.owner(t)
	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "k", Scopes: []string{"api:read"}})
	if err != nil {
		t.Fatal(err)
	}
	p.stop(t)

	p = startIn(t, dir, nil) // At another port: cookies do not know of ports, and the old one may be taken by now.
	owner.base = "http://" + p.Addr()
	if got := owner.get("/profile"); got.status != http.StatusOK || got.path != "/profile" {
		t.Errorf("session after restart: %d at %s", got.status, got.path)
	}
	if got := owner.get("/metrics", "X-API-Key", key.Key); got.status != http.StatusOK {
		t.Errorf("key after restart: %d", got.status)
	}
	if strings.Contains(p.notices.String(), "/setup") {
		t.Error("a set-up link was printed although there is an owner")
	}

	cfg, err := config.Load(map[string]string{"SWITCHGEAR_ADDR": p.Addr(), "SWITCHGEAR_DATA": filepath.Join(t.TempDir(), "data")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Deps{Config: cfg, Logger: telemetry.Discard(), Notices: &lockedBuffer{}}); err == nil {
		t.Error("a second process took the same port")
	}
}

func TestSealedProcessExplainsItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startIn(t, dir, nil)
	p.owner(t)
	p.stop(t)
	if err := os.Rename(filepath.Join(dir, "switchgear.key"), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}

	p = startIn(t, dir, nil)
	b := p.browser(t)
	if got := b.get("/livez"); got.status != http.StatusOK {
		t.Errorf("livez: %d", got.status)
	}
	if got := b.get("/readyz"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "sealed") {
		t.Errorf("readyz: %d %s", got.status, got.body)
	}
	for _, path := range []string{"/", "/users", "/sign-in", "/setup"} {
		if got := b.get(path); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "kek_") || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	// What a program asks for is not missing, it is sealed.
	for _, path := range []string{"/proxy/stripe/v1/charges", "/api/v1/connections", "/metrics"} {
		if got := b.get(path); got.status != http.StatusServiceUnavailable || got.header.Get("Switchgear-Error") != "SEALED" || !strings.Contains(got.body, `"code":"SEALED"`) {
			t.Errorf("%s: %d %v %s", path, got.status, got.header, got.body)
		}
	}
	if got := b.get("/", "Accept", "application/json"); !strings.Contains(got.body, `"SEALED"`) {
		t.Errorf("as JSON: %s", got.body)
	}
	if _, err := os.Stat(filepath.Join(dir, "switchgear.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a sealed process made a new key")
	}
	p.stop(t)

	if err := os.Rename(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "switchgear.key")); err != nil {
		t.Fatal(err)
	}
	p = startIn(t, dir, nil)
	if got := p.browser(t).post("/sign-in", url.Values{"email": {ownerEmail}, "password": {ownerPassword}}); got.path != "/" {
		t.Errorf("with the key back: %d at %s", got.status, got.path)
	}
}
