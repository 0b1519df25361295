package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/connections"
)

// door is a site with a connection to an upstream that lets in who has one token.
type door struct {
	*site
	t      *testing.T
	client *http.Client
	known  atomic.Pointer[string]
}

const rotatePath = "/connections/door/accounts/default/rotate"

func newRotation(t *testing.T) *door {
	t.Helper()
	r := &door{site: newSite(t, "127.0.0.1=127.0.0.0/8:1024-65535"), t: t}
	r.accept("old-canary-4711")
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if *r.known.Load() == "login" {
			http.Redirect(w, request, "/login", http.StatusFound)
			return
		}
		if request.Header.Get("Authorization") != "Bearer "+*r.known.Load() {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(up.Close)
	if _, err := r.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Door", Slug: "door", BaseURL: up.URL, Auth: connections.Auth{Type: "bearer", Fields: map[string]string{"token": "old-canary-4711"}},
	}, ""); err != nil {
		t.Fatal(err)
	}
	r.client = r.signedIn(t, access.RoleOwner)
	return r
}

func (r *door) accept(token string) { r.known.Store(&token) }

// revision is that of the forms of the page.
func (r *door) revision() string {
	r.t.Helper()
	_, _, text := r.do(r.t, r.client, http.MethodGet, rotatePath, nil)
	seen := revisionOf.FindStringSubmatch(text)
	if seen == nil {
		r.t.Fatal("the forms have no revision")
	}
	return seen[1]
}

// page asks for a page, or posts a form to it, and follows what it leads to. The form of a step says which state it
// was made for, unless told otherwise.
func (r *door) page(below string, form ...string) (int, string) {
	r.t.Helper()
	method, body, values := http.MethodGet, "", url.Values{}
	header := []string{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	if form != nil {
		if below != "" && !values.Has("revision") {
			values.Set("revision", r.revision())
		}
		method, body, header = http.MethodPost, values.Encode(), []string{"Content-Type", "application/x-www-form-urlencoded"}
	}
	status, got, text := r.do(r.t, r.client, method, rotatePath+below, strings.NewReader(body), header...)
	if status == http.StatusSeeOther {
		status, _, text = r.do(r.t, r.client, http.MethodGet, got.Get("Location"), nil)
	}
	if strings.Contains(text, "canary-4711") {
		r.t.Errorf("a secret is on %s", below)
	}
	return status, text
}

func (r *door) want(what string, status int, text string, wantStatus int, says ...string) {
	r.t.Helper()
	for _, want := range says {
		if status != wantStatus || !strings.Contains(text, want) {
			r.t.Errorf("%s: %d, want %d with %q", what, status, wantStatus, want)
		}
	}
}

func (r *door) token() string {
	r.t.Helper()
	target, err := r.connections.Target("door", "")
	if err != nil {
		r.t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(r.t.Context(), http.MethodGet, "/", http.NoBody)
	if err := target.Authorize(r.t.Context(), request); err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")
}

var revisionOf = regexp.MustCompile(`name="revision" value="(\d+)"`)

// A redirect is no answer to a test: neither to that of the staged credential nor to that of the one in use.
func TestRedirectIsNoAnswerToATest(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	r.page("", "auth.token", "new-canary-4711")
	r.accept("login")
	status, text := r.page("/test", "revision", "1")
	r.want("staged", status, text, 200, "answered with a redirect", "login page", "status 302")
	status, _, text = r.do(t, r.client, http.MethodPost, "/connections/door/test", strings.NewReader(""), "Content-Type", "application/x-www-form-urlencoded")
	r.want("in use", status, text, 200, "answered with a redirect", "login page")
}

// A test asks the health check of the connection itself, and claims nothing about a credential that there is not.
func TestOfOwnHealthCheckWithoutACredential(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/base/up" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(up.Close)
	if _, err := r.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "Open", Slug: "open", BaseURL: up.URL + "/base", Auth: connections.Auth{Type: "none"}, Policy: json.RawMessage(`{"health_check":{"path":"/up"}}`),
	}, ""); err != nil {
		t.Fatal(err)
	}
	status, _, text := r.do(t, r.client, http.MethodPost, "/connections/open/test", strings.NewReader(""), "Content-Type", "application/x-www-form-urlencoded")
	r.want("no credential", status, text, 200, "/base/up", "The system answered with 200 OK.", "no credential that this could test")
	if strings.Contains(text, "The credential was accepted.") {
		t.Error("a credential that there is not was accepted")
	}
}

