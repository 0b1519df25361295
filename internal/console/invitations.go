package console

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	accessview "switchgear/web/templates/access"
)

type invitationPages struct{ *Console }

func (p invitationPages) routes() []route {
	read, write := needs(access.PermissionUsersRead), needs(access.PermissionUsersWrite)
	return []route{
		{http.MethodGet, "/invitations", read, p.list},
		{http.MethodGet, "/invitations/new", write, p.form},
		{http.MethodPost, "/invitations/new", write, p.invite},
		{http.MethodGet, "/invitations/{id}/revoke", write, p.confirmRevoke},
		{http.MethodPost, "/invitations/{id}/revoke", write, p.revoke},
		{http.MethodGet, "/accept", public(), p.acceptForm},
		{http.MethodPost, "/accept", public(), p.accept},
	}
}

func (p invitationPages) list(w http.ResponseWriter, r *http.Request) error {
	invitations, err := p.Access.Invitations(r.Context(), actor(r))
	if err != nil {
		return err
	}
	view := accessview.InvitationsView{
		Page: p.page(r, "Invitations", "users", "invitations"), Now: p.Now(),
		CanWrite: actor(r).Role.Can(access.PermissionUsersWrite),
	}
	for _, i := range invitations {
		view.Rows = append(view.Rows, accessview.InvitationRow{
			ID: i.ID, Email: i.Email, Role: string(i.Role), InvitedBy: i.InvitedBy, Status: i.Status(p.Now()),
			CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt,
		})
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, accessview.InvitationsTable(view))
	}
	return p.render(w, r, http.StatusOK, accessview.Invitations(view))
}

func (p invitationPages) form(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, accessview.Invite(p.inviteView(r)))
}

func (p invitationPages) inviteView(r *http.Request) accessview.InviteView {
	return accessview.InviteView{
		Page: p.page(r, "Invite someone", "users"), Role: string(access.RoleViewer), Roles: roleOptions(grantableRoles(actor(r))),
		Once: p.once.issue(),
	}
}

func (p invitationPages) invite(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	if err := p.once.spend(form.Get("once")); err != nil {
		return err
	}
	view := p.inviteView(r)
	view.Email, view.Role = form.Get("email"), form.Get("role")
	role, err := access.ParseRole(view.Role)
	var invitation access.Invitation
	var token string
	if err == nil {
		invitation, token, err = p.Access.Invite(r.Context(), actor(r), view.Email, role)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view.Errors = messages
		return p.render(w, r, status, accessview.Invite(view))
	}
	return p.render(w, r, http.StatusCreated, accessview.Invited(accessview.InvitedView{
		Page: p.page(r, "Invitation ready", "users"), Now: p.Now(), Email: invitation.Email, Role: string(invitation.Role),
		Link: p.cfg.BaseURL() + "/accept?token=" + url.QueryEscape(token), ExpiresAt: invitation.ExpiresAt,
	}))
}

func (p invitationPages) confirmRevoke(w http.ResponseWriter, r *http.Request) error {
	i, err := p.Access.Invitation(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	title := "Revoke the invitation of " + i.Email
	return p.render(w, r, http.StatusOK, accessview.Confirm(accessview.ConfirmView{
		Page: p.page(r, title, "users"), Title: title + "?", Consequence: accessview.RevokeInvitationConsequence,
		Confirm: "Revoke invitation", Action: r.URL.Path, Cancel: "/invitations", Danger: true,
	}))
}

func (p invitationPages) revoke(w http.ResponseWriter, r *http.Request) error {
	if err := p.Access.RevokeInvitation(r.Context(), actor(r), chi.URLParam(r, "id")); err != nil {
		return err
	}
	p.Access.PutFlash(r.Context(), "ok", "The invitation is revoked; its link no longer works.")
	seeOther(w, r, "/invitations")
	return nil
}

// acceptView looks the invitation up; a link that is used, revoked or too old is an error page.
func (p invitationPages) acceptView(r *http.Request, token string) (accessview.AcceptView, error) {
	i, err := p.Access.InvitationByToken(r.Context(), token)
	if err != nil {
		return accessview.AcceptView{}, err
	}
	return accessview.AcceptView{
		Page: p.bare(r, "Join Switchgear"), Token: token, Email: i.Email, Role: string(i.Role), Sender: i.InvitedBy,
		ExpiresAt: i.ExpiresAt, Now: p.Now(), MinPassword: minPassword,
	}, nil
}

func (p invitationPages) acceptForm(w http.ResponseWriter, r *http.Request) error {
	view, err := p.acceptView(r, r.URL.Query().Get("token"))
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, accessview.Accept(view))
}

func (p invitationPages) accept(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	view, err := p.acceptView(r, form.Get("token"))
	if err != nil {
		return err
	}
	view.Name = form.Get("name")
	var user access.User
	if form.Get("password") != form.Get("repeat") {
		err = fault.Field("PASSWORDS_DIFFER", "repeat", "The two passwords differ.")
	} else {
		user, err = p.Access.AcceptInvitation(r.Context(), origin(r), view.Token, access.NewUser{
			Name: view.Name, Password: telemetry.NewSecret(form.Get("password")),
		})
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		view.Errors = messages
		return p.render(w, r, status, accessview.Accept(view))
	}
	if err := p.Access.StartSession(r.Context(), origin(r), user); err != nil {
		return err
	}
	p.Access.PutFlash(r.Context(), "ok", "Welcome. You are signed in as "+user.Email+".")
	seeOther(w, r, "/")
	return nil
}
