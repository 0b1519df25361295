package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/ratelimit"
)

// guards are the breakers and limiters of the world.
type guards struct {
	*runtime.Protections

	w *world
}

func (g guards) Breakers() *breaker.Registry   { return g.w.registry }
func (g guards) Limiters() *ratelimit.Registry { return g.w.limiters }

// probe answers every health check alike.
func (w *world) probe(context.Context, runtime.Target, string, string) runtime.ProbeResult {
	return w.answers
}

// looked lets the worker store what changed.
func (w *world) looked() {
	w.t.Helper()
	must(w.t, func() error { _, err := w.health.Board(access.System()); return err }())
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	if err := w.health.Serve(ctx); !errors.Is(err, context.Canceled) {
		w.t.Fatal(err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	const path = "/api/v1/connections/stripe/health"
	var h ConnectionHealth
	w.get(path).decode(t, &h)
	if h.Status != "idle" || h.Attention || h.Connection != "stripe" || h.Sentence != "No call in the last 15 minutes. Nothing is known about it." || h.Facts.Check != nil {
		t.Errorf("never called: %+v", h)
	}
	w.answers = runtime.ProbeResult{Status: 503, Outcome: runtime.OutcomeUnavailable, Took: 12 * time.Millisecond}
	for range 2 {
		var c HealthCheck
		got := w.do(http.MethodPost, path+"/check", "")
		if got.decode(t, &c); got.status != http.StatusOK || c.OK || c.Status != 503 || c.Answer != "503 Service Unavailable" || c.DurationMS != 12 {
			t.Errorf("%d %+v", got.status, c)
		}
	}
	w.create("github") // the status is computed again
	w.get(path).decode(t, &h)
	if h.Status != "down" || !h.Attention || h.Facts.Check == nil || h.Facts.Check.InARow != 2 || h.Since.IsZero() {
		t.Errorf("after two checks that failed: %+v", h)
	}
	w.looked()
	if got := w.do(http.MethodPost, "/api/v1/connections/stripe/pause", `{"reason":"maintenance"}`); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	w.looked()
	var list struct {
		Data []HealthChange `json:"data"`
		Meta Meta           `json:"meta"`
	}
	w.get(path+"/history").decode(t, &list)
	if len(list.Data) != 2 || list.Meta.Total != 2 || list.Data[0].To != "paused" || list.Data[0].Actor != "deploy" || list.Data[0].Sentence != "It is paused: maintenance." ||
		list.Data[1].From != "" && list.Data[1].From != "idle" || list.Data[1].To != "down" || !list.Data[1].Until.Equal(list.Data[0].At) || list.Data[1].Seconds < 0 {
		t.Errorf("%+v", list)
	}
	for query, want := range map[string]int{"?limit=1&page=2": 1, "?filter[status]=down": 1, "?filter[to]=2001-01-01T00:00:00Z": 0, "?sort=at&limit=1": 1} {
		w.get(path+"/history"+query).decode(t, &list)
		if len(list.Data) != want {
			t.Errorf("%s: %+v", query, list)
		}
	}
	if w.get(path+"/history?sort=at&limit=1").decode(t, &list); len(list.Data) != 1 || list.Data[0].To != "down" {
		t.Errorf("the oldest: %+v", list.Data)
	}
	for _, tt := range []struct {
		path   string
		status int
		field  string
	}{
		{path + "/history?filter[status]=fine", 400, "filter[status]"},
		{path + "/history?sort=to", 400, "sort"},
		{path + "/history?filter[from]=2002-01-01T00:00:00Z&filter[to]=2001-01-01T00:00:00Z", 400, "filter[to]"},
		{"/api/v1/connections/nothing/health", 404, ""},
		{"/api/v1/connections/nothing/health/history", 404, ""},
	} {
		if got := w.get(tt.path); got.status != tt.status || got.failure(t).Details.Field != tt.field {
			t.Errorf("%s: %d %s", tt.path, got.status, got.body)
		}
	}
	if got := w.do(http.MethodPost, path+"/check", ""); got.status != http.StatusConflict {
		t.Errorf("a check while paused: %d %s", got.status, got.body)
	}
	if got := w.send(http.MethodPost, path+"/check", w.read, ""); got.status != http.StatusForbidden {
		t.Errorf("a key that reads: %d", got.status)
	}
}

// Lists of connections say how each of them is.
func TestConnectionsHaveHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.create("github")
	w.breakIt("stripe", "")
	var list struct {
		Data []Connection `json:"data"`
	}
	w.looked()
	w.get("/api/v1/connections?sort=slug").decode(t, &list)
	if len(list.Data) != 2 || list.Data[0].Health == nil || list.Data[0].Health.Status != "idle" || list.Data[1].Health.Status != "down" || list.Data[1].Health.Sentence == "" {
		t.Errorf("%+v", list.Data)
	}
}

// Only calls that are refused for want of a credential that was never there tell of it: as a credential problem where
// nothing of the connection works, and for some minutes as trouble of some where other accounts do.
func TestHealthOfWhatIsNotSetUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	create := func(slug string) string {
		t.Helper()
		made := w.do(http.MethodPost, "/api/v1/connections", `{"name":"Sheets","slug":"`+slug+`","kind":"rest","base_url":"https://api.example.com","auth":{"type":"oauth2_authorization_code",
			"fields":{"authorize_url":"https://as.example.com/a","token_url":"https://as.example.com/t","client_id":"app","client_secret":"s"}}}`)
		if made.status != http.StatusCreated {
			t.Fatal(made.body)
		}
		return "/api/v1/connections/" + slug
	}
	// called is a call that the gateway refuses, and records.
	called := func(slug, account string, ago time.Duration) {
		t.Helper()
		target, err := w.connections.Target(slug, account)
		if err == nil {
			t.Fatalf("%s can be called as %q", slug, account)
		}
		w.calls.Record(runtime.Record{
			ID: "req_1", ConnectionID: target.ConnectionID, Slug: slug, Account: target.Account, Version: target.Version, StartedAt: time.Now().Add(-ago),
			Outcome: runtime.OutcomeRejectedLocal, ErrorCode: fault.CodeOf(err), ErrorText: fault.PublicMessage(err),
		})
	}
	connected := func(slug, account string) {
		t.Helper()
		if got := w.do(http.MethodPost, "/api/v1/connections/"+slug+"/accounts/"+account+"/token", `{"access_token":"a"}`); got.status != http.StatusOK {
			t.Fatal(got.body)
		}
	}
	// aged makes every credential older than the calls to come.
	aged := func() {
		t.Helper()
		must(t, w.db.InTx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE credentials SET updated_at = updated_at - ?`, (2 * time.Hour).Microseconds())
			return err
		}))
		must(t, w.connections.Refresh(t.Context()))
	}
	for slug, tt := range map[string]struct {
		set      func(slug string)
		status   string
		sentence string
	}{
		"never-called":    {func(string) {}, "not_set_up", "It is not set up yet."},
		"called-nobody":   {func(slug string) { called(slug, "nobody", 0) }, "not_set_up", "It is not set up yet."},
		"called":          {func(slug string) { called(slug, "", 0) }, "credential_problem", "Account default: The account is not connected yet."},
		"called-earlier":  {func(slug string) { aged(); called(slug, "", 50*time.Minute) }, "credential_problem", "The last call was refused for it "},
		"called-long-ago": {func(slug string) { aged(); called(slug, "", 62*time.Minute) }, "not_set_up", "It is not set up yet."},
		"other-works":     {func(slug string) { connected(slug, "acme") }, "idle", "No call"},
		"other-works-called": {
			func(slug string) { connected(slug, "acme"); called(slug, "", 0); called(slug, "", 0) },
			"degraded",
			"Account default is called and was never set up: The account is not connected yet. Connect it on the page of the connection. 2 calls in a row were refused for it, the last one",
		},
		"other-works-called-earlier": {func(slug string) { connected(slug, "acme"); aged(); called(slug, "", 6*time.Minute) }, "idle", "No call got through"},
		"was-connected": {
			func(slug string) {
				connected(slug, "acme")
				connected(slug, "beta")
				if got := w.do(http.MethodPost, "/api/v1/connections/"+slug+"/accounts/beta/revoke", ""); got.status != http.StatusOK {
					t.Fatal(got.body)
				}
				aged()
				called(slug, "beta", 6*time.Minute)
			},
			"credential_problem", "Account beta: The credential was revoked.",
		},
	} {
		path := create(slug)
		tt.set(slug)
		w.create("after-" + slug) // the status is computed again
		var h ConnectionHealth
		w.get(path+"/health").decode(t, &h)
		if h.Status != tt.status || !strings.Contains(h.Sentence, tt.sentence) {
			t.Errorf("%s: %s, %s", slug, h.Status, h.Sentence)
		}
	}
}
