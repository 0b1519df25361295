package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

// version is one version of the machine API: its operations, their router and their description. The
// next version is another value with its own operations on the same use cases.
type version struct {
	number int
	deps   Deps
	limits *limits
	router chi.Router
	api    huma.API
	// operations are in the order of their registration.
	operations []*huma.Operation
	// document is the OpenAPI description, made once.
	document []byte
}

const mergePatch = "application/merge-patch+json"

// newVersion makes a version without operations.
func newVersion(number int, deps Deps, limits *limits, description string) *version {
	v := &version{number: number, deps: deps, limits: limits, router: chi.NewRouter()}
	v.router.Use(limits.clientLimit)
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: json.Unmarshal}
	// Paths, hooks and documents of huma's own stay off: they point at a content delivery network.
	v.api = huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Switchgear", Version: strconv.Itoa(number), Description: description},
			Servers: []*huma.Server{{URL: v.path("")}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer":  {Type: "http", Scheme: "bearer", Description: "An API key: `Authorization: Bearer sg_…`"},
					"api_key": {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "The same API key in a header of its own"},
				},
			},
			Security: []map[string][]string{{"bearer": {}}, {"api_key": {}}},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{v.catch},
	}, adapter{version: v})
	return v
}

// close makes the description of the operations; none can be added afterwards.
func (v *version) close() error {
	document, err := json.Marshal(v.api.OpenAPI())
	if err != nil {
		return fmt.Errorf("api: describe version %d: %w", v.number, err)
	}
	v.document = document
	v.router.Get("/openapi.json", v.serveDocument)
	v.router.Head("/openapi.json", v.serveDocument)
	return nil
}

// serveDocument answers without a key: the description says what the program can do, not what is in it.
func (v *version) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(v.document) // the client is gone if this fails
}

// route is what an operation is besides its input and output.
type route struct {
	method, path, id, tag, summary, description string
	// status is that of success.
	status int
	// refusals are the statuses that this operation adds to those of every operation.
	refusals []int
	// reads is true for a POST that changes nothing, for which a key that may read is enough.
	reads bool
}

// readsOnly marks such an operation in its metadata.
const readsOnly = "reads only"

// path is the whole path of a resource.
func (v *version) path(below string) string { return "/api/v" + strconv.Itoa(v.number) + below }

// register adds an operation. Input and output follow the rules of huma for tags.
func register[I, O any](v *version, at route, do func(ctx context.Context, in *I) (*O, error)) {
	op := huma.Operation{
		Method: at.method, Path: at.path, OperationID: at.id, Tags: []string{at.tag}, Summary: at.summary, Description: at.description,
		DefaultStatus: at.status, MaxBodyBytes: maxBody, Responses: map[string]*huma.Response{}, Metadata: map[string]any{readsOnly: at.reads},
	}
	refusals := append([]int{400, 401, 403, 406, 429, 500, 503}, at.refusals...)
	if strings.Contains(at.path, "{") {
		refusals = append(refusals, http.StatusNotFound)
	}
	switch at.method {
	case http.MethodPost:
		refusals = append(refusals, 409, 412, 413, 415, 422)
		op.Parameters = append(op.Parameters, headerParameter("Idempotency-Key",
			"Names the request, so that it can be sent again without happening twice. The answer is kept for 24 hours."))
	case http.MethodPut, http.MethodPatch:
		refusals = append(refusals, 409, 412, 413, 415)
	}
	for _, status := range refusals {
		op.Responses[strconv.Itoa(status)] = v.refusalResponse(status)
	}
	huma.Register(v.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, failure{err}
		}
		return out, nil
	})
}

func headerParameter(name, description string) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
}

// refusalResponse describes an error in both of its forms.
func (v *version) refusalResponse(status int) *huma.Response {
	schemas := v.api.OpenAPI().Components.Schemas
	return &huma.Response{
		Description: http.StatusText(status),
		Content: map[string]*huma.MediaType{
			"application/json":         {Schema: schemas.Schema(typeOf[fault.Envelope](), true, "Error")},
			"application/problem+json": {Schema: schemas.Schema(typeOf[fault.Problem](), true, "Problem")},
		},
	}
}

type keyOfRequest struct{}

func withKey(ctx context.Context, key access.Key) context.Context {
	return context.WithValue(ctx, keyOfRequest{}, key)
}

// actor is the API key of the request as who asks for something. Without a key it may do nothing.
func actor(ctx context.Context) access.Actor {
	key, _ := ctx.Value(keyOfRequest{}).(access.Key)
	return key.Actor(middleware.GetClientIP(ctx))
}

// Paging are the parameters of every list.
type Paging struct {
	Page  int    `query:"page" minimum:"1" maximum:"1000000" default:"1" doc:"Page of the list, from 1."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Entries a page."`
	Sort  string `query:"sort" doc:"Field to sort by; a leading minus reverses."`
}

// Meta says which part of a list this is.
type Meta struct {
	Page  int `json:"page" doc:"Page of the list, from 1."`
	Limit int `json:"limit" doc:"Entries a page."`
	Total int `json:"total" doc:"Entries on all pages."`
}

func (p Paging) meta(total int) Meta { return Meta{Page: p.Page, Limit: p.Limit, Total: total} }

// cut returns the page of a list that is in memory.
func cut[T any](p Paging, all []T) []T {
	from := min((p.Page-1)*p.Limit, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

// Condition is the part of an input that makes a change depend on what the client saw.
type Condition struct {
	IfMatch string `header:"If-Match" doc:"The ETag that the change is meant for. When another version is active, the answer is 412."`
}

// Why is the part of an input that says why.
type Why struct {
	Reason string `query:"reason" doc:"Why, for the history and the audit log; at most 500 characters."`
}

// etag is the tag of a version.
func etag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// version returns the version that the header names, 0 for any. present is asked only when the header
// names several.
func (c Condition) version(present func() (int, error)) (int, error) {
	header := strings.TrimSpace(c.IfMatch)
	if header == "" || header == "*" {
		return 0, nil
	}
	changed := fault.New(fault.PreconditionFailed, "VERSION_CHANGED", "Another version is active. Read it, then repeat the change.")
	var versions []int
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		inner, opened := strings.CutPrefix(part, `"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		if strings.HasPrefix(part, `W/"`) {
			continue // a weak tag matches nothing here
		}
		if !opened || !closed || len(part) < 2 {
			return 0, fault.Field("INVALID_IF_MATCH", "If-Match", "This is not a list of entity tags.").WithSuggestion(`Send the ETag as it came, such as "3".`)
		}
		if n, err := strconv.Atoi(inner); err == nil && n > 0 && etag(n) == part {
			versions = append(versions, n)
		}
	}
	switch len(versions) {
	case 0:
		return 0, changed
	case 1:
		return versions[0], nil
	}
	now, err := present()
	if err != nil {
		return 0, err
	}
	for _, n := range versions {
		if n == now {
			return n, nil
		}
	}
	return 0, changed
}
