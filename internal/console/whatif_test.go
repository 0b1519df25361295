package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/calls"
	"switchgear/internal/connections"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/whatif"
)

// past stores calls that began a second after each other, an hour ago: f failed, s succeeded.
func (s *site) past(t *testing.T, slug, letters string) {
	t.Helper()
	c, ok := s.connections.Peek(slug)
	if !ok {
		t.Fatalf("there is no connection %s", slug)
	}
	from := time.Now().Add(-time.Hour)
	for i, l := range letters {
		r := runtime.Record{
			ID: "req_past" + strconv.Itoa(i), ConnectionID: c.ID, Slug: slug, Account: "default", Method: "GET", Path: "/v1", Status: 200,
			Outcome: runtime.OutcomeSuccess, Attempts: 1, StartedAt: from.Add(time.Duration(i) * time.Second), Duration: 100 * time.Millisecond,
		}
		if l == 'f' {
			r.Status, r.Outcome = 503, runtime.OutcomeUnavailable
		}
		s.calls.Record(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.calls.Serve(ctx) // stores what waits, and returns because its context has ended
}

func TestWhatIfOfTheForm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	if status, _, page := s.submit(t, owner, "/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Orders"}, "environment": {"development"}, "kind": {"rest"}, "base_url": {"https://api.example.com"}, "auth_type": {"none"},
	}); status != http.StatusSeeOther {
		t.Fatalf("create: %d %s", status, page)
	}
	const path = "/connections/orders/what-if"
	edit := url.Values{
		"provider": {"generic-rest"}, "version": {"1"}, "name": {"Orders"}, "environment": {"development"}, "kind": {"rest"}, "base_url": {"https://api.example.com"}, "auth_type": {"none"},
		"policy": {`{"breaker":{"min_calls":4,"failure_ratio":1,"open_for":"10s","half_open_calls":1,"ramp":"0s"}}`}, "reason": {"calmer"},
	}
	part := func(form url.Values) (int, http.Header, string) {
		return s.do(t, owner, http.MethodPost, path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded", "HX-Request", "true")
	}
	_, _, page := s.do(t, owner, http.MethodGet, "/connections/orders/edit", nil)
	if !strings.Contains(page, `formaction="/connections/orders/what-if#what-if"`) || !strings.Contains(page, `id="what-if"`) {
		t.Error("the form does not ask")
	}
	if _, _, page = s.submit(t, owner, path, edit); !strings.Contains(page, "No calls were recorded in this time") {
		t.Errorf("without calls: %s", page)
	}
	s.past(t, "orders", strings.Repeat("f", 10)+strings.Repeat("s", 9))
	const sentence = "The edited settings would have opened once for 10 s, saved 6 failing calls, rejected 4 good ones. Those in force would never have opened."
	// Without JavaScript: the page again, with what was entered and the answer.
	status, _, page := s.submit(t, owner, path, edit)
	if status != http.StatusOK || !strings.Contains(page, sentence) || !strings.Contains(page, "calmer") || !strings.Contains(page, "4 of 4 calls failed") {
		t.Errorf("%d %s", status, page)
	}
	// With htmx: the part alone.
	status, _, page = part(edit)
	if status != http.StatusOK || !strings.HasPrefix(strings.TrimSpace(page), `<div id="what-if"`) || !strings.Contains(page, sentence) {
		t.Errorf("%d %s", status, page)
	}
	if c, _ := s.connections.Peek("orders"); c.Version != 1 {
		t.Errorf("something was saved: version %d", c.Version)
	}
	// A wrong policy is said where it is, or in the part.
	edit.Set("policy", `{"breaker":{"min_call":4}}`)
	if status, _, page = s.submit(t, owner, path, edit); status != http.StatusBadRequest || !strings.Contains(page, "There is no field") {
		t.Errorf("%d %s", status, page)
	}
	if status, _, page = part(edit); status != http.StatusOK || !strings.Contains(page, "policy.breaker.min_call: There is no field") {
		t.Errorf("%d %s", status, page)
	}
	// A replay that is gone is said to be gone; taking one back that is gone is no mistake.
	if status, _, page = s.do(t, owner, http.MethodGet, path+"/GONE", nil, "HX-Request", "true"); status != http.StatusOK || !strings.Contains(page, "There is no such replay") {
		t.Errorf("%d %s", status, page)
	}
	if status, header, _ := s.submit(t, owner, path+"/GONE/cancel", url.Values{}); status != http.StatusSeeOther || header.Get("Location") != "/connections/orders/edit" {
		t.Errorf("%d %v", status, header)
	}
	// Who may not edit is not offered it.
	if status, _, _ = s.submit(t, s.signedIn(t, access.RoleViewer), path, edit); status != http.StatusForbidden {
		t.Errorf("a viewer: %d", status)
	}
}

