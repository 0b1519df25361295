package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"switchgear/internal/connections"
	"switchgear/internal/fault"
)

type patchConnection struct {
	BySlug
	Condition
	Why

	Body map[string]any `contentType:"application/merge-patch+json" example:"{\"policy\":{\"timeout\":\"20s\"}}" doc:"A JSON merge patch (RFC 7396) of what PUT takes: what it names is replaced, null removes."`
}

func (v *version) patchConnectionRoute(tag string) {
	register(v, route{
		method: http.MethodPatch, path: "/connections/{slug}", id: "patch-connection", tag: tag, summary: "Change parts of a connection",
		description: "The patch is applied to what PUT would take to leave the connection as it is; the result is checked like a PUT.",
	}, v.patchConnection)
}

// patchConnection merges into the active version. The result replaces that version and no other: when
// somebody else was faster the patch is merged into theirs, as long as the client named no version.
func (v *version) patchConnection(ctx context.Context, in *patchConnection) (*connectionOutput, error) {
	wanted, err := v.matching(ctx, in.Condition, in.Slug)
	if err != nil {
		return nil, err
	}
	const tries = 5
	for try := 1; ; try++ {
		now, err := v.deps.Connections.Find(ctx, actor(ctx), in.Slug)
		if err != nil {
			return nil, err
		}
		input, err := v.merged(now, in.Body)
		if err != nil {
			return nil, err
		}
		version := wanted
		if version == 0 {
			version = now.Version
		}
		c, err := v.deps.Connections.Replace(ctx, actor(ctx), in.Slug, input.draft(), in.Reason, version)
		if wanted == 0 && try < tries && fault.CodeOf(err) == "VERSION_CHANGED" {
			continue
		}
		return connectionAnswer(c, err)
	}
}

// merged is the input that a patch makes of a connection.
func (v *version) merged(c connections.Connection, patch map[string]any) (ConnectionInput, error) {
	var in ConnectionInput
	present, err := json.Marshal(ConnectionInput{
		Name: c.Name, Slug: c.Slug, Kind: c.Kind, Provider: c.Provider, Environment: c.Environment, BaseURL: c.BaseURL,
		Auth: AuthInput{Type: c.AuthType, Fields: c.AuthFields}, Policy: policyOf(c.Policy), LogBodies: c.LogBodies, RequireChecklist: c.RequireChecklist,
		Requirements: c.Requirements, Documentation: c.Documentation,
	})
	if err != nil {
		return in, err
	}
	var document any
	if err := decodeExactly(present, &document); err != nil {
		return in, err
	}
	document = mergeJSON(document, patch)
	if err := v.check(document); err != nil {
		return in, err
	}
	result, err := json.Marshal(document)
	if err != nil {
		return in, err
	}
	return in, json.Unmarshal(result, &in)
}

func decodeExactly(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}

// mergeJSON applies a merge patch: objects are merged member by member, null removes a member, anything
// else replaces.
func mergeJSON(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, change := range changes {
		if change == nil {
			delete(object, name)
			continue
		}
		object[name] = mergeJSON(object[name], change)
	}
	return object
}

// check validates a merged document against what PUT takes.
func (v *version) check(document any) error {
	put := v.api.OpenAPI().Paths["/connections/{slug}"].Put
	schemas := v.api.OpenAPI().Components.Schemas
	schema := put.RequestBody.Content["application/json"].Schema
	if path := foreignName(schemas, schema, document, ""); path != "" {
		return v.unknownField(put, path)
	}
	path, result := huma.NewPathBuffer([]byte{}, 0), &huma.ValidateResult{}
	path.Push("body")
	plain, err := plainNumbers(document)
	if err != nil {
		return err
	}
	huma.Validate(schemas, schema, path, huma.ModeWriteToServer, plain, result)
	if len(result.Errors) == 0 {
		return nil
	}
	model := &huma.ErrorModel{Status: http.StatusUnprocessableEntity}
	for _, e := range result.Errors {
		model.Add(e)
	}
	return v.refusal(put, model)
}

// plainNumbers is a document with the numbers that validation knows.
func plainNumbers(document any) (any, error) {
	raw, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	var plain any
	return plain, json.Unmarshal(raw, &plain)
}

// foreignName finds a member that the schema does not have, letter by letter: names in another case
// would stand beside the member they are meant to change.
func foreignName(schemas huma.Registry, s *huma.Schema, value any, path string) string {
	for s != nil && s.Ref != "" {
		s = schemas.SchemaFromRef(s.Ref)
	}
	object, ok := value.(map[string]any)
	if s == nil || !ok || s.Properties == nil {
		return ""
	}
	for _, name := range sortedKeys(object) {
		at := strings.TrimPrefix(path+"."+name, ".")
		field, known := s.Properties[name]
		if !known {
			return at
		}
		if found := foreignName(schemas, field, object[name], at); found != "" {
			return found
		}
	}
	return ""
}
