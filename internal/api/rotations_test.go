package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func (a answer) rotation(t *testing.T) Rotation {
	t.Helper()
	var r Rotation
	a.decode(t, &r)
	return r
}

// A credential is rotated step by step; it goes in and never comes out.
func TestRotateACredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var known atomic.Pointer[string]
	know := func(token string) { known.Store(&token) }
	know("old-" + canary)
	up := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+*known.Load() {
			out.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(up.Close)
	made := w.do(http.MethodPost, "/api/v1/connections", `{"name":"Stripe","slug":"stripe","base_url":"`+up.URL+`","auth":{"type":"bearer","fields":{"token":"old-`+canary+`"}}}`)
	if made.status != http.StatusCreated {
		t.Fatal(made.body)
	}
	const account = "/api/v1/connections/stripe/accounts/default"
	const path = account + "/rotation"
	if got := w.get(path); got.status != http.StatusNotFound || got.failure(t).Code != "NO_ROTATION" {
		t.Errorf("before: %d %s", got.status, got.body)
	}
	body := `{"auth":{"fields":{"token":"new-` + canary + `"},"expires_on":"2099-01-31"}}`
	staged := w.do(http.MethodPost, path, body, "Idempotency-Key", `"rotate-1"`)
	r := staged.rotation(t)
	if staged.status != http.StatusCreated || staged.header.Get("Location") != path || staged.header.Get("ETag") != `"1"` ||
		r.State != "staged" || r.StagedBy != "deploy" || r.Staged == nil || r.Staged.ExpiresOn != "2099-01-31" || strings.Join(r.Staged.Secrets, " ") != "token" {
		t.Errorf("staged: %d %s", staged.status, staged.body)
	}
	if again := w.do(http.MethodPost, path, body, "Idempotency-Key", `"rotate-1"`); again.status != http.StatusCreated || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("repeated: %d %s", again.status, again.body)
	}
	for _, c := range []struct {
		what, method, path, body string
		status                   int
		code                     string
		header                   []string
	}{
		{"stage again", http.MethodPost, path, body, 409, "ROTATION_UNDER_WAY", nil},
		{"replace", http.MethodPut, account, body, 409, "ROTATION_UNDER_WAY", nil},
		{"roll back too early", http.MethodPost, path + "/rollback", "", 409, "ROTATION_STEP", nil},
		{"destroy too early", http.MethodPost, path + "/destroy", "", 409, "ROTATION_STEP", nil},
		{"switch untested", http.MethodPost, path + "/switch", "", 409, "ROTATION_NOT_TESTED", nil},
		{"switch without a reason", http.MethodPost, path + "/switch", `{"anyway":true}`, 400, "REASON_MISSING", nil},
		{"keep for words", http.MethodPost, path + "/switch", `{"keep":"a week"}`, 400, "INVALID_KEEP", nil},
		{"keep for ever", http.MethodPost, path + "/switch", `{"keep":"9999h"}`, 400, "INVALID_KEEP", nil},
		{"test elsewhere", http.MethodPost, path + "/test", `{"path":"https://other.example.com"}`, 400, "INVALID_PATH", nil},
		{"out of date", http.MethodPost, path + "/switch", `{"anyway":true,"reason":"r"}`, 412, "ROTATION_CHANGED", []string{"If-Match", `"7"`}},
		{"discard out of date", http.MethodDelete, path, "", 412, "ROTATION_CHANGED", []string{"If-Match", `"7"`}},
		{"a day of words", http.MethodPost, path, `{"auth":{"fields":{"token":"t"},"expires_on":"soon"}}`, 400, "INVALID_DATE", nil},
		{"another type", http.MethodPost, account + "2/rotation", `{"auth":{"fields":{"token":"t"}}}`, 404, "ACCOUNT_NOT_FOUND", nil},
	} {
		got := w.do(c.method, c.path, c.body, c.header...)
		if got.status != c.status || got.failure(t).Code != c.code {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	if got := w.send(http.MethodPost, path+"/test", w.read, ""); got.status != http.StatusForbidden {
		t.Errorf("a key that may only read: %d", got.status)
	}

	tested := w.do(http.MethodPost, path+"/test", "")
	if r = tested.rotation(t); tested.status != 200 || r.Test == nil || r.Test.Passed || r.Test.Status != 401 || w.token("default") != "old-"+canary {
		t.Errorf("a test that fails: %d %s", tested.status, tested.body)
	}
	know("new-" + canary)
	tested = w.do(http.MethodPost, path+"/test", `{"path":"/v1/me"}`)
	if r = tested.rotation(t); r.Test == nil || !r.Test.Passed || r.Test.Request != "GET /v1/me" {
		t.Errorf("a test that passes: %d %s", tested.status, tested.body)
	}
	switched := w.do(http.MethodPost, path+"/switch", `{"keep":"24h","reason":"yearly"}`, "If-Match", tested.header.Get("ETag"))
	if r = switched.rotation(t); switched.status != 200 || r.State != "switched" || r.OldKeptUntil == nil || r.OldVersion != 1 || r.Reason != "yearly" || w.token("default") != "new-"+canary {
		t.Errorf("switched: %d %s", switched.status, switched.body)
	}
	var a Account
	w.get(account).decode(t, &a)
	if a.Version != 2 || a.Auth.ExpiresOn != "2099-01-31" || a.Rotation == nil || a.Rotation.State != "switched" {
		t.Errorf("the account: %+v", a)
	}
	back := w.do(http.MethodPost, path+"/rollback", "")
	if r = back.rotation(t); back.status != 200 || r.State != "staged" || r.RolledBackBy != "deploy" || w.token("default") != "old-"+canary {
		t.Errorf("rolled back: %d %s", back.status, back.body)
	}
	if r.Staged == nil || r.Staged.ExpiresOn != "2099-01-31" {
		t.Errorf("rolled back, the day does not wait: %s", back.body)
	}
	if got := w.do(http.MethodPost, path+"/switch", `{"keep":"0s","anyway":true,"reason":"mended"}`); got.rotation(t).OldKeptUntil != nil {
		t.Errorf("kept until by hand: %s", got.body)
	}
	done := w.do(http.MethodPost, path+"/destroy?reason=no+trouble", "")
	if r = done.rotation(t); done.status != 200 || r.State != "done" || r.DestroyedAt == nil || w.token("default") != "new-"+canary {
		t.Errorf("destroyed: %d %s", done.status, done.body)
	}
	w.do(http.MethodPost, path, `{"auth":{"fields":{"token":"third-`+canary+`"}}}`)
	if got := w.do(http.MethodDelete, path, ""); got.status != http.StatusNoContent || w.get(path).status != http.StatusNotFound {
		t.Errorf("discard: %d %s", got.status, got.body)
	}
	var events struct{ Data []CredentialEvent }
	w.get(account+"/events").decode(t, &events)
	if len(events.Data) < 8 || events.Data[0].Kind != "discarded" {
		t.Errorf("events: %+v", events)
	}
	if strings.Contains(w.all.String()+w.logs.String(), canary) {
		t.Error("a secret came out")
	}
}
