package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/telemetry"
)

func TestEachKindOfCredentialIsChecked(t *testing.T) {
	t.Parallel()
	secret := telemetry.NewSecret("s3cret")
	api := func(prefix string, a Auth) API {
		return API{Prefix: prefix, Auth: a, Collections: map[string]int{"items": 1}}
	}
	p := serve(t, Config{APIs: []API{
		api("/open", Auth{}), api("/bearer", Auth{Kind: AuthBearer, Secret: secret}), api("/basic", Auth{Kind: AuthBasic, Username: "me", Secret: secret}),
		api("/key", Auth{Kind: AuthAPIKey, Secret: secret}), api("/named", Auth{Kind: AuthAPIKey, Header: "X-Token", Secret: secret}),
		api("/query", Auth{Kind: AuthAPIKey, Query: "token", Secret: secret}), api("/oauth", Auth{Kind: AuthOAuth}),
	}})
	for _, c := range []struct {
		path   string
		header []string
		want   int
	}{
		{"/open/items", nil, 200},
		{"/bearer/items", []string{"Authorization", "Bearer s3cret"}, 200},
		{"/bearer/items", []string{"Authorization", "Bearer wrong"}, 401},
		{"/bearer/items", []string{"Authorization", "s3cret"}, 401},
		{"/bearer/items", nil, 401},
		{"/basic/items", []string{"Authorization", "Basic bWU6czNjcmV0"}, 200}, // me:s3cret
		{"/basic/items", []string{"Authorization", "Basic eW91OnMzY3JldA=="}, 401},
		{"/key/items", []string{"X-API-Key", "s3cret"}, 200},
		{"/key/items", []string{"X-Token", "s3cret"}, 401},
		{"/named/items", []string{"X-Token", "s3cret"}, 200},
		{"/query/items?token=s3cret", nil, 200},
		{"/query/items", []string{"X-API-Key", "s3cret"}, 401},
		{"/oauth/items", []string{"Authorization", "Bearer made-up"}, 401},
	} {
		got := p.get(c.path, c.header...)
		if got.status != c.want || (got.status == http.StatusUnauthorized) != (got.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s %v: %d %v", c.path, c.header, got.status, got.header)
		}
		if strings.Contains(got.body, "s3cret") {
			t.Errorf("%s repeats the secret", c.path)
		}
	}
}

// ids follows the pages of a list to its end.
func ids(t *testing.T, p *provider, first string, next func(reply) string) []string {
	t.Helper()
	var all []string
	for path, pages := first, 0; path != ""; pages++ {
		if pages > 20 {
			t.Fatal("the pages have no end")
		}
		got := p.get(path)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		body := []byte(got.body)
		var envelope struct{ Data json.RawMessage }
		if json.Unmarshal(body, &envelope) == nil {
			body = envelope.Data
		}
		var records []struct{ ID string }
		if err := json.Unmarshal(body, &records); err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			all = append(all, r.ID)
		}
		path = next(got)
	}
	return all
}

// However a list is paged, following it yields every record once, in order.
func TestEveryPagingYieldsEveryRecordOnce(t *testing.T) {
	t.Parallel()
	want := make([]string, 0, 45)
	for i := range 45 {
		want = append(want, recordID("orders", i))
	}
	for paging, next := range map[string]func(reply) string{
		PagingPage: func(r reply) string {
			var m struct {
				Meta struct{ Page, Limit, Total int }
			}
			if json.Unmarshal([]byte(r.body), &m) != nil || m.Meta.Page*m.Meta.Limit >= m.Meta.Total {
				return ""
			}
			return "/shop/orders?limit=10&page=" + string(rune('1'+m.Meta.Page))
		},
		PagingCursor: func(r reply) string {
			var m struct {
				Meta struct {
					NextCursor string `json:"next_cursor"`
				}
			}
			if json.Unmarshal([]byte(r.body), &m) != nil || m.Meta.NextCursor == "" {
				return ""
			}
			return "/shop/orders?limit=10&cursor=" + m.Meta.NextCursor
		},
		PagingLink: func(r reply) string {
			target, _, ok := strings.Cut(strings.TrimPrefix(r.header.Get("Link"), "<"), `>; rel="next"`)
			if !ok {
				return ""
			}
			return target
		},
	} {
		p := serve(t, Config{APIs: []API{shop(paging)}})
		if diff := cmp.Diff(want, ids(t, p, "/shop/orders?limit=10&per_page=10", next)); diff != "" {
			t.Errorf("%s: %s", paging, diff)
		}
		for _, bad := range []string{"/shop/orders?limit=x&per_page=x", "/shop/orders?limit=-1&per_page=0", "/shop/orders?page=0&cursor=%21"} {
			if got := p.get(bad); got.status != http.StatusBadRequest {
				t.Errorf("%s %s: %d", paging, bad, got.status)
			}
		}
	}
}

