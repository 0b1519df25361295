package console

import (
	"context"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5/middleware"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
	"switchgear/web/templates/gallery"
)

// contentSecurityPolicy allows what we serve ourselves and nothing else: no inline script or style, no
// eval, no frames, no plugins.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"

func (c *Console) securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		// Not no-referrer: browsers would then send "Origin: null" with our own forms, and a browser that
		// sends no Sec-Fetch-Site (any, over plain HTTP beyond loopback) would be refused as another site.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if c.cfg.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// recoverPanics turns a panic into an error page and a log line with the stack.
func (c *Console) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer telemetry.RecoverPanic(func(err error) { c.fail(w, r, err) })
		next.ServeHTTP(w, r)
	})
}

// checkOrigin refuses a state-changing request that another site made a browser send.
func (c *Console) checkOrigin(next http.Handler) http.Handler {
	return c.handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := c.csrf.Check(r); err != nil {
			return fault.Wrap(err, fault.Forbidden, "CROSS_ORIGIN", "This request came from another site and was not carried out.").
				WithSuggestion("Open the console itself and repeat the action there. Behind a reverse proxy, set SWITCHGEAR_PUBLIC_URL to the address in the browser.")
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

type visitorKey struct{}

// visitor is who makes the request. The zero value is someone who is not signed in.
type visitor struct {
	actor    access.Actor
	user     access.User
	signedIn bool
}

// identify looks the visitor up once a request.
func (c *Console) identify(next http.Handler) http.Handler {
	return c.handle(func(w http.ResponseWriter, r *http.Request) error {
		actor, user, ok, err := c.Access.CurrentActor(r.Context(), clientIP(r))
		if err != nil {
			return err
		}
		v := visitor{actor: actor, user: user, signedIn: ok}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
		return nil
	})
}

func visitorOf(r *http.Request) visitor {
	v, _ := r.Context().Value(visitorKey{}).(visitor)
	return v
}

func actor(r *http.Request) access.Actor { return visitorOf(r).actor }

// requireSetup answers 503 for everything but the set-up page until there is an owner.
func (c *Console) requireSetup(next http.Handler) http.Handler {
	return c.handle(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path != "/setup" && r.URL.Path != gallery.Path && !visitorOf(r).signedIn {
			needed, err := c.Access.SetupNeeded(r.Context())
			if err != nil {
				return err
			}
			if needed {
				return setupPages{c}.closed(w, r, http.StatusServiceUnavailable, false)
			}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// guarded lets only those through whom the guard names.
func (c *Console) guarded(g guard, h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if g.public {
			return h(w, r)
		}
		v := visitorOf(r)
		if !v.signedIn {
			return fault.New(fault.Unauthenticated, "", "Sign in first.")
		}
		if g.signedIn {
			return h(w, r)
		}
		if err := v.actor.Require(g.permission); err != nil {
			return err
		}
		return h(w, r)
	}
}

// clientIP is the address the request came from, past as many reverse proxies as are configured.
func clientIP(r *http.Request) string { return middleware.GetClientIP(r.Context()) }

func origin(r *http.Request) access.Origin {
	return access.Origin{IP: clientIP(r), UserAgent: r.UserAgent()}
}

// seeOther sends the browser on to a page of this console, after a form has done its work.
func seeOther(w http.ResponseWriter, r *http.Request, target string) {
	http.Redirect(w, r, localPath(target), http.StatusSeeOther) //nolint:gosec // G710: localPath keeps the target on this console.
}

// localPath returns next when it is a path on this console, and the overview otherwise: a link may not
// send someone to another site after signing in.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || len(next) < 1 || next[0] != '/' || len(next) > 2000 {
		return "/"
	}
	// Browsers read /\host and //host as another host.
	if len(next) > 1 && (next[1] == '/' || next[1] == '\\') {
		return "/"
	}
	for _, b := range []byte(next) {
		if b < ' ' || b == '\\' || b == 0x7f {
			return "/"
		}
	}
	return next
}
