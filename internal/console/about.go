package console

import (
	"net/http"

	"switchgear/internal/access"
	aboutview "switchgear/web/templates/about"
)

type aboutPages struct{ *Console }

func (p aboutPages) routes() []route {
	return []route{{http.MethodGet, "/about", needs(access.PermissionSystemRead), p.show}}
}

func (p aboutPages) show(w http.ResponseWriter, r *http.Request) error {
	view, err := p.About(r.Context())
	if err != nil {
		return err
	}
	view.Page, view.Now = p.page(r, "About", "about"), p.Now()
	return p.render(w, r, http.StatusOK, aboutview.About(view))
}