// Before a policy is brought back it can be tried on the recorded calls; where it is the same, there is nothing
// to try.
func TestWhatIfOfARollback(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner, operator, viewer := s.signedIn(t, access.RoleOwner), s.signedIn(t, access.RoleOperator), s.signedIn(t, access.RoleViewer)
	s.create(t, "orders", "Orders")
	update := func(d connections.Draft) {
		t.Helper()
		if _, err := s.connections.Update(t.Context(), access.System(), "orders", d, "", 0); err != nil {
			t.Fatal(err)
		}
	}
	update(connections.Draft{Policy: json.RawMessage(`{"breaker":{"min_calls":4,"failure_ratio":1,"open_for":"10s","half_open_calls":1,"ramp":"0s"}}`)})
	update(connections.Draft{Policy: json.RawMessage(`{}`)})
	update(connections.Draft{Name: "Orders, renamed"})
	s.past(t, "orders", strings.Repeat("f", 10)+strings.Repeat("s", 9))
	const offer = `action="/connections/orders/versions/2/what-if#what-if"`
	if _, _, page := s.do(t, operator, http.MethodGet, "/connections/orders/versions/2/rollback", nil); !strings.Contains(page, offer) {
		t.Errorf("another policy cannot be tried: %s", page)
	}
	if _, _, page := s.do(t, owner, http.MethodGet, "/connections/orders/versions/3/rollback", nil); strings.Contains(page, "/what-if") {
		t.Error("the same policy can be tried")
	}
	const path, sentence = "/connections/orders/versions/2/what-if", "The settings of v2 would have opened once for 10 s, saved 6 failing calls, rejected 4 good ones. Those in force would never have opened."
	status, _, page := s.submit(t, operator, path, url.Values{})
	if status != http.StatusOK || !strings.Contains(page, sentence) || !strings.Contains(page, "Roll back to v2") || !strings.Contains(page, `name="reason"`) {
		t.Errorf("without JavaScript: %d %s", status, page)
	}
	status, _, page = s.do(t, operator, http.MethodPost, path, nil, "HX-Request", "true")
	if status != http.StatusOK || !strings.HasPrefix(strings.TrimSpace(page), `<div id="what-if"`) || !strings.Contains(page, sentence) {
		t.Errorf("the part: %d %s", status, page)
	}
	if status, _, _ = s.submit(t, viewer, path, url.Values{}); status != http.StatusForbidden {
		t.Errorf("a viewer: %d", status)
	}
	if status, _, _ = s.submit(t, owner, "/connections/orders/versions/99/what-if", url.Values{}); status != http.StatusNotFound {
		t.Errorf("a version that does not exist: %d", status)
	}
	if c, _ := s.connections.Peek("orders"); c.Version != 4 {
		t.Errorf("something was saved: version %d", c.Version)
	}
}

// one is what replays go by, of one connection; they are held until their context ends.
type one struct{}

func (one) Find(context.Context, access.Actor, string) (connections.Connection, error) {
	return connections.Connection{ID: "con_1", Slug: "orders"}, nil
}

func (one) PolicySet(connections.Connection, json.RawMessage) (runtime.PolicySet, error) {
	return runtime.PolicySet{}, nil
}

func (one) Stretch(ctx context.Context, _ string, _, _ time.Time, _ int) (calls.Stretch, error) {
	<-ctx.Done()
	return calls.Stretch{}, ctx.Err()
}

func (one) Newest(_ context.Context, s calls.Stretch, _ int) (calls.Stretch, error) { return s, nil }

func (one) EachPast(context.Context, calls.Stretch, func(page []calls.Past) error) error { return nil }

func (one) Dropped() int64 { return 0 }

func (one) Snapshot(breaker.Key) (breaker.Snapshot, bool) { return breaker.Snapshot{}, false }

// A replay that waits for its turn says so and can be stopped. Whoever waits for it meanwhile is answered with
// nothing, which is no failure.
func TestWhatIfIsStoppedWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		svc, err := whatif.New(whatif.Deps{Connections: one{}, Calls: one{}, Breakers: one{}, Now: time.Now}, whatif.Config{})
		if err != nil {
			t.Fatal(err)
		}
		p, me := whatIfPages{&Console{Deps: Deps{WhatIf: svc, Now: time.Now}}}, access.Actor{Kind: access.KindUser, ID: "usr_1"}
		ask := func(method, job string, h handler) (int, string) {
			params := chi.NewRouteContext()
			params.URLParams.Add("slug", "orders")
			params.URLParams.Add("job", job)
			ctx := context.WithValue(context.WithValue(t.Context(), chi.RouteCtxKey, params), visitorKey{}, visitor{actor: me, signedIn: true})
			r := httptest.NewRequestWithContext(ctx, method, "/", nil)
			r.Header.Set("HX-Request", "true")
			w := httptest.NewRecorder()
			if err := h(w, r); err != nil {
				t.Error(err)
			}
			return w.Code, w.Body.String()
		}
		var group sync.WaitGroup
		busy, end := context.WithCancel(t.Context())
		group.Go(func() { _, _ = svc.Ask(busy, me, whatif.Question{Slug: "orders"}) })
		synctest.Wait() // It has the turn from here on.
		group.Go(func() { _ = svc.Serve(busy) })
		job, err := svc.Start(t.Context(), me, whatif.Question{Slug: "orders"})
		if err != nil {
			t.Fatal(err)
		}
		if status, page := ask(http.MethodGet, job.ID, p.follow); status != http.StatusOK || !strings.Contains(page, "Waiting for its turn") || !strings.Contains(page, "/what-if/"+job.ID+"/cancel") {
			t.Errorf("while it waits: %d %s", status, page)
		}
		group.Go(func() {
			if status, page := ask(http.MethodGet, job.ID, p.follow); status != http.StatusOK || page != `<div id="what-if" class="live-region" tabindex="-1"></div>` {
				t.Errorf("who waited for it: %d %s", status, page)
			}
		})
		synctest.Wait() // They wait for its end.
		if status, page := ask(http.MethodPost, job.ID, p.cancel); status != http.StatusOK || page != `<div id="what-if" class="live-region" tabindex="-1"></div>` {
			t.Errorf("stopped: %d %s", status, page)
		}
		synctest.Wait()
		if status, page := ask(http.MethodGet, job.ID, p.follow); status != http.StatusOK || !strings.Contains(page, "There is no such replay") {
			t.Errorf("after it was stopped: %d %s", status, page)
		}
		end()
		group.Wait()
	})
}
