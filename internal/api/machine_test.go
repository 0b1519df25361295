package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/idempotency"
	"switchgear/internal/runtime"
)

func TestVersionByAccept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	for _, tt := range []struct {
		path, accept string
		status       int
	}{
		{"/api/connections", "", 200},
		{"/api/connections", "*/*", 200},
		{"/api/connections", "application/json", 200},
		{"/api/connections/stripe", "application/vnd.switchgear+json;version=1", 200},
		{"/api/connections/stripe", "application/vnd.switchgear+json; version=1", 200},
		{"/api/connections/stripe", "application/vnd.api+json;version=1", 200},
		{"/api/connections/stripe", "application/vnd.switchgear+json", 200},
		{"/api/connections?filter[search]=stri", "application/vnd.switchgear+json;version=2, application/vnd.switchgear+json;version=1;q=0.5", 200},
		{"/api/connections", "application/vnd.switchgear+json;version=2", 406},
		{"/api/connections", "application/vnd.api+json;version=7", 406},
		{"/api/connections", "application/vnd.switchgear+json;version=one", 406},
		{"/api/connections", "text/html", 406},
		{"/api/connections", "application/json;q=0", 406},
		{"/api/v1/connections", "application/vnd.switchgear+json;version=1", 200},
		{"/api/v1/connections", "application/vnd.switchgear+json;version=2", 406},
		{"/api/v2/connections", "", 404},
		{"/api/nothing", "", 404},
	} {
		got := w.get(tt.path, "Accept", tt.accept)
		if got.status != tt.status || got.header.Get("Vary") != "Accept" || len(got.header["Vary"]) != 1 {
			t.Errorf("%s as %q: %d %v %s", tt.path, tt.accept, got.status, got.header["Vary"], got.body)
		}
		if tt.status == http.StatusNotAcceptable && !strings.Contains(got.failure(t).Message, "versions: 1") {
			t.Errorf("%s as %q does not list the versions: %s", tt.path, tt.accept, got.body)
		}
	}
	got := w.do(http.MethodPost, "/api/connections", stripe("other"), "Accept", "application/vnd.switchgear+json;version=1")
	if got.status != http.StatusCreated || got.header.Get("Location") != "/api/v1/connections/other" {
		t.Errorf("create: %d %v", got.status, got.header)
	}
}

// HEAD is GET without the body, and everything that is read needs a key.
func TestReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.record("req_one", "stripe", 200)
	for _, path := range []string{
		"/connections", "/connections/stripe", "/connections/stripe/accounts", "/connections/stripe/accounts/default",
		"/connections/stripe/versions", "/connections/stripe/versions/1", "/connections/stripe/versions/1/diff?from=1",
		"/providers", "/providers/stripe", "/calls", "/calls/req_one",
	} {
		path = "/api/v1" + path
		get, head := w.get(path), w.send(http.MethodHead, path, w.read, "")
		if get.status != http.StatusOK || head.status != http.StatusOK || head.body != "" || head.header.Get("ETag") != get.header.Get("ETag") {
			t.Errorf("%s: GET %d, HEAD %d %q\n%s", path, get.status, head.status, head.body, get.body)
		}
		if got := w.send(http.MethodGet, path, "", ""); got.status != http.StatusUnauthorized {
			t.Errorf("%s without a key: %d", path, got.status)
		}
		if got := w.send(http.MethodOptions, path, w.read, ""); got.status != http.StatusMethodNotAllowed || !strings.HasPrefix(got.header.Get("Allow"), "GET, HEAD") {
			t.Errorf("OPTIONS %s: %d %v", path, got.status, got.header)
		}
	}
}

// record writes a call into the log, as the gateway would.
func (w *world) record(id, slug string, status int) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	w.calls.Record(runtime.Record{
		ID: id, ConnectionID: "con_1", Slug: slug, Account: "default", Version: 1, Method: "GET", Host: "api.stripe.com", Path: "/v1/" + id, Status: status,
		Outcome: runtime.OutcomeSuccess, Attempts: 1, StartedAt: time.Now(), Duration: 12 * time.Millisecond, KeyID: "key_1", KeyName: "shop",
		RequestHeader: http.Header{"Authorization": {"[redacted]"}}, Steps: []runtime.Step{{Name: "connect", Took: time.Millisecond}},
	})
	stop()
	_ = w.calls.Serve(ctx) // stores what waits, and returns because its context has ended
}

func TestCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.record("req_"+strconv.Itoa(i), []string{"stripe", "github"}[i%2], 200+i)
	}
	for query, want := range map[string]string{
		"":                                   "req_4 req_3 req_2 req_1 req_0 5",
		"?sort=started_at&limit=2":           "req_0 req_1 5",
		"?sort=-started_at&limit=2":          "req_4 req_3 5",
		"?limit=2&page=3":                    "req_0 5",
		"?filter[connection]=github":         "req_3 req_1 2",
		"?filter[status]=202":                "req_2 1",
		"?filter[class]=4":                   " 0",
		"?filter[path]=/v1/req_3":            "req_3 1",
		"?filter[outcome]=success":           "req_4 req_3 req_2 req_1 req_0 5",
		"?filter[outcome]=failed":            " 0",
		"?filter[to]=2001-01-01T00:00:00Z":   " 0",
		"?filter[from]=2001-01-01T00:00:00Z": "req_4 req_3 req_2 req_1 req_0 5",
	} {
		var list struct {
			Data []Call
			Meta Meta
		}
		got := w.get("/api/v1/calls" + query)
		got.decode(t, &list)
		ids := make([]string, len(list.Data))
		for i, c := range list.Data {
			ids[i] = c.ID
		}
		if text := strings.Join(ids, " ") + " " + strconv.Itoa(list.Meta.Total); text != want {
			t.Errorf("%s: %q, want %q: %s", query, text, want, got.body)
		}
	}
	got := w.get("/api/v1/calls/req_3")
	var c CallDetail
	got.decode(t, &c)
	if c.Connection != "github" || c.DurationMS != 12 || c.Key.Name != "shop" || len(c.Steps) != 1 || c.RequestHeaders["Authorization"][0] != "[redacted]" {
		t.Errorf("detail: %s", got.body)
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var list struct {
		Data []Provider
		Meta Meta
	}
	w.get("/api/v1/providers?filter[category]=payments&sort=-slug&limit=3").decode(t, &list)
	if list.Meta.Total < 5 || len(list.Data) != 3 || list.Data[0].Slug < list.Data[1].Slug || list.Data[0].Category != "payments" {
		t.Errorf("%+v", list)
	}
	w.get("/api/v1/providers?limit=200").decode(t, &list)
	if list.Meta.Total < 100 || len(list.Data) != list.Meta.Total {
		t.Errorf("the catalogue has %d entries, %d on the page", list.Meta.Total, len(list.Data))
	}
	w.get("/api/v1/providers?filter[search]=stripe&filter[kind]=rest").decode(t, &list)
	if len(list.Data) != 1 || list.Data[0].Auth[0].Type == "" {
		t.Errorf("%+v", list)
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/api/v1/connections"
	first := w.do(http.MethodPost, path, stripe("stripe"), "Idempotency-Key", `"one"`)
	again := w.do(http.MethodPost, path, stripe("stripe"), "Idempotency-Key", "one") // without quotes it is the same key
	if first.status != http.StatusCreated || again.status != first.status || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("first %d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	for _, name := range []string{"Location", "ETag", "Content-Type"} {
		if got := again.header.Get(name); got == "" || got != first.header.Get(name) {
			t.Errorf("%s is %q, was %q", name, got, first.header.Get(name))
		}
	}
	if first.header.Get("X-Request-Id") == again.header.Get("X-Request-Id") {
		t.Error("the repeated answer has the request id of the first")
	}
	if got := w.do(http.MethodPost, path, stripe("other"), "Idempotency-Key", "one"); got.status != http.StatusUnprocessableEntity || got.failure(t).Code != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("another body: %d %s", got.status, got.body)
	}
	if got := w.do(http.MethodPost, path+"/stripe/pause", "", "Idempotency-Key", "one"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("another path: %d %s", got.status, got.body)
	}
	// The key of another client is another key.
	other := w.key("other", access.ScopeAPIWrite)
	if got := w.send(http.MethodPost, path, other, stripe("theirs"), "Idempotency-Key", "one"); got.status != http.StatusCreated {
		t.Errorf("another client: %d %s", got.status, got.body)
	}
	// What was refused changed nothing and can be corrected.
	if got := w.do(http.MethodPost, path, stripe("Not A Slug"), "Idempotency-Key", "two"); got.status != http.StatusBadRequest {
		t.Errorf("refused: %d %s", got.status, got.body)
	}
	if got := w.do(http.MethodPost, path, stripe("corrected"), "Idempotency-Key", "two"); got.status != http.StatusCreated {
		t.Errorf("corrected: %d %s", got.status, got.body)
	}
}

func TestIdempotencyInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		seen  = map[int]int{}
	)
	for range 50 {
		group.Go(func() {
			got := w.do(http.MethodPost, "/api/v1/connections", stripe("stripe"), "Idempotency-Key", "together")
			mu.Lock()
			defer mu.Unlock()
			seen[got.status]++
			if got.status == http.StatusConflict && (got.failure(t).Code != "IDEMPOTENCY_KEY_RUNNING" || got.header.Get("Retry-After") == "") {
				t.Errorf("%v %s", got.header, got.body)
			}
		})
	}
	group.Wait()
	if seen[http.StatusCreated] == 0 || seen[http.StatusCreated]+seen[http.StatusConflict] != 50 {
		t.Errorf("answers: %v", seen)
	}
	var n int
	must(t, w.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM connections`).Scan(&n))
	if n != 1 {
		t.Errorf("%d connections", n)
	}
	if got := w.do(http.MethodPost, "/api/v1/connections", stripe("stripe"), "Idempotency-Key", "together"); got.status != http.StatusCreated {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// forgetful loses what it should keep.
type forgetful struct{ requests }

func (forgetful) Finish(context.Context, idempotency.Ticket, idempotency.Answer) error {
	return errors.New("the disk is full")
}

// The connection is made although its answer cannot be kept: the client must learn of it.
func TestAnswerThatIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *Deps) { d.Requests = forgetful{d.Requests} })
	if got := w.do(http.MethodPost, "/api/v1/connections", stripe("stripe"), "Idempotency-Key", "one"); got.status != http.StatusCreated {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !strings.Contains(w.logs.String(), "the disk is full") {
		t.Error("nothing is logged")
	}
	if got := w.do(http.MethodPost, "/api/v1/connections", stripe("stripe"), "Idempotency-Key", "one"); got.status != http.StatusConflict {
		t.Errorf("again: %d %s", got.status, got.body)
	}
}

// brokenLog fails in a way that only we should know about.
type brokenLog struct{ callLog }

func (brokenLog) Find(context.Context, string) (runtime.Record, error) {
	return runtime.Record{}, errors.New("broken: " + canary)
}

func TestInternalErrorsShowNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(d *Deps) { d.Calls = brokenLog{} })
	got := w.get("/api/v1/calls/req_1")
	if got.status != http.StatusInternalServerError || strings.Contains(got.body, canary) || got.failure(t).Code != "INTERNAL" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !strings.Contains(w.logs.String(), "request failed") {
		t.Error("nothing is logged")
	}
	if got := w.get("/api/v1/calls"); got.status != http.StatusInternalServerError { // a nil log: a panic
		t.Errorf("after a panic: %d %s", got.status, got.body)
	}
}

// A key that is revoked, or that never was more than it is, changes nothing, whatever the route let pass.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, text, err := w.access.CreateKey(t.Context(), access.System(), access.NewKey{Name: "brief", Scopes: []access.Scope{access.ScopeAPIWrite}})
	must(t, err)
	must(t, w.access.RevokeKey(t.Context(), access.System(), key.ID, ""))
	if got := w.send(http.MethodPost, "/api/v1/connections", text.Reveal(), stripe("stripe")); got.status != http.StatusUnauthorized {
		t.Errorf("%d %s", got.status, got.body)
	}
	// Revoked between the check of the route and the transaction.
	draft := ConnectionInput{Name: "x", BaseURL: "https://example.com", Auth: AuthInput{Type: "none"}}.draft()
	if _, err := w.connections.Create(t.Context(), key.Actor(""), draft, ""); err == nil || !strings.Contains(err.Error(), "not valid any more") {
		t.Errorf("in the transaction: %v", err)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.send(http.MethodGet, "/api/v1/openapi.json", "", "")
	var d struct {
		OpenAPI    string
		Servers    []struct{ URL string }
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]json.RawMessage }
	}
	got.decode(t, &d)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/openapi+json" || d.OpenAPI != "3.1.0" || d.Servers[0].URL != "/api/v1" {
		t.Errorf("%d %v %s %v", got.status, got.header, d.OpenAPI, d.Servers)
	}
	if d.Components.Schemas["ErrorModel"] != nil || d.Components.Schemas["Envelope"] == nil || strings.Contains(got.body, "$schema") {
		t.Errorf("schemas: %v", sortedKeys(d.Components.Schemas))
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			if !strings.Contains(string(op), `"operationId"`) || !strings.Contains(string(op), `"summary"`) || !strings.Contains(string(op), `"401"`) {
				t.Errorf("%s %s is not described: %s", method, path, op)
			}
		}
	}
	if !strings.Contains(got.body, `"max_in_flight"`) {
		t.Error("the policy is not described")
	}
}

// Secrets went in by every door above; here they are looked for in everything that came out.
func TestCanary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/api/v1/connections"
	w.do(http.MethodPost, path, stripe("stripe"), "Idempotency-Key", "one")
	w.do(http.MethodPost, path, stripe("stripe"), "Idempotency-Key", "one")
	w.do(http.MethodPost, path, stripe("stripe"))
	w.do(http.MethodPost, path, stripe("Not A Slug"))
	w.do(http.MethodPost, path, strings.Replace(stripe("x"), `"bearer"`, `"api_key"`, 1))
	w.do(http.MethodPost, path, stripe("x")+"x")
	w.do(http.MethodPut, path+"/stripe", stripe("stripe"))
	w.do(http.MethodPut, path+"/stripe", strings.Replace(stripe("stripe"), `"fields":{"token"`, `"fields":{"t"`, 1))
	w.do(http.MethodPatch, path+"/stripe", `{"auth":{"fields":{"token":"`+canary+`-2"}}}`)
	w.do(http.MethodPatch, path+"/stripe", `{"auth":{"fields":"`+canary+`"}}`)
	w.do(http.MethodPatch, path+"/stripe", `{"auth":"`+canary+`"}`)
	w.do(http.MethodPut, path+"/stripe/accounts/a", `{"auth":{"type":"basic","fields":{"username":"u","password":"`+canary+`"}}}`)
	w.do(http.MethodPut, path+"/stripe/accounts/a", `{"auth":{"type":"`+canary+`"}}`)
	w.do(http.MethodPut, path+"/stripe/accounts/a", `{"auth":{"type":"none","fields":{"`+canary+`":"x"}}}`)
	for _, p := range []string{
		path, path + "/stripe", path + "/stripe/accounts", path + "/stripe/accounts/a", path + "/stripe/versions", path + "/stripe/versions/2/diff",
		"/api/v1/openapi.json", "/api/v1/calls", "/api/v1/providers",
	} {
		if got := w.get(p); got.status != http.StatusOK {
			t.Errorf("%s: %d", p, got.status)
		}
	}
	var stored string
	must(t, w.db.QueryRow(t.Context(), `SELECT header || body || fingerprint FROM idempotency_keys`).Scan(&stored))
	for where, text := range map[string]string{"answers": w.all.String(), "log": w.logs.String(), "kept answers": stored} {
		if strings.Contains(text, canary) {
			i := strings.Index(text, canary)
			t.Errorf("the secret is in the %s: …%s", where, text[max(0, i-200):i])
		}
	}
	if !strings.Contains(stored, "v1.") || strings.Contains(stored, "Stripe live") {
		t.Error("the kept answers are not sealed")
	}
}

// The page about the API works without any other host, script in the page or key, and says everything
// that the description says.
func TestDocs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.send(http.MethodGet, "/api/docs", "", "")
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v", got.status, got.header)
	}
	if csp := got.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		t.Errorf("policy %q", csp)
	}
	for _, link := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(got.body, -1) {
		target := link[1]
		switch {
		case strings.HasPrefix(target, "#"):
			if !strings.Contains(got.body, `id="`+target[1:]+`"`) {
				t.Errorf("%s leads nowhere", target)
			}
		case strings.HasPrefix(target, "/static/"), strings.HasPrefix(target, "/api/"):
			if file := w.send(http.MethodGet, target, "", ""); file.status != http.StatusOK {
				t.Errorf("%s: %d", target, file.status)
			}
		case target != "/":
			t.Errorf("the page refers to %s", target)
		}
	}
	var d struct {
		Paths map[string]map[string]struct{ OperationID, Summary string }
	}
	w.send(http.MethodGet, "/api/v1/openapi.json", "", "").decode(t, &d)
	for path, methods := range d.Paths {
		for method, op := range methods {
			if !strings.Contains(got.body, `id="`+op.OperationID+`"`) || !strings.Contains(got.body, strings.ToUpper(method)+" "+path) {
				t.Errorf("%s %s is not on the page", method, path)
			}
		}
	}
	for _, text := range []string{"application/merge-patch+json", "max_attempts", "filter[status]", "api:write", "Idempotency-Key"} {
		if !strings.Contains(got.body, text) {
			t.Errorf("%q is not on the page", text)
		}
	}
	if head := w.send(http.MethodHead, "/api/docs", "", ""); head.status != http.StatusOK || head.body != "" {
		t.Errorf("HEAD: %d", head.status)
	}
}
