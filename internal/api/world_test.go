package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/go-chi/chi/v5/middleware"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/checklist"
	"switchgear/internal/connect"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/vaulttest"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/health"
	"switchgear/internal/idempotency"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/ratelimit"
	"switchgear/internal/telemetry"
	"switchgear/internal/whatif"
	"switchgear/web/static"
)

// canary is the secret that goes in and never comes out.
const canary = "canary-api-secret-4711"

// world is the machine API over a real database and everything behind it. Each answer is held against
// the description that the API gives of itself.
type world struct {
	t           *testing.T
	db          *db.DB
	access      *access.Service
	connections *connections.Service
	calls       *calls.Log
	requests    *idempotency.Service
	breakers    *breakers.Service
	registry    *breaker.Registry
	limiters    *ratelimit.Registry
	health      *health.Service
	answers     runtime.ProbeResult // of health checks
	server      *httptest.Server
	routes      routers.Router
	read, write string // API keys
	logs        *lockedBuffer

	mu  sync.Mutex
	all strings.Builder // every answer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func macUnder(key string) func([]byte) []byte {
	return func(message []byte) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write(message)
		return h.Sum(nil)
	}
}

func newWorld(t *testing.T, change ...func(*Deps)) *world {
	t.Helper()
	plenty := []Limit{{1_000_000, time.Second}}
	return newLimitedWorld(t, Config{KeyLimits: plenty, ClientLimits: plenty}, change...)
}

func newLimitedWorld(t *testing.T, cfg Config, change ...func(*Deps)) *world {
	t.Helper()
	w := &world{t: t, db: dbtest.New(t), logs: &lockedBuffer{}}
	logger := slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	quiet := func(string) {}
	ring, err := credentials.OpenKeyring(t.Context(), credentials.Deps{
		DB: w.db, Logger: telemetry.Discard(), Now: time.Now,
		Source: credentials.KeySource{Value: telemetry.NewSecret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))},
	})
	must(t, err)
	sealer, err := ring.Sealer(credentials.PurposeCredential)
	must(t, err)
	vault := vaulttest.Open(t, w.db, sealer, time.Now)
	log, err := audit.New(audit.Deps{DB: w.db, Now: time.Now, MAC: macUnder("audit")})
	must(t, err)
	w.access, err = access.New(access.Deps{DB: w.db, Audit: log, KeyMAC: macUnder("keys"), Notify: quiet, Logger: logger, Now: time.Now}, access.Config{})
	must(t, err)
	catalog, err := providers.Load()
	must(t, err)
	rules, err := egress.ParseRules([]string{"127.0.0.1=127.0.0.0/8:1024-65535"})
	must(t, err)
	protections, err := runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: logger, Now: time.Now, Changed: func(context.Context, []breaker.Event) {},
	}, runtime.ProtectionsConfig{})
	must(t, err)
	var readiness *checklist.Service
	w.connections, err = connections.New(t.Context(), connections.Deps{
		Protections: protections,
		Open:        func(ctx context.Context, c connections.Connection) ([]string, error) { return readiness.Open(ctx, c) },
		DB:          w.db, Audit: log, Vault: vault, Providers: catalog, Egress: egress.New(egress.Config{Rules: rules}), Notify: quiet, Logger: logger, Now: time.Now,
	})
	must(t, err)
	w.calls, err = calls.New(t.Context(), calls.Deps{DB: w.db, Logger: logger, Notify: quiet, Now: time.Now}, calls.Config{})
	must(t, err)
	w.requests, err = idempotency.New(idempotency.Deps{DB: w.db, MAC: macUnder("requests"), Logger: logger, Now: time.Now}, idempotency.Config{})
	must(t, err)
	w.read, w.write = w.key("reader", access.ScopeAPIRead), w.key("deploy", access.ScopeAPIWrite)

	files, err := static.New()
	must(t, err)
	deps := Deps{
		Keys: w.access, Targets: w.connections, Proxy: noTargets{}, Connections: w.connections, Providers: catalog, Calls: w.calls, OAuth: authorizationServers{},
		Requests: w.requests, Assets: files, Metrics: http.NotFoundHandler(), Ready: allGood, Logger: logger, Now: time.Now,
	}
	switches := w.openBreakers(log)
	deps.Breakers = switches
	deps.Limiters = w.limiters
	deps.Alerts = w.openAlerts(log, sealer, egress.New(egress.Config{Rules: rules}), protections, logger)
	readiness, err = checklist.New(checklist.Deps{
		DB: w.db, Audit: log, Alerts: deps.Alerts, Connections: w.connections, Calls: w.calls, Breakers: switches, Providers: catalog, Notify: quiet, Logger: logger, Now: time.Now,
	}, checklist.Config{})
	must(t, err)
	deps.Checklists = readiness
	deps.WhatIf, err = whatif.New(whatif.Deps{Connections: w.connections, Calls: w.calls, Breakers: protections.Breakers(), Now: time.Now}, whatif.Config{})
	must(t, err)
	w.health, err = health.New(t.Context(), health.Deps{
		DB: w.db, Connections: w.connections, Traffic: w.calls, Protections: guards{protections, w}, Probe: w.probe, Notify: quiet, Logger: logger, Now: time.Now,
	}, health.Config{})
	must(t, err)
	deps.Health = w.health
	deps.Connect, err = connect.New(connect.Deps{
		DB: w.db, Audit: log, Sealer: sealer, Accounts: w.connections, Server: noServer{}, Registrar: noRegistrar{}, Teller: noTeller{}, PublicURL: func() string { return "https://console.example.com" },
		Logger: logger, Now: time.Now,
	})
	must(t, err)
	for _, c := range change {
		c(&deps)
	}
	h, err := New(deps, cfg)
	must(t, err)
	w.server = httptest.NewServer(telemetry.AssignRequestID(middleware.ClientIPFromRemoteAddr(h)))
	t.Cleanup(w.server.Close)
	w.describe()
	return w
}

