package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/connect"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
	connectview "switchgear/web/templates/connect"
	connectionsview "switchgear/web/templates/connections"
)

// linkLives are how long a link may be valid, as they are offered.
func linkLives() []connectview.Choice {
	return []connectview.Choice{{Value: "1h", Label: "1 hour"}, {Value: "24h", Label: "1 day"}, {Value: "168h", Label: "1 week"}}
}

func (p connectPages) links(w http.ResponseWriter, r *http.Request) error {
	return p.linksWith(w, r, http.StatusOK, connectview.LinksView{Account: "default", Life: "24h"})
}

// linksWith shows the links of a connection; view holds what was entered, and a link that was just made.
func (p connectPages) linksWith(w http.ResponseWriter, r *http.Request, status int, view connectview.LinksView) error {
	c, head, err := connectionPages(p).find(r)
	if err != nil {
		return err
	}
	page, limit := paging(r.URL.Query())
	sessions, total, err := p.Connect.Sessions(r.Context(), actor(r), c.Slug, page, limit)
	if err != nil {
		return err
	}
	view.Page, view.Now, view.Slug, view.Name = p.page(r, "Connect links of "+c.Name, "connections"), p.Now(), c.Slug, c.Name
	view.CanConfigure, view.Lives, view.Number, view.Limit, view.Total = head.CanConfigure, linkLives(), page, limit, total
	for _, s := range sessions {
		view.Rows = append(view.Rows, connectview.Link{
			ID: s.ID, Account: s.Account, Label: s.Label, Status: s.Status, Problem: s.Problem, By: s.Actor.Name,
			CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, EndedAt: s.EndedAt,
		})
	}
	w.Header().Set("Cache-Control", "no-store")
	return p.render(w, r, status, connectview.Links(view))
}

func (p connectPages) createLink(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	entered := connectview.LinksView{Account: form.Get("account"), Label: form.Get("label"), Life: form.Get("life")}
	life, err := time.ParseDuration(form.Get("life"))
	if err != nil {
		life = 0
	}
	made, link, err := p.Connect.CreateSession(r.Context(), actor(r), connect.NewSession{
		Connection: chi.URLParam(r, "slug"), Account: entered.Account, Label: entered.Label, Life: life,
	})
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		entered.Errors = messages
		return p.linksWith(w, r, status, entered)
	}
	return p.linksWith(w, r, http.StatusOK, connectview.LinksView{Account: "default", Life: "24h", Made: link, MadeFor: made.Account, Older: len(made.Older)})
}

func (p connectPages) revokeLink(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseForm(w, r); err != nil {
		return err
	}
	if err := p.Connect.RevokeSession(r.Context(), actor(r), chi.URLParam(r, "id")); err != nil {
		return err
	}
	p.Access.PutFlash(r.Context(), "ok", "The link is withdrawn.")
	seeOther(w, r, "/connections/"+url.PathEscape(chi.URLParam(r, "slug"))+"/links")
	return nil
}

// private keeps the address of a link from being kept or told.
func private(w http.ResponseWriter) {
	w.Header().Set("Referrer-Policy", "same-origin") // Our own form has to say where it comes from.
	w.Header().Set("Cache-Control", "no-store")
}

// notVisited shows why a link cannot be used to the person who followed it, in words for a guest.
func (p connectPages) notVisited(w http.ResponseWriter, r *http.Request, v connect.Visit, err error) error {
	if fault.CodeOf(err) != "AUTH_FIELD_REQUIRED" || fault.WantsJSON(r) {
		return p.gone(w, r, err)
	}
	// A secret of the client was entered for another server. That is for who sent the link to mend.
	view := p.endedView(r, v.Session, v.Name)
	view.Status, view.Step, view.Code = connect.SessionFailed, oauth.StepAuthorize, oauth.CodeClientServer
	return p.render(w, r, http.StatusBadRequest, connectview.Ended(view))
}

// gone shows a link that has ended to the person who followed it. They have no business with the console, so
// they are not asked to sign in there.
func (p connectPages) gone(w http.ResponseWriter, r *http.Request, err error) error {
	if fault.CodeOf(err) != connect.CodeLinkNotValid || fault.WantsJSON(r) {
		return err
	}
	return p.render(w, r, http.StatusNotFound, connectview.Gone(connectview.GoneView{Page: p.bare(r, "Connect link"), Why: fault.PublicMessage(err)}))
}

func (p connectPages) visit(w http.ResponseWriter, r *http.Request) error {
	private(w)
	v, err := p.Connect.Visit(r.Context(), chi.URLParam(r, "token"), clientIP(r))
	if err != nil {
		return p.notVisited(w, r, v, err)
	}
	return p.visitWith(w, r, http.StatusOK, v, "", nil)
}

