package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"

	"switchgear/internal/telemetry"
)

const oldKey, newKey = "canary-rotate-old-4731", "canary-rotate-new-4732"

// keeper is an upstream that lets in who has one of the keys that it knows, and says which.
type keeper struct {
	*httptest.Server
	mu    sync.Mutex
	known map[string]string
}

func newKeeper(j *journey) *keeper {
	k := &keeper{known: map[string]string{oldKey: "the old one"}}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		who, ok := k.known[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, who)
	}))
	j.Cleanup(k.Close)
	return k
}

func (k *keeper) know(key, as string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[key] = as
}

// A key is rotated while an application calls: staged, tested, switched, rolled back, and the old one destroyed.
func rotateJourney(j *journey) {
	k := newKeeper(j)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": (&upstream{Server: k.Server}).egressRule(j.T)})
	owner := p.owner(j.T)
	owner.post("/connections/new", url.Values{
		"provider": {"generic-rest"}, "name": {"Door"}, "slug": {"door"}, "environment": {"development"}, "kind": {"rest"},
		"base_url": {k.URL}, "auth_type": {"bearer"}, "auth.token": {oldKey},
	})
	key, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:door"}})
	if err != nil {
		j.Fatal(err)
	}
	app := p.browser(j.T)
	wantCall := func(when, who string) {
		j.Helper()
		if got := app.get("/proxy/door/v1/me", "Authorization", "Bearer "+key.Key); got.status != http.StatusOK || got.body != who {
			j.Errorf("%s a call is answered %d %q, want %q", when, got.status, got.body, who)
		}
	}
	b := j.signedIn(p, owner).inspector()

	b.open("/connections/door/accounts")
	b.follow("main a", "Rotate")
	b.sees("One credential is in use.")
	b.inspect("rotate-fresh")
	b.fill(`[name="auth.token"]`, newKey)
	b.follow("main button", "Stage it")
	b.sees("The new credential is staged.")
	wantCall("staged,", "the old one")

	// The upstream does not know it yet. The test is answered without loading the page anew.
	eval[bool](b.tab, "window.sameDocument = true")
	b.fill("#f-path", "/v1/me")
	b.click("main button", "Send the test request")
	b.sees("The credential was not accepted.")
	b.inspect("rotate-test-failed")
	wantCall("after a test that failed,", "the old one")
	k.know(newKey, "the new one")
	b.click("main button", "Send the test request")
	b.sees("The credential was accepted.")
	if !eval[bool](b.tab, "window.sameDocument === true") {
		b.fatal("the test loaded the page anew")
	}
	wantCall("tested,", "the old one")
	b.follow("main button", "Switch")
	b.sees("The new one is in use; the old one is kept.")
	b.inspect("rotate-switched")
	wantCall("switched,", "the new one")

	b.follow("main button", "Roll back")
	b.sees("The old credential is in use again.")
	wantCall("rolled back,", "the old one")
	b.fill("#f-path", "/v1/me")
	b.click("main button", "Send the test request")
	b.sees("The credential was accepted.")
	b.follow("main button", "Switch")
	wantCall("switched again,", "the new one")
	b.open("/connections/door/accounts")
	b.sees("old one kept until")
	b.follow("main a", "Rotate")
	b.click("main a", "Destroy the old one")
	b.fill("dialog[open] textarea", "it works")
	b.follow("dialog[open] button", "Destroy it")
	b.sees("The rotation has ended.")
	b.inspect("rotate-done")
	wantCall("in the end", "the new one")

	for _, path := range []string{"/connections/door/accounts", "/connections/door/versions", "/audit", "/credentials"} {
		b.open(path)
		b.misses(newKey)
		b.misses(oldKey)
	}
	if strings.Contains(p.logs.String(), "canary-rotate") {
		j.Error("the log holds a key")
	}
}
