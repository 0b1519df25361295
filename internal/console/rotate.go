package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	connectionsview "switchgear/web/templates/connections"
)

// rotatePages are the course of the rotation of a credential: staged, tested, switched, old one destroyed.
type rotatePages struct{ *Console }

func (p rotatePages) routes() []route {
	const path = "/connections/{slug}/accounts/{account}/rotate"
	configure := needs(access.PermissionConfigure)
	return []route{
		{http.MethodGet, path, needs(access.PermissionSystemRead), p.show},
		{http.MethodPost, path, configure, p.stage},
		{http.MethodPost, path + "/test", configure, p.test},
		{http.MethodPost, path + "/switch", configure, p.switchTo},
		{http.MethodPost, path + "/rollback", needs(access.PermissionOperate), p.rollBack},
		{http.MethodGet, path + "/destroy", configure, p.ask(connectionsview.RotateDestroy)},
		{http.MethodPost, path + "/destroy", configure, p.destroy},
		{http.MethodGet, path + "/discard", configure, p.ask(connectionsview.RotateDiscard)},
		{http.MethodPost, path + "/discard", configure, p.discard},
	}
}

func (p rotatePages) show(w http.ResponseWriter, r *http.Request) error {
	view, err := p.view(r, connectionsview.RotateForm{}, nil)
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, connectionsview.Rotate(view))
}

// ask is the page behind a dialog.
func (p rotatePages) ask(of connectionsview.RotateStep) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		view, err := p.view(r, connectionsview.RotateForm{}, nil)
		if err != nil {
			return err
		}
		return p.render(w, r, http.StatusOK, connectionsview.RotateConfirm(view, of))
	}
}

// view is the page with what was entered in one of its forms; entered are values that are not secret.
func (p rotatePages) view(r *http.Request, form connectionsview.RotateForm, entered map[string]string) (connectionsview.RotateView, error) {
	none := connectionsview.RotateView{}
	account, err := accountParam(r)
	if err != nil {
		return none, err
	}
	pages := connectionPages(p)
	c, head, err := pages.find(r)
	if err != nil {
		return none, err
	}
	present, err := pages.account(r, c.Slug, account)
	if err != nil {
		return none, err
	}
	if present.ID == "" {
		return none, fault.New(fault.NotFound, "ACCOUNT_NOT_FOUND", "The connection has no such account.")
	}
	view := connectionsview.RotateView{
		Page: pages.frame(r, c.Name), Now: p.Now(), Head: head, Account: account, Auth: authLabel(present.AuthType), Form: form,
		InUse: credentialRow(c, present),
	}
	if !credentials.Rotatable(present.AuthType) {
		view.Refused = "A credential like this has no value that a person enters, or a person consents to it. Connect the account again, or edit its client: the tokens stay."
		return view, nil
	}
	o, err := p.Connections.Rollover(r.Context(), actor(r), c.Slug, account)
	switch {
	case err == nil:
		if view.Rotation = rotationView(&o); o.State == credentials.RolloverSwitched {
			view.Rotation.ExpiresOn = present.ExpiresOn.End()
		}
	case !fault.Is(err, fault.NotFound):
		return none, err
	}
	if entered == nil {
		entered = present.Settings
	}
	secrets := make([]string, 0, len(present.Marks))
	for key := range present.Marks {
		secrets = append(secrets, key)
	}
	if len(secrets) == 1 {
		secrets = nil // It is the one that the rotation is for, so it has to be entered.
	}
	view.Fields = authFields(present.AuthType, providers.Provider{}, entered, secrets)
	view.Expiry, view.Ends = expiryField(present.AuthType, &connectionsview.Expiry{Day: form.ExpiresOn}), string(present.ExpiresOn)
	return view, nil
}

// rotationView is how far a rotation is, nil for none.
func rotationView(o *credentials.Rollover) *connectionsview.Rotation {
	if o == nil {
		return nil
	}
	view := &connectionsview.Rotation{
		State: o.State, Revision: o.Revision, StagedAt: o.StagedAt, StagedBy: o.StagedBy, SwitchedAt: o.SwitchedAt, SwitchedBy: o.SwitchedBy, Reason: o.Reason,
		ExpiresOn: o.ExpiresOn.End(), KeptUntil: o.DestroyAt, RolledBackAt: o.RolledBackAt, RolledBackBy: o.RolledBackBy, DestroyedAt: o.DestroyedAt, DestroyedBy: o.DestroyedBy,
	}
	if t := o.Test; t != nil {
		outcome := runtime.Outcome(t.Outcome)
		shown := &connectionsview.RotationTest{Passed: t.Passed, Request: t.Request, At: t.At, By: t.By, Answer: "status " + strconv.Itoa(t.Status)}
		if t.Status == 0 {
			shown.Answer = strings.ToLower(outcome.Label())
		}
		shown.Message, shown.Hint = testMessage(runtime.ProbeResult{Status: t.Status, Outcome: outcome, Problem: t.Problem}, t.Passed)
		if outcome == runtime.OutcomeUnauthenticated {
			shown.Hint = "If it is mistyped, discard it and stage the right one. A service may take a moment to know a new one."
		}
		view.Test = shown
	}
	return view
}

