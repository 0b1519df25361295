package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/internal/runtime"
)

// The JSON of the contract, as printed there.
func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.do(http.MethodPost, "/api/v1/connections?reason=first", stripe("stripe"))
	if got.status != http.StatusCreated || got.header.Get("Location") != "/api/v1/connections/stripe" || got.header.Get("ETag") != `"1"` {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	c := got.connection(t)
	want := Connection{
		Slug: "stripe", Name: "Stripe live", Kind: "rest", Provider: "stripe", Environment: "production", BaseURL: "https://api.stripe.com",
		Auth: Auth{Type: "bearer", Fields: map[string]string{}, Secrets: []string{"token"}}, Status: "active", Version: 1,
	}
	if diff := cmp.Diff(want, c, cmpopts.IgnoreFields(Connection{}, "ID", "CreatedAt", "UpdatedAt", "Policy")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(c.ID, "con_") || !strings.Contains(string(c.Policy), `"max_in_flight":25`) || w.token("") != canary {
		t.Errorf("%s %s %s", c.ID, c.Policy, w.token(""))
	}
	again := w.get("/api/v1/connections/stripe")
	if again.status != http.StatusOK || again.header.Get("ETag") != `"1"` {
		t.Errorf("read: %d %v", again.status, again.header)
	}
	if diff := cmp.Diff(c, again.connection(t)); diff != "" {
		t.Errorf("read differs (-created +read):\n%s", diff)
	}

	// Who did it is the key, in the history and in the record.
	var versions struct{ Data []Version }
	w.get("/api/v1/connections/stripe/versions").decode(t, &versions)
	if v := versions.Data[0]; v.Author != (Author{Kind: "api_key", Name: "deploy"}) || v.Reason != "first" || v.Cause != "create" {
		t.Errorf("version %+v", v)
	}
	var kind, name string
	must(t, w.db.QueryRow(t.Context(), `SELECT actor_kind, actor_name FROM audit_entries WHERE action = 'connection.create'`).Scan(&kind, &name))
	if kind != "api_key" || name != "deploy" {
		t.Errorf("recorded as %s %s", kind, name)
	}
}

func TestCreateDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.do(http.MethodPost, "/api/v1/connections", `{"name":"Orders API","base_url":"https://orders.example.com","auth":{"type":"none"}}`)
	c := got.connection(t)
	want := Connection{
		Slug: "orders-api", Name: "Orders API", Kind: "rest", Provider: "generic-rest", Environment: "development", BaseURL: "https://orders.example.com",
		Policy: Policy("{}"), Status: "active", Version: 1,
	}
	if diff := cmp.Diff(want, c, cmpopts.IgnoreFields(Connection{}, "ID", "CreatedAt", "UpdatedAt", "Auth")); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, got.body)
	}
}

