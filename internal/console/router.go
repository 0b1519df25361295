package console

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

// handler is an http handler that returns its error instead of writing it.
type handler func(w http.ResponseWriter, r *http.Request) error

// guard says who may use a route. The zero value lets nobody in.
type guard struct {
	public     bool
	signedIn   bool
	permission access.Permission
}

// public lets everyone in; signedIn everyone with a session; needs those whose role has a permission.
func public() guard                   { return guard{public: true} }
func signedIn() guard                 { return guard{signedIn: true} }
func needs(p access.Permission) guard { return guard{permission: p} }

// String names the guard for the route list.
func (g guard) String() string {
	switch {
	case g.public:
		return "public"
	case g.signedIn:
		return "signed in"
	case g.permission != "":
		return string(g.permission)
	}
	return "nobody"
}

// route is one URL of the console.
type route struct {
	method  string
	pattern string
	guard   guard
	handle  handler
}

// routes lists every URL of the console, feature by feature.
func (c *Console) routes() []route {
	var all []route
	for _, feature := range [][]route{
		setupPages{c}.routes(),
		signInPages{c}.routes(),
		overviewPages{c}.routes(),
		demoPages{c}.routes(),
		connectionPages{c}.routes(),
		requirementPages{c}.routes(),
		checklistPages{c}.routes(),
		tryPages{c}.routes(),
		connectPages{c}.routes(),
		rotatePages{c}.routes(),
		credentialPages{c}.routes(),
		whatIfPages{c}.routes(),
		breakerPages{c}.routes(),
		alertPages{c}.routes(),
		healthPages{c}.routes(),
		callPages{c}.routes(),
		userPages{c}.routes(),
		invitationPages{c}.routes(),
		sessionPages{c}.routes(),
		profilePages{c}.routes(),
		keyPages{c}.routes(),
		auditPages{c}.routes(),
		encryptionPages{c}.routes(),
		revealPages{c}.routes(),
		aboutPages{c}.routes(),
		livePages{c}.routes(),
		galleryPages{c}.routes(),
	} {
		all = append(all, feature...)
	}
	return all
}

// router puts the middleware chain around the routes.
func (c *Console) router() http.Handler {
	r := chi.NewRouter()
	r.Use(c.recoverPanics, c.securityHeaders)
	// Assets carry no session: they are the same for everyone and cached for a year.
	r.Method(http.MethodGet, "/static/*", c.Assets)
	r.Method(http.MethodHead, "/static/*", c.Assets)

	r.Group(func(r chi.Router) {
		r.Use(c.checkOrigin, c.Access.Middleware, c.identify, c.requireSetup)
		r.Group(func(r chi.Router) {
			r.Use(middleware.Compress(5, "text/html"))
			for _, rt := range c.routes() {
				if rt.pattern != liveRoute {
					c.mount(r, rt)
				}
			}
		})
		// A compressor would hold a stream's messages back.
		for _, rt := range (livePages{c}).routes() {
			c.mount(r, rt)
		}
		r.NotFound(c.handle(func(http.ResponseWriter, *http.Request) error {
			return fault.New(fault.NotFound, "", "There is no page at this address.")
		}))
		r.MethodNotAllowed(c.handle(func(w http.ResponseWriter, req *http.Request) error {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				if r.Match(chi.NewRouteContext(), method, req.URL.Path) {
					w.Header().Add("Allow", method)
				}
			}
			w.Header().Set("Allow", strings.Join(w.Header().Values("Allow"), ", "))
			return fault.Newf(fault.MethodNotAllowed, "%s is not possible here.", req.Method)
		}))
	})
	return r
}

func (c *Console) mount(r chi.Router, rt route) {
	h := c.handle(c.guarded(rt.guard, rt.handle))
	r.MethodFunc(rt.method, rt.pattern, h)
	if rt.method == http.MethodGet {
		r.MethodFunc(http.MethodHead, rt.pattern, h)
	}
}
