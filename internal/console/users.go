package console

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	accessview "switchgear/web/templates/access"
)

type userPages struct{ *Console }

func (p userPages) routes() []route {
	read, write := needs(access.PermissionUsersRead), needs(access.PermissionUsersWrite)
	return []route{
		{http.MethodGet, "/users", read, p.list},
		{http.MethodGet, "/users/{id}", read, p.show},
		{http.MethodPost, "/users/{id}/role", write, p.changeRole},
		{http.MethodGet, "/users/{id}/disable", write, p.confirmDisable},
		{http.MethodPost, "/users/{id}/disable", write, p.disable},
		{http.MethodGet, "/users/{id}/enable", write, p.confirmEnable},
		{http.MethodPost, "/users/{id}/enable", write, p.enable},
	}
}

func (p userPages) list(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page, limit := paging(q)
	query := access.UserQuery{
		Search: q.Get("q"), Role: access.Role(q.Get("role")), Status: q.Get("status"), Sort: q.Get("sort"), Page: page, Limit: limit,
	}
	result, err := p.Access.Users(r.Context(), actor(r), query)
	if err != nil {
		return err
	}
	view := accessview.UsersView{
		Page: p.page(r, "Users", "users", "users", "invitations"), Now: p.Now(), Total: result.Total, Number: page, Limit: limit,
		Search: query.Search, Role: string(query.Role), Status: query.Status, Sort: query.Sort,
		Roles: roleOptions(access.Roles()), CanWrite: actor(r).Role.Can(access.PermissionUsersWrite),
	}
	for _, u := range result.Users {
		view.Rows = append(view.Rows, userRow(u, actor(r)))
	}
	invitations, err := p.Access.Invitations(r.Context(), actor(r))
	if err != nil {
		return err
	}
	for _, i := range invitations {
		if i.Status(p.Now()) == "pending" {
			view.PendingInvitations++
		}
	}
	if isFragment(r) {
		return p.render(w, r, http.StatusOK, accessview.UsersTable(view))
	}
	return p.render(w, r, http.StatusOK, accessview.Users(view))
}

func (p userPages) show(w http.ResponseWriter, r *http.Request) error {
	return p.showWith(w, r, http.StatusOK, roleForm{})
}

// roleForm is what was entered in the form that changes a role, and what is wrong with it.
type roleForm struct {
	role, reason string
	problems     accessview.Errors
}