// A rotation from the first page to the last, with forms only.
func TestRotateOnThePage(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	status, text := r.page("")
	r.want("fresh", status, text, 200, "Stage the new credential", "Bearer token. One credential is in use.", `name="auth.token"`, `name="expires_on"`)
	status, text = r.page("", "auth.token", "new-canary-4711", "expires_on", "2001-01-31")
	r.want("a day that has passed", status, text, 400, "This day has passed.", `value="2001-01-31"`)
	status, text = r.page("", "auth.token", "")
	r.want("nothing entered", status, text, 400, "This is the credential in use. Enter the new one.")
	status, text = r.page("", "auth.token", "new-canary-4711", "expires_on", "2099-01-31", "reason", "yearly")
	r.want("staged", status, text, 200, "New one expires", `datetime="2099-01-31T23:59:59Z"`, "The new credential is staged.", "The old one is in use; the new one waits.", "Send the test request")
	_, _, accounts := r.do(t, r.client, http.MethodGet, "/connections/door/accounts?account=default", nil)
	for _, want := range []string{"new one staged", "This credential is being rotated.", `href="` + rotatePath + `"`, "Next one staged"} {
		if !strings.Contains(accounts, want) {
			t.Errorf("the accounts do not say %q", want)
		}
	}

	status, text = r.page("/test", "path", "")
	r.want("test fails", status, text, 200, "The credential was not accepted.", "The last test failed.", "Switch although no test has passed")
	status, text = r.page("/test", "path", "elsewhere")
	r.want("test of no path", status, text, 400, "begins with a slash")
	status, text = r.page("/switch", "keep", "168h")
	r.want("switch untested", status, text, 409, "has passed no test")
	status, text = r.page("/switch", "keep", "168h", "anyway", "on")
	r.want("without a reason", status, text, 400, "Say why it is switched")
	status, text = r.page("/switch", "keep", "a week", "anyway", "on")
	r.want("keep for words", status, text, 400, "Choose how long")
	if got := r.token(); got != "old-canary-4711" {
		t.Errorf("calls use %q", got)
	}
	r.accept("new-canary-4711")
	// As htmx asks for it, the answer is the part of the page.
	status, _, text = r.do(t, r.client, http.MethodPost, rotatePath+"/test", strings.NewReader("path=%2Fv1%2Fme&revision="+r.revision()),
		"Content-Type", "application/x-www-form-urlencoded", "HX-Request", "true", "HX-Target", "rotation")
	if status != 200 || !strings.Contains(text, "The credential was accepted.") || !strings.Contains(text, "GET /v1/me") || strings.Contains(text, "<html") {
		t.Errorf("test passes: %d %s", status, text)
	}
	seen := revisionOf.FindStringSubmatch(text)
	if seen == nil {
		t.Fatal("the form has no revision")
	}
	status, text = r.page("/switch", "keep", "168h", "revision", "1")
	r.want("an old page", status, text, 409, "Somebody took a step in the meantime.")
	status, text = r.page("/switch", "keep", "168h", "revision", seen[1])
	r.want("switched", status, text, 200, "The new one is in use; the old one is kept.", "Roll back", "Destroy the old one", "is destroyed by itself on", `datetime="2099-01-31T23:59:59Z"`)
	if got := r.token(); got != "new-canary-4711" {
		t.Errorf("calls use %q", got)
	}
	_, _, calendar := r.do(t, r.client, http.MethodGet, "/credentials", nil)
	if !strings.Contains(calendar, "Old credential, kept for a rollback") || !strings.Contains(calendar, `href="`+rotatePath+`"`) {
		t.Error("the calendar does not name the old one")
	}
	if _, _, accounts = r.do(t, r.client, http.MethodGet, "/connections/door/accounts", nil); !strings.Contains(accounts, "old one kept until") {
		t.Error("the account does not name the old one")
	}
	// Replacing it in the usual way is refused, and says what to do.
	status, _, text = r.do(t, r.client, http.MethodPost, "/connections/door/accounts", strings.NewReader("account=default&auth_type=bearer&auth.token=third-canary-4711"),
		"Content-Type", "application/x-www-form-urlencoded")
	if status != 409 || !strings.Contains(text, "Destroy the old credential, or roll back to it") || strings.Contains(text, "canary-4711") {
		t.Errorf("replaced meanwhile: %d", status)
	}

	for _, wrong := range []string{"", "abc", "-1", "0", "99999999999999999999"} {
		status, text = r.page("/rollback", "revision", wrong)
		r.want("revision "+wrong, status, text, 400, "Load the page again.")
	}
	if got := r.token(); got != "new-canary-4711" {
		t.Errorf("calls use %q", got)
	}
	for _, step := range []string{"/test", "/switch", "/rollback", "/destroy", "/discard"} {
		status, _, text := r.form(t, r.client, rotatePath+step, "reason", "x", "keep", "1h", "anyway", "on")
		r.want(step+" of a form without a state", status, text, 400, "The form does not say which state it was made for.")
	}
	// Whoever runs things sees the way back, and goes it; the rest is not theirs.
	operator := r.signedIn(t, access.RoleOperator)
	_, _, accounts = r.do(t, operator, http.MethodGet, "/connections/door/accounts", nil)
	if !strings.Contains(accounts, `href="`+rotatePath+`"`) {
		t.Error("the accounts do not lead an operator to the rotation")
	}
	_, _, text = r.do(t, operator, http.MethodGet, rotatePath, nil)
	if !strings.Contains(text, `action="`+rotatePath+`/rollback"`) || strings.Contains(text, "/destroy") {
		t.Errorf("what an operator sees: %s", text)
	}
	for _, step := range []string{"", "/test", "/switch", "/destroy", "/discard"} {
		if status, _, _ := r.form(t, operator, rotatePath+step, "reason", "x"); status != http.StatusForbidden {
			t.Errorf("an operator%s: %d", step, status)
		}
	}
	owner := r.client
	r.client = operator
	status, text = r.page("/rollback", "revision", r.revision())
	r.client = owner
	r.want("rolled back by an operator", status, text, 200, "The old credential is in use again.", "Rolled back")
	status, text = r.page("/switch", "keep", "168h", "anyway", "on", "reason", "to see it again")
	r.want("switched anew", status, text, 200, "Roll back")
	status, text = r.page("/rollback", "revision", r.revision())
	r.want("rolled back", status, text, 200, "The old credential is in use again.", "Rolled back", "Send the test request")
	if got := r.token(); got != "old-canary-4711" {
		t.Errorf("calls use %q", got)
	}
	status, text = r.page("/switch", "keep", "0s", "anyway", "on", "reason", "mended")
	r.want("switched again", status, text, 200, "until somebody destroys it", "mended", "Test skipped")
	_, _, versions := r.do(t, r.client, http.MethodGet, "/connections/door/versions", nil)
	r.want("the versions", 200, versions, 200, "rotation: switched", "rotation: rolled back", "mended")
	status, text = r.page("/destroy")
	r.want("the question", status, text, 200, "Destroy the old credential of default?", "No rollback brings it back")
	status, text = r.page("/destroy", "reason", "")
	r.want("without a reason", status, text, 400, "Say why.")
	status, text = r.page("/destroy", "reason", "no trouble")
	r.want("destroyed", status, text, 200, "The old credential is destroyed.", "The rotation has ended.", "Stage the new credential")

	r.page("", "auth.token", "fourth-canary-4711")
	status, text = r.page("/discard")
	r.want("the question", status, text, 200, "Discard the staged credential of default?")
	status, text = r.page("/discard", "reason", "mistyped")
	r.want("discarded", status, text, 200, "The staged credential is discarded.", "One credential is in use.")
	if got := r.token(); got != "new-canary-4711" {
		t.Errorf("calls use %q", got)
	}
	_, _, back := r.do(t, r.client, http.MethodGet, "/connections/door/versions/1/rollback", nil)
	r.want("a rollback to what was destroyed", 200, back, 200, "The credential of v1 does not come back.", "The present credential stays in use.")
	if strings.Contains(back, "the credential can be used") || strings.Contains(back, "Both versions say the same.") {
		t.Error("a rollback to what was destroyed is said to bring its credential back")
	}
}

