package console

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/a-h/templ"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	errorsview "switchgear/web/templates/errors"
)

// handle adapts a handler that returns its error.
func (c *Console) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			c.fail(w, r, err)
		}
	}
}

// fail is the one place of the console where an error becomes a response: JSON for programs, a fragment
// for htmx, the sign-in page for a visitor without a session, a page otherwise. What is ours to fix is
// logged here, once.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := fault.KindOf(err)
	id := telemetry.RequestID(r.Context())
	level := slog.LevelDebug // the client's mistakes: there for whoever looks up a request id
	if kind.Status() >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	c.Logger.LogAttrs(r.Context(), level, "request failed", slog.String("request_id", id),
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("error", err))
	if fault.WantsJSON(r) {
		fault.WriteJSON(w, r, err, id)
		return
	}
	if kind == fault.Unauthenticated {
		c.sendToSignIn(w, r)
		return
	}
	fault.SetHeaders(w.Header(), err)
	view := c.errorView(r, err)
	component := errorsview.Page(view)
	if isFragment(r) {
		// The fragment goes to the toasts, whatever the request wanted to replace.
		w.Header().Set("HX-Retarget", "#toasts")
		w.Header().Set("HX-Reswap", "beforeend")
		component = errorsview.Fragment(view)
	}
	if rerr := c.render(w, r, kind.Status(), component); rerr != nil {
		c.Logger.LogAttrs(r.Context(), slog.LevelError, "error page failed", slog.String("request_id", id), slog.Any("error", rerr))
		http.Error(w, kind.Title()+" ("+id+")", kind.Status())
	}
}

func (c *Console) errorView(r *http.Request, err error) errorsview.View {
	kind := fault.KindOf(err)
	v := errorsview.View{
		Status: kind.Status(), Code: fault.CodeOf(err), Title: kind.Title(), Message: fault.PublicMessage(err),
		RequestID: telemetry.RequestID(r.Context()), At: c.Now(), BackHref: "/", BackLabel: "Back to the overview",
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && kind != fault.Internal {
		v.Field, v.Suggestion, v.RetryAfter = e.Details.Field, e.Details.Suggestion, e.RetryAfter
	}
	if visitorOf(r).signedIn {
		page := c.page(r, v.Title, "")
		v.Page = &page
		return v
	}
	bare := c.bare(r, v.Title)
	v.Bare = &bare
	v.BackHref, v.BackLabel = "/sign-in", "Sign in"
	return v
}

// sendToSignIn keeps where the visitor wanted to go. A fragment cannot show a sign-in page, so htmx is
// told to open it as a page of its own.
func (c *Console) sendToSignIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	target := "/sign-in"
	if isFragment(r) {
		target += "?after=ended" // the page was open, so there was a session
	}
	if r.Method == http.MethodGet && !isFragment(r) && r.URL.Path != "/" && r.URL.Path != liveRoute {
		target += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	if isFragment(r) {
		w.Header().Set("HX-Redirect", target)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// isFragment reports whether htmx asks for a part of a page. A boosted request wants the whole page.
func isFragment(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Boosted") != "true"
}

// render writes a component as HTML. Rendering goes to memory first, so that a failing template becomes
// an error page and not half a page.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, component templ.Component) error {
	buf := templ.GetBuffer()
	defer templ.ReleaseBuffer(buf)
	if err := component.Render(r.Context(), buf); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "HX-Request")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(buf.Bytes()) // the browser is gone if this fails
	}
	return nil
}
