package access

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// site is a little console on a world, served over real HTTP.
type site struct {
	*world
	url     string
	arrived chan struct{} // a slow request is in its handler
	release chan struct{} // it may go on
}

func newSite(t *testing.T) *site {
	t.Helper()
	w := newWorld(t)
	s := &site{world: w, arrived: make(chan struct{}), release: make(chan struct{})}
	mux := http.NewServeMux()
	handle := func(path string, fn func(rw http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(path, func(rw http.ResponseWriter, r *http.Request) {
			if err := fn(rw, r); err != nil {
				http.Error(rw, err.Error(), fault.KindOf(err).Status())
			}
		})
	}
	handle("/sign-in", func(_ http.ResponseWriter, r *http.Request) error {
		o := Origin{IP: "192.0.2.1", UserAgent: r.UserAgent()}
		u, err := w.SignIn(r.Context(), o, r.FormValue("email"), telemetry.NewSecret(goodPassword))
		if err != nil {
			return err
		}
		if err := w.StartSession(r.Context(), o, u); err != nil {
			return err
		}
		w.PutFlash(r.Context(), "success", "Welcome back.")
		return nil
	})
	handle("/sign-out", func(_ http.ResponseWriter, r *http.Request) error { return w.EndSession(r.Context()) })
	handle("/who", func(rw http.ResponseWriter, r *http.Request) error {
		a, _, ok, err := w.CurrentActor(r.Context(), "203.0.113.5")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(rw, "%v %s %s %s", ok, a.Name, a.Role, a.IP)
		return err
	})
	handle("/session", func(rw http.ResponseWriter, r *http.Request) error {
		a, _, _, err := w.CurrentActor(r.Context(), "")
		_, _ = io.WriteString(rw, a.SessionID)
		return err
	})
	handle("/flash", func(rw http.ResponseWriter, r *http.Request) error {
		kind, message := w.PopFlash(r.Context())
		_, err := io.WriteString(rw, kind+":"+message)
		return err
	})
	handle("/slow", func(_ http.ResponseWriter, r *http.Request) error {
		if _, _, _, err := w.CurrentActor(r.Context(), ""); err != nil {
			return err
		}
		s.arrived <- struct{}{}
		<-s.release
		w.PutFlash(r.Context(), "info", "late") // now the session has to be written
		return nil
	})
	server := httptest.NewServer(w.Middleware(mux))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// browser has cookies of its own.
type browser struct {
	t      *testing.T
	site   *site
	client *http.Client
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	return &browser{t: s.t, site: s, client: &http.Client{Jar: jar}}
}

func (b *browser) do(path string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site.url+path, nil)
	must(b.t, err)
	resp, err := b.client.Do(req)
	must(b.t, err)
	return resp
}

func (b *browser) get(path string) string {
	b.t.Helper()
	resp := b.do(path)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(b.t, err)
	if resp.StatusCode != http.StatusOK {
		b.t.Errorf("%s: %d %s", path, resp.StatusCode, body)
	}
	return string(body)
}

func (s *site) signedIn(email string) *browser {
	b := s.browser()
	b.get("/sign-in?email=" + email)
	return b
}

const (
	nobody = "false   "
	isAda  = "true ada@example.com owner 203.0.113.5"
)

func (b *browser) want(who string) {
	b.t.Helper()
	if got := b.get("/who"); got != who {
		b.t.Errorf("the browser is %q, want %q", got, who)
	}
}

func TestSessionLifecycle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.user("ada@example.com", RoleOwner)
	b := s.browser()
	b.want(nobody)
	resp := b.do("/sign-in?email=ada@example.com")
	resp.Body.Close()
	if n := len(resp.Cookies()); n != 1 {
		t.Fatalf("%d cookies", n)
	}
	c := resp.Cookies()[0]
	if c.Name != "switchgear" || !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Domain != "" || c.MaxAge < 43190 {
		t.Errorf("cookie %+v", c)
	}
	if s.count(`SELECT COUNT(*) FROM sessions WHERE token_hash = $1 OR data LIKE $2`, c.Value, "%"+c.Value+"%") != 0 {
		t.Error("the token is stored as it is")
	}
	b.want(isAda)
	if got := b.get("/flash"); got != "success:Welcome back." {
		t.Errorf("flash %q", got)
	}
	if got := b.get("/flash"); got != ":" {
		t.Errorf("the flash is shown again: %q", got)
	}
	s.browser().want(nobody)
	resp = b.do("/sign-out")
	resp.Body.Close()
	if c := resp.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 || c[0].Value != "" {
		t.Errorf("cookies after signing out %+v", c)
	}
	b.want(nobody)
	if n := s.count(`SELECT COUNT(*) FROM sessions`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if e := s.newest(); e.Action != "user.sign_out" || e.Actor.Name != "ada@example.com" {
		t.Errorf("%+v", e)
	}
	b.get("/sign-out") // again, without a session
}

// Who is not signed in leaves no row and gets no cookie, whatever they ask for or send.
func TestAnonymousVisitors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, cookie := range []string{"", "switchgear=", "switchgear=made-up", "switchgear=" + strings.Repeat("x", 3000)} {
		for _, path := range []string{"/who", "/flash", "/sign-out", "/sign-in?email=nobody@example.com", "/nowhere"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
			must(t, err)
			req.Header.Set("Cookie", cookie)
			resp, err := new(http.Client).Do(req)
			must(t, err)
			resp.Body.Close()
			if len(resp.Cookies()) != 0 {
				t.Errorf("%s with %q sets cookies %v", path, cookie, resp.Cookies())
			}
			if resp.Header.Get("Vary") != "Cookie" {
				t.Errorf("%s: Vary %q", path, resp.Header.Get("Vary"))
			}
		}
	}
	if n := s.count(`SELECT COUNT(*) FROM sessions`); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// A request that is running while its session ends writes the session afterwards. It must not come
// back, whatever ended it, and a new sign-in of the same browser must not be disturbed.
func TestEndedSessionStaysEnded(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *site, b *browser, u User){
		"sign out": func(_ *site, b *browser, _ User) { b.get("/sign-out") },
		"revoke": func(s *site, b *browser, u User) {
			must(s.t, s.RevokeSession(s.t.Context(), actorOf(u), b.get("/session")))
		},
		"revoke others": func(s *site, _ *browser, u User) {
			n, err := s.RevokeOtherSessions(s.t.Context(), actorOf(u))
			if n != 1 || err != nil {
				s.t.Errorf("%d, %v", n, err)
			}
		},
		"password change": func(s *site, _ *browser, u User) {
			must(s.t, s.ChangePassword(s.t.Context(), actorOf(u), telemetry.NewSecret(goodPassword), telemetry.NewSecret("another-quiet-harbour-7")))
		},
		"disable": func(s *site, _ *browser, u User) { must(s.t, s.DisableUser(s.t.Context(), System(), u.ID, "")) },
		"role change": func(s *site, _ *browser, u User) {
			must(s.t, s.ChangeRole(s.t.Context(), System(), u.ID, RoleViewer, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.t = t
			s.user("owner@example.com", RoleOwner)
			u, _ := s.user("ada@example.com", RoleOwner)
			b := s.signedIn("ada@example.com")
			b.want(isAda)
			done := make(chan *http.Response)
			go func() {
				resp := b.do("/slow")
				resp.Body.Close()
				done <- resp
			}()
			<-s.arrived
			end(s, b, u)
			s.release <- struct{}{}
			if resp := <-done; resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 0 {
				t.Errorf("the slow request: %d, cookies %v", resp.StatusCode, resp.Cookies())
			}
			b.want(nobody)
			if n := s.count(`SELECT COUNT(*) FROM sessions`); n != 0 {
				t.Errorf("%d rows came back", n)
			}
		})
	}
}

// The cookie of the session before is worth nothing once the same browser has signed in again.
func TestSignInRenewsTheToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.user("ada@example.com", RoleOwner)
	b := s.signedIn("ada@example.com")
	old := b.cookie()
	b.get("/sign-in?email=ada@example.com")
	if b.cookie() == old {
		t.Fatal("the token stayed the same")
	}
	b.want(isAda)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/who", nil)
	must(t, err)
	req.AddCookie(&http.Cookie{Name: "switchgear", Value: old})
	resp, err := new(http.Client).Do(req)
	must(t, err)
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != nobody {
		t.Errorf("the old token is %q", body)
	}
	if n := s.count(`SELECT COUNT(*) FROM sessions`); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func (b *browser) cookie() string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.site.url, nil)
	must(b.t, err)
	for _, c := range b.client.Jar.Cookies(req.URL) {
		return c.Value
	}
	return ""
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.user("ada@example.com", RoleOwner)
	b := s.signedIn("ada@example.com")
	s.clock.advance(12*time.Hour - time.Second)
	b.want(isAda) // using it does not prolong it
	s.clock.advance(time.Second)
	b.want(nobody)
	must(t, s.store.deleteExpiredSessions(t.Context(), s.clock.read()))
	if n := s.count(`SELECT COUNT(*) FROM sessions`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestLastSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u, a := s.user("ada@example.com", RoleOwner)
	b := s.signedIn("ada@example.com")
	seen := func() time.Time {
		list, err := s.Sessions(t.Context(), a, u.ID)
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].LastSeenAt
	}
	began := seen()
	s.clock.advance(59 * time.Second)
	b.want(isAda)
	if !seen().Equal(began) {
		t.Error("written more than once a minute")
	}
	s.clock.advance(time.Second)
	b.want(isAda)
	if !seen().Equal(began.Add(time.Minute)) {
		t.Errorf("seen at %v, began %v", seen(), began)
	}
	// Nor does noting the use bring a session back.
	hash := ""
	must(t, s.db.QueryRow(t.Context(), `SELECT token_hash FROM sessions`).Scan(&hash))
	b.get("/sign-out")
	must(t, s.store.touchSession(t.Context(), hash, s.clock.read().Add(time.Hour), s.clock.read()))
	if n := s.count(`SELECT COUNT(*) FROM sessions`); n != 0 {
		t.Errorf("%d rows came back", n)
	}
}