func (p userPages) showWith(w http.ResponseWriter, r *http.Request, status int, form roleForm) error {
	u, err := p.Access.User(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	sessions, err := p.Access.Sessions(r.Context(), actor(r), u.ID)
	if err != nil {
		return err
	}
	view := accessview.UserView{
		Page: p.page(r, u.Email, "users"), Now: p.Now(), User: userRow(u, actor(r)), RoleText: u.Role.Description(),
		PasswordChangedAt: u.PasswordChangedAt, UpdatedAt: u.UpdatedAt, DisabledAt: u.DisabledAt,
		ChosenRole: form.role, Reason: form.reason, Errors: form.problems,
	}
	view.Roles, view.WhyNot = changeableRoles(actor(r), u)
	view.CanChange = view.WhyNot == ""
	for _, s := range sessions {
		view.Sessions = append(view.Sessions, sessionRow(s, actor(r)))
	}
	return p.render(w, r, status, accessview.User(view))
}

// changeableRoles says which roles the actor may give to u, or why none.
func changeableRoles(a access.Actor, u access.User) (roles []accessview.Option, whyNot string) {
	switch {
	case !a.Role.Can(access.PermissionUsersWrite):
		return nil, "Your role may look at users and not change them."
	case a.ID == u.ID:
		return nil, "Nobody changes their own role or disables themselves: ask another owner or admin."
	case u.Role == access.RoleOwner && a.Role != access.RoleOwner:
		return nil, "Only an owner changes an owner."
	}
	return roleOptions(grantableRoles(a)), ""
}

func (p userPages) changeRole(w http.ResponseWriter, r *http.Request) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	role, err := access.ParseRole(form.Get("role"))
	var why string
	if err == nil {
		why, err = reason(form)
	}
	if err == nil {
		err = p.Access.ChangeRole(r.Context(), actor(r), id, role, why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.showWith(w, r, status, roleForm{role: form.Get("role"), reason: form.Get("reason"), problems: messages})
	}
	p.Access.PutFlash(r.Context(), "ok", "The role is now "+string(role)+". Their sessions have ended; they sign in again.")
	seeOther(w, r, "/users/"+id)
	return nil
}

func (p userPages) confirmDisable(w http.ResponseWriter, r *http.Request) error {
	return p.confirm(w, r, http.StatusOK, disableQuestion(), "", nil)
}

func (p userPages) confirmEnable(w http.ResponseWriter, r *http.Request) error {
	return p.confirm(w, r, http.StatusOK, enableQuestion(), "", nil)
}

// question is what a confirmation asks; its texts are shared by the dialog and the page.
type question struct {
	verb, consequence, button string
	danger                    bool
}

func disableQuestion() question {
	return question{verb: "Disable", button: "Disable user", danger: true, consequence: accessview.DisableConsequence}
}

func enableQuestion() question {
	return question{verb: "Enable", button: "Enable user", consequence: accessview.EnableConsequence}
}

func (p userPages) confirm(w http.ResponseWriter, r *http.Request, status int, q question, reason string, problems accessview.Errors) error {
	u, err := p.Access.User(r.Context(), actor(r), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	title := q.verb + " " + u.Email
	return p.render(w, r, status, accessview.Confirm(accessview.ConfirmView{
		Page: p.page(r, title, "users"), Title: title + "?", Consequence: q.consequence, Confirm: q.button,
		Action: r.URL.Path, Cancel: "/users/" + u.ID, Danger: q.danger, NeedsReason: true, Reason: reason, Errors: problems,
	}))
}

func (p userPages) disable(w http.ResponseWriter, r *http.Request) error {
	return p.decide(w, r, disableQuestion(), p.Access.DisableUser, "The user is disabled and signed out everywhere.")
}

func (p userPages) enable(w http.ResponseWriter, r *http.Request) error {
	return p.decide(w, r, enableQuestion(), p.Access.EnableUser, "The user is enabled.")
}

// decide carries out what a confirmation asked, or asks again with what is wrong.
func (p userPages) decide(w http.ResponseWriter, r *http.Request, q question, do decision, done string) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "id")
	why, err := reason(form)
	if err == nil {
		err = do(r.Context(), actor(r), id, why)
	}
	if err != nil {
		messages, status, ok := formErrors(r, err)
		if !ok {
			return err
		}
		return p.confirm(w, r, status, q, form.Get("reason"), messages)
	}
	p.Access.PutFlash(r.Context(), "ok", done)
	seeOther(w, r, "/users/"+id)
	return nil
}

// decision is a change of one thing that asks for a reason.
type decision func(ctx context.Context, a access.Actor, id, reason string) error

func userRow(u access.User, a access.Actor) accessview.UserRow {
	return accessview.UserRow{
		ID: u.ID, Email: u.Email, Name: u.Name, Role: string(u.Role), Self: u.ID == a.ID, Disabled: !u.DisabledAt.IsZero(),
		CreatedAt: u.CreatedAt, LastSignInAt: u.LastSignInAt,
	}
}

func roleOptions(roles []access.Role) []accessview.Option {
	out := make([]accessview.Option, 0, len(roles))
	for _, role := range roles {
		out = append(out, accessview.Option{Value: string(role), Label: string(role), Hint: role.Description()})
	}
	return out
}

// grantableRoles are the roles the actor may give away: only an owner makes owners.
func grantableRoles(a access.Actor) []access.Role {
	var out []access.Role
	for _, role := range access.Roles() {
		if role != access.RoleOwner || a.Role == access.RoleOwner {
			out = append(out, role)
		}
	}
	return out
}
