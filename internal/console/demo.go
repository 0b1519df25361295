package console

import (
	"context"
	"net/http"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	accessview "switchgear/web/templates/access"
	overviewview "switchgear/web/templates/overview"
)

// Demonstration is what shows a console at work; *demo.Service is one.
type Demonstration interface {
	On() bool
	Share() (connections, keys int)
	Load(ctx context.Context, a access.Actor) error
	Remove(ctx context.Context, a access.Actor) error
}

type demoPages struct{ *Console }

func (p demoPages) routes() []route {
	configure := needs(access.PermissionConfigure)
	return []route{
		{http.MethodPost, overviewview.DemoLoad, configure, p.load},
		{http.MethodGet, overviewview.DemoRemove, configure, p.confirm},
		{http.MethodPost, overviewview.DemoRemove, configure, p.remove},
	}
}

// demo is what the overview says about the demonstration.
func (p overviewPages) demo(a access.Actor) overviewview.Demo {
	may := a.Role.Can(access.PermissionConfigure) && a.Role.Can(access.PermissionKeysWrite)
	return overviewview.Demo{On: p.Demo.On(), May: may}
}

func (p demoPages) load(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseForm(w, r); err != nil {
		return err
	}
	err := p.Demo.Load(r.Context(), actor(r))
	switch {
	case fault.CodeOf(err) == "DEMO_ON" && !fault.WantsJSON(r): // the button was pressed twice
	case err != nil:
		return err
	default:
		p.Access.PutFlash(r.Context(), "ok", "The demonstration is running. Its first calls arrive now.")
	}
	seeOther(w, r, "/")
	return nil
}

func (p demoPages) confirm(w http.ResponseWriter, r *http.Request) error {
	if !p.Demo.On() {
		return fault.New(fault.NotFound, "", "The demonstration is not running.")
	}
	return p.render(w, r, http.StatusOK, accessview.Confirm(accessview.ConfirmView{
		Page: p.page(r, "Remove the demonstration", "overview"), Title: overviewview.DemoQuestion, Consequence: overviewview.DemoConsequence,
		Confirm: overviewview.DemoConfirm, Action: overviewview.DemoRemove, Cancel: "/", Danger: true,
	}))
}

func (p demoPages) remove(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseForm(w, r); err != nil {
		return err
	}
	if err := p.Demo.Remove(r.Context(), actor(r)); err != nil {
		return err
	}
	p.Access.PutFlash(r.Context(), "ok", "The demonstration is removed.")
	seeOther(w, r, "/")
	return nil
}