func TestRecordsAreMadeReadAndDeleted(t *testing.T) {
	t.Parallel()
	p := serve(t, Config{APIs: []API{shop("")}})
	post := func(body, key string) reply {
		return p.do(http.MethodPost, "/shop/orders", body, "Idempotency-Key", key)
	}
	made := post(`{"sku":"a"}`, "k1")
	if made.status != http.StatusCreated || made.header.Get("Location") != "/shop/orders/order_000046" || made.text(t, "sku") != "a" {
		t.Fatalf("%d %v %s", made.status, made.header, made.body)
	}
	if again := post(`{"sku":"a"}`, "k1"); again.body != made.body || again.status != made.status {
		t.Errorf("the same key: %d %s", again.status, again.body)
	}
	if other := post(`{"sku":"b"}`, "k1"); other.status != http.StatusUnprocessableEntity {
		t.Errorf("the same key with another body: %d", other.status)
	}
	if second := post(`{"sku":"a"}`, ""); second.header.Get("Location") != "/shop/orders/order_000047" {
		t.Errorf("without a key: %v", second.header)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/shop", "", 200},
		{"GET", "/shop/orders/order_000046", "", 200},
		{"GET", "/shop/orders/order_46", "", 404},
		{"GET", "/shop/orders/order_000048", "", 404},
		{"DELETE", "/shop/orders/order_000046", "", 204},
		{"GET", "/shop/orders/order_000046", "", 404},
		{"DELETE", "/shop/orders/order_000046", "", 404},
		{"POST", "/shop/orders", "[]", 400},
		{"PATCH", "/shop/orders", "{}", 405},
		{"GET", "/shop/nothing", "", 404},
		{"GET", "/shopping", "", 404},
		{"HEAD", "/shop/orders", "", 200},
	} {
		if got := p.do(c.method, c.path, c.body); got.status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got.status, c.want)
		}
	}
}

// Each dialect tells the same facts: a limit of 3 in 10 s, of which the fourth request is refused.
func TestRateLimitDialects(t *testing.T) {
	t.Parallel()
	ends := newClock().Now().Add(10 * time.Second)
	for dialect, c := range map[string]struct {
		refusal         int
		allowed, denied map[string]string
	}{
		DialectRateLimit: {
			429,
			map[string]string{"RateLimit": `"default";r=2;t=10`, "RateLimit-Policy": `"default";q=3;w=10`, "Retry-After": ""},
			map[string]string{"RateLimit": `"default";r=0;t=6`, "Retry-After": "6"},
		},
		DialectFields: {
			429,
			map[string]string{"RateLimit-Limit": "3", "RateLimit-Remaining": "2", "RateLimit-Reset": "10"},
			map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "6", "Retry-After": ""},
		},
		DialectEpoch: {
			429,
			map[string]string{"X-RateLimit-Limit": "3", "X-RateLimit-Remaining": "2", "X-RateLimit-Reset": "1772366410"},
			map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772366410", "Retry-After": ""},
		},
		DialectSeconds: {
			429,
			map[string]string{"X-RateLimit-Remaining": "2", "X-RateLimit-Reset": "10"},
			map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "6"},
		},
		DialectDate: {
			429,
			map[string]string{"Retry-After": "", "X-RateLimit-Limit": ""},
			map[string]string{"Retry-After": ends.Format(http.TimeFormat)},
		},
		DialectForbidden: {
			403,
			map[string]string{"X-RateLimit-Remaining": "2"},
			map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772366410"},
		},
	} {
		api := shop("")
		api.Limit = Limit{Requests: 3, Per: 10 * time.Second, Dialect: dialect}
		p := serve(t, Config{APIs: []API{api}})
		expect := func(step string, status int, headers map[string]string) {
			t.Helper()
			got := p.get("/shop/orders")
			if got.status != status {
				t.Errorf("%s, %s: %d, want %d", dialect, step, got.status, status)
			}
			for name, want := range headers {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s, %s: %s is %q, want %q", dialect, step, name, value, want)
				}
			}
		}
		expect("first", 200, c.allowed)
		expect("second", 200, nil)
		expect("third", 200, nil)
		p.clock.advance(4 * time.Second)
		expect("fourth", c.refusal, c.denied)
		p.clock.advance(6 * time.Second)
		expect("after the window", 200, nil)
	}
	if len(Dialects()) != 6 {
		t.Errorf("%d dialects, 6 are tested", len(Dialects()))
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"prefix":   {APIs: []API{{Prefix: "shop"}}},
		"auth":     {APIs: []API{{Prefix: "/shop", Auth: Auth{Kind: "magic"}}}},
		"secret":   {APIs: []API{{Prefix: "/shop", Auth: Auth{Kind: AuthBearer}}}},
		"paging":   {APIs: []API{{Prefix: "/shop", Paging: "scroll"}}},
		"records":  {APIs: []API{{Prefix: "/shop", Collections: map[string]int{"a": -1}}}},
		"limit":    {APIs: []API{{Prefix: "/shop", Limit: Limit{Requests: 1}}}},
		"dialect":  {APIs: []API{{Prefix: "/shop", Limit: Limit{Dialect: "shouted"}}}},
		"client":   {OAuth: OAuth{Clients: []Client{{}}}},
		"scripts":  {Scripts: []Script{{Path: "x"}}},
		"no clock": {},
	} {
		d := Deps{Logger: telemetry.Discard(), Now: time.Now}
		if name == "no clock" {
			d.Now = nil
		}
		if _, err := New(d, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
