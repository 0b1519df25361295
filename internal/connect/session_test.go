package connect

import (
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// link makes a link and returns its token.
func (w *world) link(n NewSession) (Session, string) {
	w.t.Helper()
	n.Connection = "github"
	s, link, err := w.CreateSession(w.t.Context(), admin(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	token, ok := strings.CutPrefix(link, "https://console.example.com/connect/")
	if !ok || len(token) < 43 {
		w.t.Fatalf("the link is %s", link)
	}
	return s, token
}

// consent goes the way of the person of a link until the server sends them back.
func (w *world) consent(token, binding string) url.Values {
	w.t.Helper()
	f, err := w.BeginSession(w.t.Context(), token, binding, "203.0.113.7")
	if err != nil {
		w.t.Fatal(err)
	}
	leave, err := w.Leave(w.t.Context(), access.Actor{}, f.ID, binding)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(leave)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Query()
}

// Whoever makes a link is told of those for the same account that can still be used.
func TestLinkTellsOfOlderOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, _ := w.link(NewSession{Account: "acme", Life: time.Hour})
	withdrawn, _ := w.link(NewSession{Account: "acme"})
	if err := w.RevokeSession(t.Context(), admin(), withdrawn.ID); err != nil {
		t.Fatal(err)
	}
	w.link(NewSession{Account: "other"})
	w.pass(time.Minute)
	second, token := w.link(NewSession{Account: "acme", Life: 24 * time.Hour})
	w.pass(time.Minute)
	third, _ := w.link(NewSession{Account: "acme", Life: 24 * time.Hour})
	q := w.consent(token, "their browser")
	if f, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "their browser", oauth.Callback{Code: "code", Issuer: issuer}); err != nil || f.Status != StatusDone {
		t.Fatalf("%+v, %v", f, err)
	}
	w.pass(time.Hour) // The first one ends.
	fourth, _ := w.link(NewSession{Account: "acme"})
	got := [][]string{first.Older, withdrawn.Older, second.Older, third.Older, fourth.Older}
	want := [][]string{nil, {first.ID}, {first.ID}, {second.ID, first.ID}, {third.ID}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Somebody who has never signed in connects an account, with the right of who made the link.
func TestLinkConnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, token := w.link(NewSession{Account: "acme", Label: "For Acme", Scopes: []string{"read"}, ReturnURL: "https://app.example.com/done?x=1", ChannelID: "ach_1"})
	v, err := w.Visit(t.Context(), token, "203.0.113.7")
	if err != nil || !v.Interactive || v.Label != "For Acme" || v.Account != "acme" {
		t.Fatalf("%+v, %v", v, err)
	}
	// The first try is denied: the link can be used again.
	q := w.consent(token, "their browser")
	if q.Get("scope") != "read" {
		t.Errorf("asked for %q", q.Get("scope"))
	}
	if f, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "their browser", oauth.Callback{Error: "access_denied"}); err != nil || f.Code != oauth.CodeDenied {
		t.Fatalf("%+v, %v", f, err)
	}
	if got, _ := w.Session(t.Context(), admin(), s.ID); got.Status != SessionFailed || got.Code != oauth.CodeDenied {
		t.Errorf("after a denial: %+v", got)
	}
	q = w.consent(token, "their browser")
	f, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "their browser", oauth.Callback{Code: "code", Issuer: issuer})
	if err != nil || f.Status != StatusDone {
		t.Fatalf("%+v, %v", f, err)
	}
	if len(w.asked) != 1 || w.asked[0].ID != "usr_1" || w.asked[0].IP != "" && w.asked[0].IP != "203.0.113.7" {
		t.Errorf("in the name of %+v", w.asked)
	}
	done, ok := w.SessionOf(t.Context(), f, "their browser")
	if !ok || done.Status != SessionDone || done.Return() != "https://app.example.com/done?connect_session="+s.ID+"&status=done&x=1" {
		t.Errorf("%+v leads to %s", done, done.Return())
	}
	if _, ok := w.SessionOf(t.Context(), f, "another browser"); ok {
		t.Error("another browser learns of it")
	}
	if len(w.told) != 2 || w.told[0].Status != SessionFailed || w.told[1].Status != SessionDone {
		t.Errorf("told %+v", w.told)
	}
	// Once is enough.
	if _, err := w.Visit(t.Context(), token, ""); fault.CodeOf(err) != "LINK_NOT_VALID" {
		t.Errorf("the link opens again: %v", err)
	}
	if _, err := w.BeginSession(t.Context(), token, "their browser", ""); fault.CodeOf(err) != "LINK_NOT_VALID" {
		t.Errorf("and begins: %v", err)
	}
}

func TestLinkTakesAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, token := w.link(NewSession{Account: "acme"})
	if _, err := w.Enter(t.Context(), token, "203.0.113.7", origin, map[string]string{}); fault.CodeOf(err) != "NOTHING_ENTERED" {
		t.Errorf("nothing entered: %v", err)
	}
	if _, err := w.Enter(t.Context(), token, "203.0.113.7", origin, map[string]string{"other": "x"}); fault.CodeOf(err) != "AUTH_FIELD_REQUIRED" {
		t.Errorf("the wrong thing entered: %v", err)
	}
	s, err := w.Enter(t.Context(), token, "203.0.113.7", origin, map[string]string{"token": "key"})
	if err != nil || s.Status != SessionDone || len(w.entered) != 1 || w.asked[0].IP != "203.0.113.7" {
		t.Fatalf("%+v, %v, %+v", s, err, w.asked)
	}
	if _, err := w.Enter(t.Context(), token, "", origin, map[string]string{"token": "another"}); fault.CodeOf(err) != "LINK_NOT_VALID" {
		t.Errorf("a second time: %v", err)
	}
}

// A link that went to a list of people connects one account for one of them.
func TestLinkWorksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, token := w.link(NewSession{Account: "acme", ChannelID: "ach_1"})
	var (
		group sync.WaitGroup
		done  atomic.Int64
	)
	for range 12 {
		group.Go(func() {
			if _, err := w.Enter(t.Context(), token, "", origin, map[string]string{"token": "key"}); err == nil {
				done.Add(1)
			}
		})
	}
	group.Wait()
	if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || got.Status != SessionDone || done.Load() != 1 || len(w.entered) != 1 || len(w.told) != 1 {
		t.Errorf("%d done, %d stored, told %d times: %+v, %v", done.Load(), len(w.entered), len(w.told), got, err)
	}
	// The same by consent, in two browsers.
	w = newWorld(t)
	s, token = w.link(NewSession{Account: "acme", ChannelID: "ach_1"})
	first, second := w.consent(token, "first browser"), w.consent(token, "second browser")
	for binding, q := range map[string]url.Values{"first browser": first, "second browser": second} {
		group.Go(func() {
			_, _ = w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), binding, oauth.Callback{Code: "code", Issuer: issuer})
		})
	}
	group.Wait()
	if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || got.Status != SessionDone || len(w.stored) != 1 || len(w.told) != 1 {
		t.Errorf("%d stored, told %d times: %+v, %v", len(w.stored), len(w.told), got, err)
	}
}

func TestLinkEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, s Session){
		"time": func(w *world, _ Session) { w.pass(2 * time.Hour) },
		"withdrawn": func(w *world, s Session) {
			if err := w.RevokeSession(w.t.Context(), admin(), s.ID); err != nil {
				w.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s, token := w.link(NewSession{})
			q := w.consent(token, "browser") // under way when it ends
			end(w, s)
			if _, err := w.Visit(t.Context(), token, ""); fault.CodeOf(err) != "LINK_NOT_VALID" {
				t.Errorf("it opens: %v", err)
			}
			f, err := w.Callback(t.Context(), access.Actor{}, "github", q.Get("state"), "browser", oauth.Callback{Code: "code", Issuer: issuer})
			if err == nil && f.Status != StatusFailed || len(w.stored) > 0 {
				t.Errorf("a consent under way counts: %+v, %v", f, err)
			}
		})
	}
	w := newWorld(t)
	if _, err := w.Visit(t.Context(), "made up", ""); fault.CodeOf(err) != "LINK_NOT_VALID" {
		t.Errorf("made up: %v", err)
	}
}

func TestLinksNeedTheRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operator := access.Actor{Kind: access.KindUser, ID: "usr_2", Role: access.RoleOperator}
	if _, _, err := w.CreateSession(t.Context(), operator, NewSession{Connection: "github"}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("an operator makes one: %v", err)
	}
	s, token := w.link(NewSession{})
	if err := w.RevokeSession(t.Context(), operator, s.ID); !fault.Is(err, fault.Forbidden) {
		t.Errorf("an operator withdraws one: %v", err)
	}
	if _, err := w.Session(t.Context(), access.Actor{}, s.ID); err == nil {
		t.Error("nobody reads one")
	}
	var text string
	if err := w.db.QueryRow(t.Context(), `SELECT id || token_hash || label || return_url FROM connect_sessions`).Scan(&text); err != nil || strings.Contains(text, token) {
		t.Errorf("stored as %s, %v", text, err)
	}
}