func TestRotatePageOfOthers(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	// Whoever may only look sees the course and no form.
	reader := r.signedIn(t, access.RoleViewer)
	status, _, text := r.do(t, reader, http.MethodGet, rotatePath, nil)
	if status != 200 || !strings.Contains(text, "Destroy the old one") || strings.Contains(text, "Stage it") {
		t.Errorf("a viewer: %d", status)
	}
	if status, _, _ := r.do(t, r.client, http.MethodGet, "/connections/door/accounts/nobody/rotate", nil); status != 404 {
		t.Errorf("no such account: %d", status)
	}
	if _, err := r.connections.PutAccount(t.Context(), access.System(), "door", "open", connections.Auth{Type: "none"}, ""); err != nil {
		t.Fatal(err)
	}
	status, _, text = r.do(t, r.client, http.MethodGet, "/connections/door/accounts/open/rotate", nil)
	if status != 200 || !strings.Contains(text, "There is nothing to stage here.") {
		t.Errorf("an account without a secret: %d", status)
	}
	// Settings that are not secret stay, and can be emptied.
	if _, err := r.connections.PutAccount(t.Context(), access.System(), "door", "named", connections.Auth{
		Type: "api_key", Fields: map[string]string{"key": "old", "name": "X-Key", "prefix": "Key"},
	}, ""); err != nil {
		t.Fatal(err)
	}
	const named = "/connections/door/accounts/named/rotate"
	r.do(t, r.client, http.MethodPost, named, strings.NewReader("auth.key=new&auth.in=header&auth.name=X-Key&auth.prefix="), "Content-Type", "application/x-www-form-urlencoded")
	o, err := r.connections.Rollover(t.Context(), access.System(), "door", "named")
	if err != nil || o.Settings["name"] != "X-Key" || o.Settings["prefix"] != "" {
		t.Errorf("%+v, %v", o.Settings, err)
	}
}