func TestSessionsListAndRevoke(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner, ownerActor := s.user("owner@example.com", RoleOwner)
	_, admin := s.user("admin@example.com", RoleAdmin)
	ada, adaActor := s.user("ada@example.com", RoleViewer)
	first, second, ownerBrowser := s.signedIn("ada@example.com"), s.signedIn("ada@example.com"), s.signedIn("owner@example.com")
	list, err := s.Sessions(t.Context(), adaActor, ada.ID)
	if err != nil || len(list) != 2 || list[0].UserEmail != "ada@example.com" || list[0].IP != "192.0.2.1" ||
		!strings.HasPrefix(list[0].UserAgent, "Go-http-client") || !strings.HasPrefix(list[0].ID, "ses_") {
		t.Fatalf("%+v, %v", list, err)
	}
	if all, err := s.Sessions(t.Context(), admin, ""); err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	ownerSession := ownerBrowser.get("/session")
	wantCode(t, s.RevokeSession(t.Context(), adaActor, ownerSession), fault.Forbidden, "FORBIDDEN")
	wantCode(t, s.RevokeSession(t.Context(), adaActor, "ses_nothing"), fault.Forbidden, "FORBIDDEN")
	wantCode(t, s.RevokeSession(t.Context(), admin, ownerSession), fault.Forbidden, "OWNER_ONLY")
	wantCode(t, s.RevokeSession(t.Context(), admin, "ses_nothing"), fault.NotFound, "NOT_FOUND")
	must(t, s.RevokeSession(t.Context(), admin, first.get("/session")))
	if e := s.newest(); e.Action != "session.revoke" || e.Target.Name != "ada@example.com" {
		t.Errorf("%+v", e)
	}
	first.want(nobody)
	adaActor.SessionID = second.get("/session")
	if n, err := s.RevokeOtherSessions(t.Context(), adaActor); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got := second.get("/who"); !strings.HasPrefix(got, "true ada@example.com viewer") {
		t.Errorf("the session in use: %q", got)
	}
	must(t, s.RevokeSession(t.Context(), ownerActor, ownerSession))
	if list, err := s.Sessions(t.Context(), ownerActor, owner.ID); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// Changing the password ends the other sessions and keeps the one it was changed in.
func TestPasswordChangeKeepsTheSessionInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, a := s.user("ada@example.com", RoleOwner)
	here, elsewhere := s.signedIn("ada@example.com"), s.signedIn("ada@example.com")
	a.SessionID = here.get("/session")
	must(t, s.ChangePassword(t.Context(), a, telemetry.NewSecret(goodPassword), telemetry.NewSecret("another-quiet-harbour-7")))
	here.want(isAda)
	elsewhere.want(nobody)
}

