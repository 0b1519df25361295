package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"switchgear/internal/telemetry"
	apidocsview "switchgear/web/templates/apidocs"
	"switchgear/web/templates/layout"
)

// assets are the files of the page about the API, with their addresses; *static.Assets is one.
type assets interface {
	http.Handler
	URL(name string) string
}

// contentSecurityPolicy allows what we serve ourselves and nothing else: no inline script or style, no
// frames, no other host.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"

// docs serves the page that describes the version, for people. Like the description for programs it needs
// no key.
func (v *version) docs() handler {
	view := apidocsview.View{
		Description: v.api.OpenAPI().Info.Description, Base: v.path(""), DocumentHref: v.path("/openapi.json"), Rules: v.rules(),
	}
	for _, op := range v.operations {
		group := op.Tags[0]
		if n := len(view.Groups); n == 0 || view.Groups[n-1].Name != group {
			view.Groups = append(view.Groups, apidocsview.Group{Name: group})
		}
		last := &view.Groups[len(view.Groups)-1]
		last.Operations = append(last.Operations, v.describe(op))
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		page := view
		page.Bare = layout.Bare{
			Title: "Machine API, version " + strconv.Itoa(v.number), Version: telemetry.Version(), RequestID: telemetry.RequestID(r.Context()),
			Assets: v.deps.Assets, Wide: true,
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		return apidocsview.Page(page).Render(r.Context(), w)
	}
}

// rules are what holds for every operation, in words.
func (v *version) rules() []apidocsview.Rule {
	return []apidocsview.Rule{
		{Name: "Key", Text: "Authorization: Bearer sg_…, or X-API-Key. The scope api:read reads, api:write reads and changes."},
		{Name: "Version", Text: "By path, or on /api/… by Accept: " + mediaType + ";version=" + strconv.Itoa(v.number) + "."},
		{Name: "Lists", Text: "page, limit, sort (a leading minus reverses) and filter[…]. The answer has data, and meta with page, limit and total."},
		{Name: "Changes", Text: "PUT replaces, PATCH is a JSON merge patch. Send the ETag back as If-Match: when another version is active, the answer is 412."},
		{Name: "Repeating", Text: "A POST with an Idempotency-Key may be sent again within 24 hours and happens once."},
		{Name: "Limits", Text: "RateLimit and RateLimit-Policy say what is left; a 429 says in Retry-After how long to wait."},
		{Name: "Errors", Text: "error.code, error.message and error.details.field, with the request_id to quote; as RFC 9457 with Accept: application/problem+json."},
		{Name: "Secrets", Text: "Credentials go in and never come out: an answer names the secret fields that are set."},
	}
}

// describe is an operation for the page.
func (v *version) describe(op *huma.Operation) apidocsview.Operation {
	out := apidocsview.Operation{
		ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description, Scope: string(scopeOf(op)),
	}
	for _, p := range op.Parameters {
		out.Parameters = append(out.Parameters, apidocsview.Parameter{
			Name: p.Name, In: p.In, Type: p.Schema.Type, Description: p.Description, Required: p.Required,
		})
	}
	if op.RequestBody != nil {
		for _, name := range sortedKeys(op.RequestBody.Content) {
			out.RequestType, out.Request = name, v.example(op.RequestBody.Content[name].Schema)
		}
	}
	for _, text := range sortedKeys(op.Responses) {
		status, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		out.Answers = append(out.Answers, apidocsview.Answer{Status: status, Meaning: http.StatusText(status)})
		if media := op.Responses[text].Content["application/json"]; status < http.StatusMultipleChoices && media != nil {
			out.Response = v.example(media.Schema)
		}
	}
	return out
}

// example is JSON that fits a schema, for people.
func (v *version) example(s *huma.Schema) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if encoder.Encode(v.exampleValue(s)) != nil {
		return ""
	}
	return strings.TrimSpace(out.String())
}

func (v *version) exampleValue(s *huma.Schema) any {
	examples := s.Examples
	for s.Ref != "" {
		if s = v.api.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref); len(examples) == 0 {
			examples = s.Examples
		}
	}
	switch {
	case len(examples) > 0:
		return examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.Type {
	case huma.TypeObject:
		object := map[string]any{}
		for name, field := range s.Properties {
			object[name] = v.exampleValue(field)
		}
		return object
	case huma.TypeArray:
		return []any{v.exampleValue(s.Items)}
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	case huma.TypeBoolean:
		return false
	case huma.TypeString:
		if s.Format == "date-time" {
			return "2026-11-27T09:00:00Z"
		}
		return "…"
	}
	return nil
}