// key makes an API key.
func (w *world) key(name string, scopes ...access.Scope) string {
	w.t.Helper()
	_, text, err := w.access.CreateKey(w.t.Context(), access.System(), access.NewKey{Name: name, Scopes: scopes})
	must(w.t, err)
	return text.Reveal()
}

// describe reads the description that the API gives of itself.
func (w *world) describe() {
	w.t.Helper()
	got := w.send(http.MethodGet, "/api/v1/openapi.json", "", "")
	document, err := openapi3.NewLoader().LoadFromData([]byte(got.body))
	must(w.t, err)
	document.Servers = openapi3.Servers{{URL: w.server.URL + "/api/v1"}}
	w.routes, err = legacy.NewRouter(document)
	must(w.t, err)
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// decode reads the body into what is given.
func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

func (a answer) failure(t *testing.T) fault.Body {
	t.Helper()
	var e fault.Envelope
	a.decode(t, &e)
	if e.RequestID == "" || e.Timestamp.IsZero() || e.Error.Code == "" || e.Error.Message == "" {
		t.Errorf("not an envelope: %s", a.body)
	}
	return e.Error
}

func (a answer) connection(t *testing.T) Connection {
	t.Helper()
	var c Connection
	a.decode(t, &c)
	return c
}

// get reads with the key that may read.
func (w *world) get(path string, header ...string) answer {
	w.t.Helper()
	return w.send(http.MethodGet, path, w.read, "", header...)
}

// do changes with the key that may write. The body has the content type of its method.
func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	return w.send(method, path, w.write, body, header...)
}

// send makes a request and holds the answer against the description.
func (w *world) send(method, path, key, body string, header ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	must(w.t, err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			r.Header.Set("Content-Type", mergePatch)
		}
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Add(header[i], header[i+1])
		if header[i] == "Content-Type" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := w.server.Client().Do(r)
	must(w.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(w.t, err)
	w.mu.Lock()
	w.all.Write(text)
	w.mu.Unlock()
	got := answer{resp.StatusCode, resp.Header, string(text)}
	w.contract(r, got)
	return got
}

// contract fails when an answer is not what the description says. What has no route in it is an error of
// ours in the common form.
func (w *world) contract(r *http.Request, got answer) {
	w.t.Helper()
	if w.routes == nil {
		return
	}
	route, params, err := w.routes.FindRoute(r)
	if err != nil || got.status == http.StatusMethodNotAllowed {
		return
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(got.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		w.t.Errorf("%s %s answers %d against the description: %v\n%s", r.Method, r.URL, got.status, err, got.body)
	}
}

// stripe is the body that the contract of the product shows.
func stripe(slug string) string {
	return strings.ReplaceAll(`{"name":"Stripe live","slug":"SLUG","kind":"rest","provider":"stripe","environment":"production",
		"base_url":"https://api.stripe.com","auth":{"type":"bearer","fields":{"token":"`+canary+`"}},
		"policy":{"timeout":"10s","retry":{"max_attempts":3},"rate_limits":[{"requests":90,"per":"1s"}],
			"breaker":{"failure_ratio":0.5,"min_calls":20,"window":"60s","open_for":"30s","half_open_calls":3},
			"bulkhead":{"max_in_flight":25},"cache":{"ttl":"0s","stale_if_error":"10m"}}}`, "SLUG", slug)
}

// create makes a connection.
func (w *world) create(slug string) {
	w.t.Helper()
	got := w.do(http.MethodPost, "/api/v1/connections", stripe(slug))
	if got.status != http.StatusCreated {
		w.t.Fatalf("create %s: %d %s", slug, got.status, got.body)
	}
}

// token is what calls of the connection stripe send now.
func (w *world) token(account string) string {
	w.t.Helper()
	target, err := w.connections.Target("stripe", account)
	if err != nil {
		return "error: " + fault.CodeOf(err)
	}
	r := &http.Request{Header: http.Header{}, URL: &url.URL{}}
	if err := target.Authorize(w.t.Context(), r); err != nil {
		return "error: " + err.Error()
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}