// Where calls are refused, the page says so, and does not speak of calls that go on.
func TestRotatePageWhileCallsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	c, err := r.connections.Find(t.Context(), access.System(), "door")
	if err != nil {
		t.Fatal(err)
	}
	d := c.Draft()
	d.BaseURL = "https://eu.example.com"
	if _, err := r.connections.Update(t.Context(), access.System(), "door", d, "moved", 0); err != nil {
		t.Fatal(err)
	}
	status, text := r.page("")
	r.want("fresh", status, text, 200, "Calls are refused now.", "the connection goes to https://eu.example.com now", "cannot be used")
	status, staged := r.page("", "auth.token", "new-canary-4711")
	r.want("staged", status, staged, 200, "Calls are refused until it is switched to.", "The present one cannot be used; the new one waits.")
	for _, page := range []string{text, staged} {
		if strings.Contains(page, "Calls go on") || strings.Contains(page, "in use; the new one waits") {
			t.Error("the page speaks of calls that go on")
		}
	}
	status, text = r.page("/switch", "keep", "168h", "anyway", "on", "reason", "moved")
	r.want("switched", status, text, 200, "The new one is in use; the old one is kept.")
	if strings.Contains(text, "Calls are refused now.") {
		t.Error("switched, and still said to be refused")
	}
}