// Every refusal names what is wrong and repeats no secret.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	other := w.key("caller", "call:*")
	const path = "/api/v1/connections"
	with := func(from, to string) string { return strings.Replace(stripe("fresh"), from, to, 1) }
	for name, tt := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		code, field, hint  string
	}{
		"no key":              {"GET", path, "", []string{"Authorization", ""}, 401, "API_KEY_MISSING", "", ""},
		"unknown key":         {"GET", path, "", []string{"Authorization", "", "X-API-Key", "sg_no"}, 401, "INVALID_API_KEY", "", ""},
		"key without scope":   {"GET", path, "", []string{"Authorization", "", "X-API-Key", other}, 403, "FORBIDDEN", "", ""},
		"write with read":     {"POST", path, stripe("fresh"), []string{"Authorization", "", "X-API-Key", w.read}, 403, "FORBIDDEN", "", ""},
		"delete with read":    {"DELETE", path + "/stripe", "", []string{"Authorization", "", "X-API-Key", w.read}, 403, "FORBIDDEN", "", ""},
		"unknown path":        {"GET", "/api/v1/nothing", "", nil, 404, "NOT_FOUND", "", ""},
		"unknown connection":  {"GET", path + "/nobody", "", nil, 404, "CONNECTION_NOT_FOUND", "", ""},
		"method":              {"PUT", path, "{}", nil, 405, "METHOD_NOT_ALLOWED", "", ""},
		"accept":              {"GET", path, "", []string{"Accept", "text/csv"}, 406, "NOT_ACCEPTABLE", "", "version=1"},
		"unknown parameter":   {"GET", path + "?limt=5", "", nil, 400, "UNKNOWN_PARAMETER", "limt", "Did you mean limit?"},
		"unknown filter":      {"GET", path + "?filter[colour]=red", "", nil, 400, "UNKNOWN_PARAMETER", "filter[colour]", "filter[kind]"},
		"unknown value":       {"GET", path + "?filter[status]=activ", "", nil, 400, "INVALID_PARAMETER", "filter[status]", "Did you mean active?"},
		"unknown sort":        {"GET", path + "?sort=-creatd_at", "", nil, 400, "UNKNOWN_SORT", "sort", "Did you mean created_at?"},
		"twice":               {"GET", path + "?page=1&page=2", "", nil, 400, "REPEATED_PARAMETER", "page", ""},
		"page":                {"GET", path + "?page=0", "", nil, 400, "INVALID_PARAMETER", "page", ""},
		"page of letters":     {"GET", path + "?page=one", "", nil, 400, "INVALID_PARAMETER", "page", ""},
		"limit":               {"GET", path + "?limit=201", "", nil, 400, "INVALID_PARAMETER", "limit", ""},
		"query":               {"GET", path + "?a=%zz", "", nil, 400, "INVALID_QUERY", "", ""},
		"no body":             {"POST", path, "", nil, 400, "INVALID_BODY", "body", ""},
		"not JSON":            {"POST", path, `{"token":"` + canary, nil, 400, "INVALID_BODY", "body", ""},
		"two documents":       {"POST", path, stripe("fresh") + stripe("fresh"), nil, 400, "INVALID_BODY", "body", ""},
		"a list":              {"POST", path, `["` + canary + `"]`, nil, 400, "INVALID_FIELD", "body", ""},
		"content type":        {"POST", path, stripe("fresh"), []string{"Content-Type", "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", ""},
		"no content type":     {"POST", path, stripe("fresh"), []string{"Content-Type", ""}, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", ""},
		"patch as JSON":       {"PATCH", path + "/stripe", `{}`, []string{"Content-Type", "application/json"}, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", ""},
		"large":               {"POST", path, `{"name":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "TOO_LARGE", "", ""},
		"unknown field":       {"POST", path, with(`"slug"`, `"slugg"`), nil, 400, "UNKNOWN_FIELD", "slugg", "Did you mean slug?"},
		"unknown in auth":     {"POST", path, with(`"fields"`, `"secret":"`+canary+`","fields"`), nil, 400, "UNKNOWN_FIELD", "auth.secret", "fields, type"},
		"unknown in policy":   {"POST", path, with(`"max_attempts"`, `"max_attempt"`), nil, 400, "UNKNOWN_FIELD", "policy.retry.max_attempt", "max_attempts"},
		"unknown in limits":   {"POST", path, with(`"per"`, `"pre"`), nil, 400, "UNKNOWN_FIELD", "policy.rate_limits[0].pre", ""},
		"missing":             {"POST", path, `{"slug":"fresh"}`, nil, 400, "MISSING_FIELD", "name", ""},
		"type":                {"POST", path, with(`"`+canary+`"`, `4711`), nil, 400, "INVALID_FIELD", "auth.fields.token", ""},
		"slug":                {"POST", path, stripe("Not A Slug"), nil, 400, "INVALID_SLUG", "slug", "not-a-slug"},
		"provider":            {"POST", path, with(`"provider":"stripe"`, `"provider":"strip"`), nil, 400, "UNKNOWN_PROVIDER", "provider", ""},
		"address":             {"POST", path, with("https://api", "https://user:"+canary+"@api"), nil, 400, "INVALID_BASE_URL", "base_url", ""},
		"auth type":           {"POST", path, with(`"bearer"`, `"bear"`), nil, 400, "UNKNOWN_AUTH_TYPE", "auth.type", ""},
		"auth field":          {"POST", path, with(`"token"`, `"tokn"`), nil, 400, "", "auth.fields.tokn", ""},
		"line break":          {"POST", path, with(canary, canary+`\n`), nil, 400, "", "auth.fields.token", ""},
		"policy":              {"POST", path, with(`"10s"`, `"10"`), nil, 400, "INVALID_POLICY", "policy.timeout", ""},
		"taken":               {"POST", path, stripe("stripe"), nil, 409, "SLUG_TAKEN", "slug", ""},
		"another version":     {"PUT", path + "/stripe", stripe("stripe"), []string{"If-Match", `"2"`}, 412, "VERSION_CHANGED", "", ""},
		"weak tag":            {"PATCH", path + "/stripe", `{}`, []string{"If-Match", `W/"1"`}, 412, "VERSION_CHANGED", "", ""},
		"none of the tags":    {"DELETE", path + "/stripe", "", []string{"If-Match", `"7", "8"`}, 412, "VERSION_CHANGED", "", ""},
		"pause, version":      {"POST", path + "/stripe/pause", "", []string{"If-Match", `"7"`}, 412, "VERSION_CHANGED", "", ""},
		"bare tag":            {"DELETE", path + "/stripe", "", []string{"If-Match", `1`}, 400, "INVALID_IF_MATCH", "If-Match", `"3"`},
		"slug changed":        {"PUT", path + "/stripe", stripe("other"), nil, 400, "SLUG_FIXED", "slug", ""},
		"put without auth":    {"PUT", path + "/stripe", `{"name":"x"}`, nil, 400, "INVALID_AUTH", "auth.type", ""},
		"patch, unknown":      {"PATCH", path + "/stripe", `{"status":"paused"}`, nil, 400, "UNKNOWN_FIELD", "status", ""},
		"patch, other case":   {"PATCH", path + "/stripe", `{"Name":"x"}`, nil, 400, "UNKNOWN_FIELD", "Name", "Did you mean name?"},
		"patch, name removed": {"PATCH", path + "/stripe", `{"name":null}`, nil, 400, "MISSING_FIELD", "name", ""},
		"patch, a list":       {"PATCH", path + "/stripe", `["` + canary + `"]`, nil, 400, "INVALID_FIELD", "body", ""},
		"version":             {"GET", path + "/stripe/versions/9", "", nil, 404, "VERSION_NOT_FOUND", "", ""},
		"version zero":        {"GET", path + "/stripe/versions/0", "", nil, 400, "INVALID_PARAMETER", "version", ""},
		"version of letters":  {"GET", path + "/stripe/versions/x", "", nil, 400, "INVALID_PARAMETER", "version", ""},
		"diff of the first":   {"GET", path + "/stripe/versions/1/diff", "", nil, 400, "INVALID_PARAMETER", "from", ""},
		"activate the active": {"POST", path + "/stripe/versions/1/activate", "", nil, 409, "ALREADY_ACTIVE", "", ""},
		"no way back":         {"POST", path + "/stripe/rollback", `{}`, nil, 409, "NO_OLDER_VERSION", "", ""},
		"long reason":         {"POST", path + "/stripe/pause", `{"reason":"` + strings.Repeat("x", 501) + `"}`, nil, 400, "INVALID_REASON", "reason", ""},
		"account":             {"GET", path + "/stripe/accounts/nobody", "", nil, 404, "ACCOUNT_NOT_FOUND", "", ""},
		"account name":        {"PUT", path + "/stripe/accounts/a%20b", `{"auth":{"fields":{"token":"x"}}}`, nil, 400, "INVALID_ACCOUNT", "account", ""},
		"unknown provider":    {"GET", "/api/v1/providers/nobody", "", nil, 404, "PROVIDER_NOT_FOUND", "provider", ""},
		"unknown call":        {"GET", "/api/v1/calls/req_0", "", nil, 404, "NOT_FOUND", "", ""},
		"outcome":             {"GET", "/api/v1/calls?filter[outcome]=succes", "", nil, 400, "INVALID_PARAMETER", "filter[outcome]", "Did you mean success?"},
		"time":                {"GET", "/api/v1/calls?filter[from]=yesterday", "", nil, 400, "INVALID_PARAMETER", "filter[from]", ""},
		"key, quotes":         {"POST", path, stripe("fresh"), []string{"Idempotency-Key", `"half`}, 400, "INVALID_IDEMPOTENCY_KEY", "Idempotency-Key", ""},
		"key, long":           {"POST", path, stripe("fresh"), []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "INVALID_IDEMPOTENCY_KEY", "Idempotency-Key", ""},
		"key, twice":          {"POST", path, stripe("fresh"), []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, "INVALID_IDEMPOTENCY_KEY", "Idempotency-Key", ""},
		"key, large body":     {"POST", path, `{"name":"` + strings.Repeat("x", maxBody) + `"}`, []string{"Idempotency-Key", "large"}, 413, "TOO_LARGE", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := w.do(tt.method, tt.path, tt.body, tt.header...)
			e := got.failure(t)
			if got.status != tt.status || tt.code != "" && e.Code != tt.code || e.Details.Field != tt.field || !strings.Contains(e.Details.Suggestion, tt.hint) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if strings.Contains(got.body, canary) || strings.Contains(e.Message+e.Details.Value+e.Details.Suggestion, "4711") {
				t.Errorf("the answer repeats the secret: %s", got.body)
			}
			if tt.status == http.StatusMethodNotAllowed && got.header.Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow %q", got.header.Get("Allow"))
			}
			if tt.status == http.StatusUnauthorized && got.header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}

			problem := w.do(tt.method, tt.path, tt.body, append([]string{"Accept", "application/problem+json"}, tt.header...)...)
			if name != "accept" && (problem.status != tt.status || !strings.HasPrefix(problem.header.Get("Content-Type"), "application/problem+json") || !strings.Contains(problem.body, `"status":`+strconv.Itoa(tt.status))) {
				t.Errorf("as a problem: %d %s", problem.status, problem.body)
			}
		})
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, slug := range []string{"alpha", "beta", "gamma"} {
		w.create(slug)
	}
	w.do(http.MethodPost, "/api/v1/connections/beta/pause", `{"reason":"maintenance"}`)
	for query, want := range map[string]string{
		"":                           "alpha beta gamma 1/50/3",
		"?sort=-slug":                "gamma beta alpha 1/50/3",
		"?sort=-created_at":          "gamma beta alpha 1/50/3",
		"?sort=-status&limit=1":      "beta 1/1/3",
		"?page=2&limit=2":            "gamma 2/2/3",
		"?page=9&limit=2":            " 9/2/3",
		"?filter[status]=paused":     "beta 1/50/1",
		"?filter%5Bstatus%5D=active": "alpha gamma 1/50/2",
		"?filter[search]=gam":        "gamma 1/50/1",
		"?filter[kind]=grpc":         " 1/50/0",
		"?filter[provider]=stripe&filter[environment]=production&sort=slug&page=1&limit=1": "alpha 1/1/3",
	} {
		got := w.get("/api/v1/connections" + query)
		var list struct {
			Data []Connection
			Meta Meta
		}
		got.decode(t, &list)
		slugs := make([]string, len(list.Data))
		for i, c := range list.Data {
			slugs[i] = c.Slug
		}
		meta := strconv.Itoa(list.Meta.Page) + "/" + strconv.Itoa(list.Meta.Limit) + "/" + strconv.Itoa(list.Meta.Total)
		if text := strings.Join(slugs, " ") + " " + meta; got.status != http.StatusOK || text != want {
			t.Errorf("%s: %d %q, want %q", query, got.status, text, want)
		}
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/connections/stripe"
	got := w.do(http.MethodPut, path, `{"name":"Stripe","provider":"stripe","auth":{"type":"bearer"}}`, "If-Match", `"1"`)
	c := got.connection(t)
	if got.status != http.StatusOK || got.header.Get("ETag") != `"2"` || c.Name != "Stripe" || c.Environment != "development" || string(c.Policy) != "{}" ||
		c.BaseURL != "https://api.stripe.com" || w.token("") != canary {
		t.Errorf("%d %s, token %s", got.status, got.body, w.token(""))
	}
	// The same again changes nothing and makes no version; any of several tags will do.
	if got = w.do(http.MethodPut, path, `{"name":"Stripe","provider":"stripe","auth":{"type":"bearer"}}`, "If-Match", `"1", "2"`); got.header.Get("ETag") != `"2"` {
		t.Errorf("repeated: %d %s", got.status, got.body)
	}
	if got = w.do(http.MethodPut, path, `{"name":"Stripe","provider":"stripe","auth":{"type":"none"}}`, "If-Match", "*"); got.status != http.StatusOK || w.token("") != "" {
		t.Errorf("without a credential: %d %s, token %s", got.status, got.body, w.token(""))
	}
	if got = w.do(http.MethodDelete, path, "", "If-Match", `"3"`); got.status != http.StatusNoContent || got.body != "" {
		t.Errorf("delete: %d %s", got.status, got.body)
	}
	if got = w.get(path); got.status != http.StatusNotFound {
		t.Errorf("after the deletion: %d", got.status)
	}
}

func TestMergePatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const key = `{"name":"Keyed","slug":"SLUG","base_url":"https://api.example.com","auth":{"type":"api_key","fields":{"key":"` + canary + `","in":"header","name":"X-Key","prefix":"Old"}},` +
		`"policy":{"timeout":"10s","retry":{"max_attempts":3},"rate_limits":[{"requests":90,"per":"1s"}]}}`
	n := 0
	for patch, check := range map[string]func(c Connection) bool{
		`{}`:                   func(c Connection) bool { return c.Version == 1 },
		`{"name":"Other"}`:     func(c Connection) bool { return c.Name == "Other" && c.Auth.Fields["prefix"] == "Old" },
		`{"environment":null}`: func(c Connection) bool { return c.Environment == "development" },
		`{"log_bodies":true}`:  func(c Connection) bool { return c.LogBodies },
		`{"policy":null}`:      func(c Connection) bool { return string(c.Policy) == "{}" },
		`{"policy":{"retry":null}}`: func(c Connection) bool {
			return string(c.Policy) == `{"rate_limits":[{"per":"1s","requests":90}],"timeout":"10s"}`
		},
		`{"policy":{"retry":{"max_attempts":5},"cache":{"ttl":"1m"}}}`: func(c Connection) bool {
			return string(c.Policy) == `{"cache":{"ttl":"1m"},"rate_limits":[{"per":"1s","requests":90}],"retry":{"max_attempts":5},"timeout":"10s"}`
		},
		`{"policy":{"rate_limits":[]}}`: func(c Connection) bool {
			return string(c.Policy) == `{"rate_limits":[],"retry":{"max_attempts":3},"timeout":"10s"}`
		},
		`{"auth":{"fields":{"prefix":null}}}`:           func(c Connection) bool { return c.Auth.Fields["prefix"] == "" && c.Auth.Fields["name"] == "X-Key" },
		`{"auth":{"fields":{"key":null}}}`:              func(c Connection) bool { return c.Version == 1 && len(c.Auth.Secrets) == 1 },
		`{"auth":{"fields":{"key":"` + canary + `2"}}}`: func(c Connection) bool { return c.Version == 2 && c.Auth.Fields["prefix"] == "Old" },
		`{"auth":{"type":"bearer","fields":{"token":"` + canary + `","in":null,"name":null,"prefix":null}}}`: func(c Connection) bool { return c.Auth.Type == "bearer" },
		`{"auth":{"type":"none","fields":null}}`: func(c Connection) bool { return c.Auth.Type == "none" && len(c.Auth.Secrets) == 0 },
	} {
		n++
		slug := "c" + strconv.Itoa(n)
		if got := w.do(http.MethodPost, "/api/v1/connections", strings.Replace(key, "SLUG", slug, 1)); got.status != http.StatusCreated {
			t.Fatalf("create: %d %s", got.status, got.body)
		}
		got := w.do(http.MethodPatch, "/api/v1/connections/"+slug, patch)
		if c := got.connection(t); got.status != http.StatusOK || !check(c) {
			t.Errorf("%s: %d %s", patch, got.status, got.body)
		}
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/connections/stripe"
	got := w.do(http.MethodPost, path+"/pause", `{"reason":"incident"}`, "If-Match", `"1"`)
	if c := got.connection(t); got.status != http.StatusOK || c.Status != "paused" || c.Version != 2 || w.token("") != "error: CONNECTION_PAUSED" {
		t.Errorf("pause: %d %s", got.status, got.body)
	}
	if got = w.do(http.MethodPost, path+"/resume", ""); got.status != http.StatusOK || w.token("") != canary {
		t.Errorf("resume: %d %s", got.status, got.body)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/connections/stripe/accounts"
	got := w.do(http.MethodPut, path+"/customer-1", `{"auth":{"fields":{"token":"`+canary+`-1"}}}`)
	var a Account
	got.decode(t, &a)
	if got.status != http.StatusOK || a.Name != "customer-1" || a.Auth.Type != "bearer" || a.State != "active" || w.token("customer-1") != canary+"-1" {
		t.Errorf("put: %d %s", got.status, got.body)
	}
	var list struct {
		Data []Account
		Meta Meta
	}
	w.get(path+"?sort=-name").decode(t, &list)
	if list.Meta.Total != 2 || list.Data[0].Name != "default" || list.Data[1].Name != "customer-1" {
		t.Errorf("list: %+v", list)
	}
	w.get(path+"?filter[state]=revoked").decode(t, &list)
	if list.Meta.Total != 0 {
		t.Errorf("filtered: %+v", list)
	}
	if got = w.get(path + "/customer-1"); got.status != http.StatusOK || !strings.Contains(got.body, `"secrets":["token"]`) {
		t.Errorf("get: %d %s", got.status, got.body)
	}
	// The credential of the default account is part of the definition.
	w.do(http.MethodPut, path+"/default", `{"auth":{"fields":{"token":"`+canary+`-2"}}}`)
	if c := w.get("/api/v1/connections/stripe").connection(t); c.Version != 2 || w.token("") != canary+"-2" {
		t.Errorf("version %d, token %s", c.Version, w.token(""))
	}
	if got = w.do(http.MethodDelete, path+"/customer-1", ""); got.status != http.StatusNoContent || w.token("customer-1") != "error: ACCOUNT_NOT_FOUND" {
		t.Errorf("delete: %d %s, token %s", got.status, got.body, w.token("customer-1"))
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/connections/stripe"
	w.do(http.MethodPatch, path+"?reason=slower", `{"policy":{"timeout":"20s"},"auth":{"fields":{"token":"`+canary+`-new"}}}`)
	var list struct {
		Data []Version
		Meta Meta
	}
	w.get(path+"/versions?sort=version&limit=1&page=2").decode(t, &list)
	if list.Meta != (Meta{Page: 2, Limit: 1, Total: 2}) || list.Data[0].Version != 2 || list.Data[0].Reason != "slower" || !list.Data[0].Active {
		t.Errorf("list: %+v", list)
	}
	var diff struct {
		From, To int
		Data     []Change
	}
	w.get(path+"/versions/2/diff").decode(t, &diff)
	want := []Change{{Field: "auth.fields.token", Before: "set", After: "changed", Secret: true}, {Field: "policy.timeout", Before: "10s", After: "20s"}}
	if d := cmp.Diff(want, diff.Data); d != "" || diff.From != 1 || diff.To != 2 {
		t.Errorf("diff (-want +got):\n%s", d)
	}
	if got := w.get(path + "/versions/1"); got.status != http.StatusOK || !strings.Contains(got.body, `"timeout":"10s"`) {
		t.Errorf("version 1: %d %s", got.status, got.body)
	}
	got := w.do(http.MethodPost, path+"/versions/1/activate", `{"reason":"too slow"}`)
	if c := got.connection(t); got.status != http.StatusOK || c.Version != 3 || w.token("") != canary {
		t.Errorf("activate: %d %s", got.status, got.body)
	}
	// Back and forth: the version before the active one, or the one that is named, or the one that is good.
	if c := w.do(http.MethodPost, path+"/rollback", "").connection(t); c.Version != 4 || w.token("") != canary+"-new" {
		t.Errorf("rollback: %+v", c)
	}
	if c := w.do(http.MethodPost, path+"/rollback", `{"version":1}`).connection(t); c.Version != 5 || w.token("") != canary {
		t.Errorf("rollback to 1: %+v", c)
	}
	must(t, w.connections.MarkKnownGood(t.Context(), map[string]int{w.get(path).connection(t).ID: 2}))
	if c := w.do(http.MethodPost, path+"/rollback", `{"reason":"it was good"}`).connection(t); c.Version != 6 || w.token("") != canary+"-new" || c.LastKnownGood != 2 {
		t.Errorf("rollback to the good one: %+v", c)
	}
}

// Everything that the runtime knows of a policy can be written by the API: the description follows it.
func TestWholePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole, err := json.Marshal(runtime.DefaultPolicy())
	must(t, err)
	operations := `"operations":[{"id":"charge","method":"POST","path":"/v1/charges","policy":{"timeout":"5s"}}],"outcomes":[{"status":404,"outcome":"success"}]`
	policy := strings.TrimSuffix(string(whole), "}") + "," + operations + "}"
	got := w.do(http.MethodPost, "/api/v1/connections", `{"name":"Whole","slug":"stripe","base_url":"https://api.example.com","auth":{"type":"none"},"policy":`+policy+`}`)
	if got.status != http.StatusCreated || !strings.Contains(string(got.connection(t).Policy), `"/v1/charges"`) {
		t.Fatalf("%d %s\n%s", got.status, got.body, policy)
	}
	if got = w.do(http.MethodPatch, "/api/v1/connections/stripe", `{"policy":{"operations":null}}`); got.status != http.StatusOK || strings.Contains(got.body, "charges") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// What a connection is for travels like the rest: PUT replaces it, PATCH merges into it.
func TestRequirements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/connections/stripe"
	merge := func(body string) answer {
		return w.do(http.MethodPatch, path, body, "Content-Type", "application/merge-patch+json")
	}
	c := merge(`{"requirements":{"owner":"Payments","slo":{"availability":99.9,"p95":"800ms"},"expected_volume":{"calls":90,"per":"1m"}},
		"documentation":{"runbook":"# a","contacts":[{"name":"On call","reach":"ops@example.com"}],"status_url":"https://status.example.com"}}`).connection(t)
	if c.Requirements.Owner != "Payments" || c.Requirements.SLO.P95.String() != "800ms" || c.Documentation.Contacts[0].Name != "On call" {
		t.Errorf("%+v %+v", c.Requirements, c.Documentation)
	}
	c = merge(`{"requirements":{"slo":{"p95":"1s"},"owner":null}}`).connection(t)
	if c.Requirements.Owner != "" || c.Requirements.SLO.P95.String() != "1s" || c.Requirements.SLO.Availability != 99.9 || c.Documentation.Runbook != "# a" {
		t.Errorf("%+v %+v", c.Requirements, c.Documentation)
	}
	if got := merge(`{"documentation":{"status_url":"javascript:x"}}`); got.status != http.StatusBadRequest || got.failure(t).Details.Field != "documentation.status_url" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := merge(`{"requirements":{"Owner":"x"}}`); got.status != http.StatusBadRequest {
		t.Errorf("%d %s", got.status, got.body)
	}
	c = w.do(http.MethodPut, path, stripe("stripe")).connection(t)
	if c.Requirements.Owner != "" || c.Requirements.SLO.Availability != 0 || c.Documentation.Runbook != "" {
		t.Errorf("%+v %+v", c.Requirements, c.Documentation)
	}
}
