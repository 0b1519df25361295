package console

import (
	"net/http"

	"switchgear/internal/fault"
	aboutview "switchgear/web/templates/about"
	accessview "switchgear/web/templates/access"
	alertsview "switchgear/web/templates/alerts"
	apidocsview "switchgear/web/templates/apidocs"
	auditview "switchgear/web/templates/audit"
	breakersview "switchgear/web/templates/breakers"
	callsview "switchgear/web/templates/calls"
	checklistview "switchgear/web/templates/checklist"
	connectview "switchgear/web/templates/connect"
	connectionsview "switchgear/web/templates/connections"
	credentialsview "switchgear/web/templates/credentials"
	errorsview "switchgear/web/templates/errors"
	"switchgear/web/templates/gallery"
	"switchgear/web/templates/layout"
	overviewview "switchgear/web/templates/overview"
	revealview "switchgear/web/templates/reveal"
	rotationview "switchgear/web/templates/rotation"
)

// galleryPages show every component and page state; they exist in development mode only.
type galleryPages struct{ *Console }

func (p galleryPages) routes() []route {
	if !p.cfg.Dev {
		return nil
	}
	return []route{{http.MethodGet, gallery.Path, public(), p.show}}
}

func (p galleryPages) show(w http.ResponseWriter, r *http.Request) error {
	//nolint:contextcheck // Components get their context when they are rendered.
	groups := gallery.Groups(gallery.States(), overviewview.Gallery(), connectionsview.Gallery(), connectview.Gallery(), credentialsview.Gallery(), breakersview.Gallery(), alertsview.Gallery(), callsview.Gallery(), checklistview.Gallery(), accessview.Gallery(), auditview.Gallery(), rotationview.Gallery(), revealview.Gallery(), aboutview.Gallery(), apidocsview.Gallery(), errorsview.Gallery())
	q := r.URL.Query()
	if name := q.Get("state"); name != "" {
		state, ok := gallery.Find(groups, q.Get("group"), name)
		if !ok {
			return fault.New(fault.NotFound, "", "The gallery has no such state.")
		}
		return p.render(w, r.WithContext(layout.WithAssets(r.Context(), p.Assets)), http.StatusOK, state.View)
	}
	page := p.page(r, "Gallery", "")
	ctx := layout.WithAssets(r.Context(), p.Assets)
	//nolint:contextcheck // The component gets its context when it is rendered.
	return p.render(w, r.WithContext(ctx), http.StatusOK, gallery.Page(gallery.View{Page: page, Groups: groups, Current: q.Get("group")}))
}