// A sign-in that was checked before the password changed does not become a session after it.
func TestStartSessionAfterPasswordChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, a := w.user("ada@example.com", RoleOwner)
	u, err := w.signIn("", "ada@example.com", goodPassword)
	must(t, err)
	w.clock.advance(time.Second)
	must(t, w.ChangePassword(t.Context(), a, telemetry.NewSecret(goodPassword), telemetry.NewSecret("another-quiet-harbour-7")))
	rec := httptest.NewRecorder()
	w.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		wantCode(t, w.StartSession(r.Context(), Origin{}, u), fault.Unauthenticated, "UNAUTHENTICATED")
		if _, _, ok, err := w.CurrentActor(r.Context(), ""); ok || err != nil {
			t.Errorf("signed in: %v, %v", ok, err)
		}
	})).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if len(rec.Result().Cookies()) != 0 || w.count(`SELECT COUNT(*) FROM sessions`) != 0 {
		t.Errorf("cookies %v", rec.Result().Cookies())
	}
}

func TestSecureCookie(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, Config{SecureCookies: true, SessionLifetime: time.Hour})
	u, _ := w.user("ada@example.com", RoleOwner)
	rec := httptest.NewRecorder()
	w.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		must(t, w.StartSession(r.Context(), Origin{}, u))
	})).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	cookies := rec.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	if c := cookies[0]; c.Name != "__Host-switchgear" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" ||
		c.SameSite != http.SameSiteLaxMode || c.MaxAge < 3590 || c.MaxAge > 3601 {
		t.Errorf("%+v", c)
	}
}