// step takes one step of a rotation, and leads back to its page, or shows what is wrong beside the form.
func (p rotatePages) step(w http.ResponseWriter, r *http.Request, of connectionsview.RotateStep, do func(form url.Values, slug, account string, revision int64) (done string, err error)) error {
	form, err := parseForm(w, r)
	if err != nil {
		return err
	}
	account, err := accountParam(r)
	if err != nil {
		return err
	}
	revision := 0
	if of != connectionsview.RotateStage { // that begins one
		if revision, err = shownWith(form, "revision"); err != nil {
			return err
		}
	}
	done, err := do(form, chi.URLParam(r, "slug"), account, int64(revision))
	if fault.Is(err, fault.PreconditionFailed) {
		err = fault.New(fault.Conflict, fault.CodeOf(err), "Somebody took a step in the meantime. This is how it is now.")
	}
	part := of == connectionsview.RotateTest && asksFor(r, connectionsview.RotateRegion)
	if err == nil && !part {
		if done != "" {
			p.Access.PutFlash(r.Context(), "ok", done)
		}
		seeOther(w, r, "/connections/"+url.PathEscape(chi.URLParam(r, "slug"))+"/accounts/"+url.PathEscape(account)+"/rotate")
		return nil
	}
	shown, status, entered := connectionsview.RotateForm{}, http.StatusOK, map[string]string(nil)
	if err != nil {
		messages, code, ok := formErrors(r, err)
		if !ok {
			return err
		}
		status = code
		shown = connectionsview.RotateForm{
			Of: of, Errors: messages, Path: form.Get("path"), Keep: form.Get("keep"), Reason: form.Get("reason"), Anyway: form.Get("anyway") != "",
		}
		if of == connectionsview.RotateStage {
			entered, shown.ExpiresOn = authValues(form), form.Get("expires_on")
		}
	}
	view, err := p.view(r, shown, entered)
	if err != nil {
		return err
	}
	switch {
	case part:
		return p.render(w, r, status, connectionsview.RotateState(view))
	case of == connectionsview.RotateDestroy, of == connectionsview.RotateDiscard:
		return p.render(w, r, status, connectionsview.RotateConfirm(view, of))
	}
	return p.render(w, r, status, connectionsview.Rotate(view))
}

func (p rotatePages) stage(w http.ResponseWriter, r *http.Request) error {
	return p.step(w, r, connectionsview.RotateStage, func(form url.Values, slug, account string, _ int64) (string, error) {
		values := authValues(form)
		present, err := connectionPages(p).account(r, slug, account)
		if err != nil {
			return "", err
		}
		// A setting that was emptied is to be empty; a secret that was left out stays.
		if t, err := authtype.Lookup(present.AuthType); err == nil {
			for _, f := range t.Fields() {
				if name := "auth." + f.Key; !f.Secret && form.Has(name) {
					values[f.Key] = form.Get(name)
				}
			}
		}
		done := "The new credential is staged. Calls go on with the one in use."
		if present.State != credentials.StateActive {
			done = "The new credential is staged. Calls are refused until it is switched to."
		}
		_, err = p.Connections.Stage(r.Context(), actor(r), slug, account, connections.Auth{Fields: values, ExpiresOn: expiresOn(form, "")}, form.Get("reason"))
		return done, err
	})
}

func (p rotatePages) test(w http.ResponseWriter, r *http.Request) error {
	return p.step(w, r, connectionsview.RotateTest, func(form url.Values, slug, account string, revision int64) (string, error) {
		_, _, err := p.Connections.TestStaged(r.Context(), actor(r), slug, account, strings.TrimSpace(form.Get("path")), revision)
		return "", err // The page says how it ended.
	})
}

func (p rotatePages) switchTo(w http.ResponseWriter, r *http.Request) error {
	return p.step(w, r, connectionsview.RotateSwitch, func(form url.Values, slug, account string, revision int64) (string, error) {
		keep, err := time.ParseDuration(firstOf(form.Get("keep"), connectionsview.DefaultKeep))
		if err != nil {
			return "", fault.Field("INVALID_KEEP", "keep", "Choose how long the old credential is kept.")
		}
		_, err = p.Connections.SwitchStaged(r.Context(), actor(r), slug, account, credentials.Switchover{
			Revision: revision, Keep: keep, Anyway: form.Get("anyway") != "", Reason: strings.TrimSpace(form.Get("reason")),
		})
		return "The new credential is in use from the next call on. The old one is kept.", err
	})
}

func (p rotatePages) rollBack(w http.ResponseWriter, r *http.Request) error {
	return p.step(w, r, connectionsview.RotateBack, func(form url.Values, slug, account string, revision int64) (string, error) {
		_, err := p.Connections.RollBackStaged(r.Context(), actor(r), slug, account, form.Get("reason"), revision)
		return "The old credential is in use again. The new one is staged.", err
	})
}

func (p rotatePages) destroy(w http.ResponseWriter, r *http.Request) error {
	return p.step(w, r, connectionsview.RotateDestroy, func(form url.Values, slug, account string, revision int64) (string, error) {
		why, err := reason(form)
		if err == nil {
			_, err = p.Connections.DestroyOld(r.Context(), actor(r), slug, account, why, revision)
		}
		return "The old credential is destroyed. End it at the service as well.", err
	})
}

func (p rotatePages) discard(w http.ResponseWriter, r *http.Request) error {
	return p.step(w, r, connectionsview.RotateDiscard, func(form url.Values, slug, account string, revision int64) (string, error) {
		why, err := reason(form)
		if err == nil {
			err = p.Connections.DiscardStaged(r.Context(), actor(r), slug, account, why, revision)
		}
		return "The staged credential is discarded. The one in use stays.", err
	})
}
