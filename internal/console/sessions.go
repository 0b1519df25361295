package console

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	accessview "switchgear/web/templates/access"
)

type sessionPages struct{ *Console }

func (p sessionPages) routes() []route {
	return []route{
		{http.MethodGet, "/sessions", signedIn(), p.list},
		{http.MethodPost, "/sessions/revoke-others", signedIn(), p.revokeOthers},
		{http.MethodPost, "/sessions/{id}/revoke", signedIn(), p.revoke},
	}
}

func (p sessionPages) list(w http.ResponseWriter, r *http.Request) error {
	sessions, err := p.Access.Sessions(r.Context(), actor(r), actor(r).ID)
	if err != nil {
		return err
	}
	view := accessview.SessionsView{Page: p.page(r, "Your sessions", "profile", "sessions"), Now: p.Now()}
	for _, s := range sessions {
		view.Rows = append(view.Rows, sessionRow(s, actor(r)))
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, accessview.SessionsTable(view))
	}
	return p.render(w, r, http.StatusOK, accessview.Sessions(view))
}

// revoke ends one session: one's own, or with the permission someone else's.
func (p sessionPages) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	if err := p.Access.RevokeSession(r.Context(), actor(r), id); err != nil {
		return err
	}
	if id == actor(r).SessionID {
		seeOther(w, r, "/sign-in?after=sign-out")
		return nil
	}
	p.Access.PutFlash(r.Context(), "ok", "The session has ended.")
	target := "/sessions"
	if from := form.Get("from"); from != "" {
		target = localPath(from)
	}
	seeOther(w, r, target)
	return nil
}

func (p sessionPages) revokeOthers(w http.ResponseWriter, r *http.Request) error {
	n, err := p.Access.RevokeOtherSessions(r.Context(), actor(r))
	if err != nil {
		return err
	}
	switch n {
	case 0:
		p.Access.PutFlash(r.Context(), "info", "You have no other session.")
	case 1:
		p.Access.PutFlash(r.Context(), "ok", "Your other session has ended.")
	default:
		p.Access.PutFlash(r.Context(), "ok", fmt.Sprintf("Your %d other sessions have ended.", n))
	}
	seeOther(w, r, "/sessions")
	return nil
}

func sessionRow(s access.Session, a access.Actor) accessview.SessionRow {
	return accessview.SessionRow{
		ID: s.ID, IP: s.IP, UserAgent: s.UserAgent, Browser: browserName(s.UserAgent), Current: s.ID == a.SessionID,
		CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt,
	}
}

// browserName shortens a User-Agent to what a person recognises. The order matters: every browser claims
// to be the ones before it.
func browserName(userAgent string) string {
	find := func(known [][2]string) string {
		for _, k := range known {
			if strings.Contains(userAgent, k[0]) {
				return k[1]
			}
		}
		return ""
	}
	browser := find([][2]string{
		{"Edg/", "Edge"},
		{"OPR/", "Opera"},
		{"Firefox/", "Firefox"},
		{"Chromium/", "Chromium"},
		{"HeadlessChrome/", "Chrome (headless)"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
	})
	system := find([][2]string{
		{"Android", "Android"},
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Windows", "Windows"},
		{"Mac OS X", "macOS"},
		{"Linux", "Linux"},
	})
	switch {
	case browser == "" && userAgent == "":
		return "Unknown browser"
	case browser == "":
		return userAgent
	case system == "":
		return browser
	}
	return browser + " on " + system
}