// A stream flushes, extends its deadline, and can see that its session has ended meanwhile.
func TestStreaming(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, a := w.user("ada@example.com", RoleOwner)
	revoked := make(chan struct{})
	server := httptest.NewServer(w.Middleware(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sign-in" {
			must(t, w.StartSession(r.Context(), Origin{}, u))
			// The header goes out with the flush, before anything is written.
			must(t, http.NewResponseController(rw).Flush())
			return
		}
		rc := http.NewResponseController(rw)
		must(t, rc.SetWriteDeadline(time.Time{}))
		if _, ok := rw.(http.Flusher); !ok {
			t.Error("not a Flusher")
		}
		for range 2 {
			_, _, ok, err := w.CurrentActor(r.Context(), "")
			_, _ = fmt.Fprintf(rw, "%v %v\n", ok, err)
			must(t, rc.Flush())
			<-revoked
		}
	})))
	t.Cleanup(server.Close)
	s := &site{world: w, url: server.URL}
	b := s.browser()
	b.do("/sign-in").Body.Close()
	if b.cookie() == "" {
		t.Fatal("a flush lost the cookie")
	}
	resp := b.do("/stream")
	defer resp.Body.Close()
	buf := make([]byte, 100)
	n, err := resp.Body.Read(buf)
	if string(buf[:n]) != "true <nil>\n" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	list, err := w.Sessions(t.Context(), a, u.ID)
	must(t, err)
	must(t, w.RevokeSession(t.Context(), a, list[0].ID))
	close(revoked)
	rest, err := io.ReadAll(resp.Body)
	if string(rest) != "false <nil>\n" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

// When the database cannot be asked, nobody is taken for signed out.
func TestUnreadableSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	req.AddCookie(&http.Cookie{Name: "switchgear", Value: "something"})
	called := false
	w.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called = true
		if _, _, ok, err := w.CurrentActor(r.Context(), ""); ok || err == nil {
			t.Errorf("%v, %v", ok, err)
		}
		if err := w.EndSession(r.Context()); err == nil {
			t.Error("signed out of what could not be read")
		}
		w.PutFlash(r.Context(), "info", "x")
	})).ServeHTTP(httptest.NewRecorder(), req)
	if !called {
		t.Error("the request did not go on")
	}
	if _, _, _, err := w.CurrentActor(t.Context(), ""); err == nil {
		t.Error("no error without the middleware")
	}
}