func (p connectPages) visitWith(w http.ResponseWriter, r *http.Request, status int, v connect.Visit, leave string, problems map[string]string) error {
	view := connectview.VisitView{
		Page: p.bare(r, "Connect "+v.Name), Now: p.Now(), Token: chi.URLParam(r, "token"), Name: v.Name, Account: v.Account, Label: v.Label,
		By: v.Actor.Name, ExpiresAt: v.ExpiresAt, Leave: leave, Interactive: v.Interactive, Errors: problems, Problem: v.Problem, Code: v.Code,
	}
	if v.Interactive {
		view.Server = hostOf(firstOf(v.Client.Config.AuthorizeURL, v.Client.Config.DeviceURL))
		view.Scopes = v.Client.Config.Scopes
		if v.Scopes != nil {
			view.Scopes = v.Scopes
		}
		return p.render(w, r, status, connectview.Visit(view))
	}
	t, err := authtype.Lookup(v.Connection.AuthType)
	if err != nil {
		return err
	}
	if len(t.Fields()) == 0 {
		return fault.New(fault.Conflict, "NOTHING_TO_ENTER", "This connection needs no credential.")
	}
	view.Server, view.Origin = hostOf(v.Connection.BaseURL), credentials.OriginOf(v.Connection.BaseURL)
	for _, f := range entered(t, v.Connection) {
		view.Fields = append(view.Fields, connectionsview.AuthField{Name: f.Key, Label: f.Label, Type: f.Type, Help: f.Help, Required: f.Required, Secret: f.Secret})
	}
	return p.render(w, r, status, connectview.Visit(view))
}

// entered are the fields that the person of a link fills in: what is secret, and what the connection does
// not say. How a credential is sent is not theirs to decide.
func entered(t authtype.Type, c connections.Connection) []authtype.Field {
	return slices.DeleteFunc(slices.Clone(t.Fields()), func(f authtype.Field) bool {
		return !f.Secret && (c.AuthFields[f.Key] != "" && f.Key != "username" || !f.Required)
	})
}

func (p connectPages) enter(w http.ResponseWriter, r *http.Request) error {
	private(w)
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	token := chi.URLParam(r, "token")
	v, err := p.Connect.Visit(r.Context(), token, clientIP(r))
	if err != nil {
		return p.notVisited(w, r, v, err)
	}
	if v.Interactive {
		return p.beginLink(w, r, v, token)
	}
	t, err := authtype.Lookup(v.Connection.AuthType)
	if err != nil {
		return err
	}
	values := map[string]string{}
	for _, f := range entered(t, v.Connection) {
		if text := form.Get("auth." + f.Key); text != "" {
			values[f.Key] = text
		}
	}
	session, err := p.Connect.Enter(r.Context(), token, clientIP(r), form.Get("origin"), values)
	if fault.CodeOf(err) == connect.CodeLinkNotValid {
		return p.gone(w, r, err)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.visitWith(w, r, status, v, "", messages)
	}
	if target := session.Return(); target != "" {
		http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // G710: chosen by who made the link, and checked then.
		return nil
	}
	return p.render(w, r, http.StatusOK, connectview.Ended(p.endedView(r, session, v.Name)))
}

// beginLink starts the consent of a link, and shows the way to the authorization server.
func (p connectPages) beginLink(w http.ResponseWriter, r *http.Request, v connect.Visit, token string) error {
	binding := p.binding(r)
	if binding == "" {
		binding = connect.NewBinding()
	}
	f, err := p.Connect.BeginSession(r.Context(), token, binding, clientIP(r))
	if fault.CodeOf(err) == connect.CodeLinkNotValid {
		return p.gone(w, r, err)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.visitWith(w, r, status, v, "", messages)
	}
	p.keepBinding(w, binding)
	if f.Grant == authtype.GrantDeviceCode {
		seeOther(w, r, connectview.EndedPath(f.ID))
		return nil
	}
	leave, err := p.Connect.Leave(r.Context(), actor(r), f.ID, binding)
	if err != nil {
		return err
	}
	return p.visitWith(w, r, http.StatusOK, v, leave, nil)
}

// leaveLink sends the browser on from the callback: back to where the link came from, or to a page of ours.
func (p connectPages) leaveLink(w http.ResponseWriter, r *http.Request, f connect.Flow) {
	if session, ok := p.Connect.SessionOf(r.Context(), f, p.binding(r)); ok {
		if target := session.Return(); target != "" {
			http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // G710: chosen by who made the link, and checked then.
			return
		}
	}
	seeOther(w, r, connectview.EndedPath(f.ID))
}

// visited shows what became of the consent of a link, to the browser that gave it.
func (p connectPages) visited(w http.ResponseWriter, r *http.Request) error {
	private(w)
	binding := p.binding(r)
	f, err := p.Connect.Poll(r.Context(), actor(r), chi.URLParam(r, "id"), binding)
	if err != nil {
		return fault.New(fault.NotFound, "", "There is no page at this address.")
	}
	session, ok := p.Connect.SessionOf(r.Context(), f, binding)
	if !ok {
		return fault.New(fault.NotFound, "", "There is no page at this address.")
	}
	view := p.endedView(r, session, f.Slug)
	view.FlowID, view.Status, view.Step, view.Code, view.Problem = f.ID, f.Status, f.Step, f.Code, f.Problem
	view.UserCode, view.VerificationURL, view.CompleteURL, view.Interval, view.ExpiresAt = f.UserCode, f.VerificationURL, f.CompleteURL, f.Interval, f.ExpiresAt
	view.Server = f.Server
	if asksFor(r, connectview.Region) {
		return p.render(w, r, http.StatusOK, connectview.EndedState(view))
	}
	return p.render(w, r, http.StatusOK, connectview.Ended(view))
}

func (p connectPages) endedView(r *http.Request, s connect.Session, name string) connectview.EndedView {
	view := connectview.EndedView{
		Page: p.bare(r, "Connect "+name), Now: p.Now(), Name: name, Account: s.Account, Status: s.Status, Code: s.Code, Problem: s.Problem,
		Return: s.Return(), Again: s.Status != connect.SessionDone,
	}
	view.ReturnHost = hostOf(strings.TrimSpace(s.ReturnURL))
	return view
}
