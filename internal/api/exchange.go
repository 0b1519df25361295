package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

// exchange is one request on its way through huma, which decodes and checks it. What huma makes of an
// error it writes to the client at once, in a form of its own; here the error ends up in err instead and
// nothing is written, so that every error of the package is answered in one place (see fail). That also
// leaves huma.NewError, a variable of the whole process, alone.
type exchange struct {
	humaContext

	err error
}

// humaContext has a name that is not that of one of its methods, so that it can be embedded.
type humaContext huma.Context

// SetStatus implements huma.Context.
func (e *exchange) SetStatus(code int) {
	if e.err == nil {
		e.humaContext.SetStatus(code)
	}
}

// BodyWriter implements huma.Context.
func (e *exchange) BodyWriter() io.Writer {
	if e.err != nil {
		return io.Discard
	}
	return e.humaContext.BodyWriter()
}

// failure carries the error of a handler past huma.
type failure struct{ error }

// GetStatus implements huma.StatusError; what it returns is not used.
func (f failure) GetStatus() int { return fault.KindOf(f.error).Status() }

// Unwrap returns the error of the handler.
func (f failure) Unwrap() error { return f.error }

// catch is the transformer that every body passes before it is written.
func (v *version) catch(ctx huma.Context, _ string, body any) (any, error) {
	e, ok := ctx.(*exchange)
	if !ok {
		return body, nil
	}
	switch body := body.(type) {
	case failure:
		e.err = body.error
	case *huma.ErrorModel:
		e.err = v.refusal(e.Operation(), body)
	}
	return body, nil
}

// adapter lets huma mount operations on the router of a version.
type adapter struct{ version *version }

// ServeHTTP implements huma.Adapter.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.version.router.ServeHTTP(w, r) }

// Handle implements huma.Adapter. HEAD works where GET does.
func (a adapter) Handle(op *huma.Operation, next func(huma.Context)) {
	serve := handle(a.version.deps.Logger, func(w http.ResponseWriter, r *http.Request) error {
		return a.version.serve(w, r, op, next)
	})
	a.version.operations = append(a.version.operations, op)
	a.version.router.MethodFunc(op.Method, op.Path, serve)
	if op.Method == http.MethodGet {
		a.version.router.MethodFunc(http.MethodHead, op.Path, serve)
	}
}

// serve takes a request through what all operations share, in the order in which a client has to repair
// it: representation, limits, key, scope, parameters, body.
func (v *version) serve(w http.ResponseWriter, r *http.Request, op *huma.Operation, next func(huma.Context)) error {
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Cache-Control", "no-store")
	if err := acceptable(r, v.number); err != nil {
		return err
	}
	presented, err := presentedKey(r)
	if err != nil {
		return err
	}
	key, err := v.deps.Keys.AuthenticateKey(r.Context(), presented)
	if err != nil {
		return err
	}
	if err := v.limits.keyLimit(w, r, key.ID); err != nil {
		return err
	}
	if scope := scopeOf(op); !key.Allows(scope) {
		return fault.Newf(fault.Forbidden, "the API key %q lacks the scope %s", key.Name, scope)
	}
	if err := checkQuery(r, op); err != nil {
		return err
	}
	if err := checkContentType(w, r, op); err != nil {
		return err
	}
	r = r.WithContext(withKey(r.Context(), key))
	run := func(w http.ResponseWriter, r *http.Request) error {
		e := &exchange{humaContext: humachi.NewContext(op, r, w)}
		next(e)
		return e.err
	}
	if op.Method == http.MethodPost {
		return v.once(w, r, key, run)
	}
	return run(w, r)
}

// scopeOf is what a key needs for an operation: reading or writing.
func scopeOf(op *huma.Operation) access.Scope {
	if op.Method == http.MethodGet || op.Metadata[readsOnly] == true {
		return access.ScopeAPIRead
	}
	return access.ScopeAPIWrite
}

// checkQuery refuses parameters that the operation does not have, and those that are sent twice: a typing
// mistake in a filter must not select everything.
func checkQuery(r *http.Request, op *huma.Operation) error {
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	var known []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	for _, name := range sortedKeys(query) {
		if !slices.Contains(known, name) {
			return fault.Field("UNKNOWN_PARAMETER", clip(name), "There is no such parameter here.").WithSuggestion(suggest(name, known, "parameters"))
		}
		if len(query[name]) > 1 {
			return fault.Field("REPEATED_PARAMETER", name, "Send this parameter once.")
		}
	}
	return nil
}

// checkContentType refuses a body of a type that the operation does not read.
func checkContentType(w http.ResponseWriter, r *http.Request, op *huma.Operation) error {
	if op.RequestBody == nil || r.ContentLength == 0 {
		return nil
	}
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	known := sortedKeys(op.RequestBody.Content)
	if (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter)) && slices.Contains(known, got) {
		return nil
	}
	if op.Method == http.MethodPatch {
		w.Header().Set("Accept-Patch", strings.Join(known, ", "))
	}
	unsupported := fault.New(fault.UnsupportedMedia, "", "The body must be "+strings.Join(known, " or ")+".")
	unsupported.Details.Field = "Content-Type"
	return unsupported
}

// allowedMethods lists what a path can be asked with, for the Allow header of a 405.
func allowedMethods(routes chi.Routes, path string) string {
	var methods []string
	for _, m := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		if routes.Match(chi.NewRouteContext(), m, path) {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}
