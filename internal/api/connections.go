package api

import (
	"context"
	"net/http"

	"switchgear/internal/access"
	"switchgear/internal/connections"
)

func connectionOf(c connections.Connection) Connection {
	return Connection{
		ID: c.ID, Slug: c.Slug, Name: c.Name, Kind: c.Kind, Provider: c.Provider, Environment: c.Environment, BaseURL: c.BaseURL,
		Auth: authOf(c.AuthType, c.AuthFields, c.AuthSecrets), Policy: policyOf(c.Policy), LogBodies: c.LogBodies, RequireChecklist: c.RequireChecklist,
		Requirements: c.Requirements, Documentation: c.Documentation, Status: c.State, Version: c.Version, LastKnownGood: c.LastKnownGood, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
}

func authOf(kind string, fields map[string]string, secrets []string) Auth {
	a := Auth{Type: kind, Fields: fields, Secrets: secrets}
	if a.Fields == nil {
		a.Fields = map[string]string{}
	}
	if a.Secrets == nil {
		a.Secrets = []string{}
	}
	return a
}

func policyOf(raw []byte) Policy {
	if len(raw) == 0 {
		return Policy("{}")
	}
	return Policy(raw)
}

// connectionOutput is one connection with its version as the tag.
type connectionOutput struct {
	ETag string `header:"ETag" doc:"The version; send it back as If-Match."`
	Body Connection
}

func connectionAnswer(c connections.Connection, err error) (*connectionOutput, error) {
	if err != nil {
		return nil, err
	}
	return &connectionOutput{ETag: etag(c.Version), Body: connectionOf(c)}, nil
}

type createdConnection struct {
	ETag     string `header:"ETag" doc:"The version; send it back as If-Match."`
	Location string `header:"Location" doc:"Where the connection is."`
	Body     Connection
}

// BySlug is the part of an input that names a connection.
type BySlug struct {
	Slug string `path:"slug" doc:"The slug of the connection." example:"stripe"`
}

type listConnections struct {
	Paging

	Search      string `query:"filter[search]" doc:"Words that occur in the name, slug, provider or host."`
	Kind        string `query:"filter[kind]" doc:"rest, grpc, webhook or broker."`
	Status      string `query:"filter[status]" doc:"active or paused."`
	Environment string `query:"filter[environment]" doc:"production, staging, development or sandbox."`
	Provider    string `query:"filter[provider]" doc:"The slug of a provider."`
}

type connectionList struct {
	Body struct {
		Data []Connection `json:"data" nullable:"false"`
		Meta Meta         `json:"meta"`
	}
}

type putConnection struct {
	BySlug
	Condition
	Why

	Body ConnectionInput
}

type actOnConnection struct {
	BySlug
	Condition

	Body *Reason
}

// Reason says why somebody does something.
type Reason struct {
	Reason string `json:"reason,omitempty" doc:"Why, for the history and the audit log; at most 500 characters."`
}

func (r *Reason) text() string {
	if r == nil {
		return ""
	}
	return r.Reason
}

// connectionRoutes serve the definitions of connections.
func (v *version) connectionRoutes() {
	const tag = "Connections"
	register(v, route{
		method: http.MethodGet, path: "/connections", id: "list-connections", tag: tag, summary: "List connections",
		description: "Sorted by name, slug, kind, provider, environment, status, created_at or updated_at.",
	}, v.listConnections)
	register(v, route{
		method: http.MethodPost, path: "/connections", id: "create-connection", tag: tag, summary: "Create a connection", status: http.StatusCreated,
		description: "The credential is stored sealed and never returned.",
	}, v.createConnection)
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}", id: "get-connection", tag: tag, summary: "Read a connection",
	}, func(ctx context.Context, in *struct{ BySlug }) (*connectionOutput, error) {
		return connectionAnswer(v.deps.Connections.Find(ctx, actor(ctx), in.Slug))
	})
	register(v, route{
		method: http.MethodPut, path: "/connections/{slug}", id: "replace-connection", tag: tag, summary: "Replace a connection",
		description: "What is left out gets its default. Secret fields that are left out keep their value while the auth type stays the same.",
	}, v.replaceConnection)
	v.patchConnectionRoute(tag)
	register(v, route{
		method: http.MethodDelete, path: "/connections/{slug}", id: "delete-connection", tag: tag, summary: "Delete a connection with its versions and credentials",
		status: http.StatusNoContent, refusals: []int{http.StatusPreconditionFailed},
	}, v.deleteConnection)
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/pause", id: "pause-connection", tag: tag, summary: "Refuse calls from now on",
	}, func(ctx context.Context, in *actOnConnection) (*connectionOutput, error) {
		return v.act(ctx, in, v.deps.Connections.Pause)
	})
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/resume", id: "resume-connection", tag: tag, summary: "Let calls through again",
	}, func(ctx context.Context, in *actOnConnection) (*connectionOutput, error) {
		return v.act(ctx, in, v.deps.Connections.Resume)
	})
}

func (v *version) listConnections(ctx context.Context, in *listConnections) (*connectionList, error) {
	for _, check := range []error{
		checkSort(in.Sort, "name", "slug", "kind", "provider", "environment", "status", "created_at", "updated_at"),
		oneOf("filter[kind]", in.Kind, connections.Kinds()), oneOf("filter[status]", in.Status, connections.States()),
		oneOf("filter[environment]", in.Environment, connections.Environments()),
	} {
		if check != nil {
			return nil, check
		}
	}
	page, err := v.deps.Connections.List(ctx, actor(ctx), connections.Query{
		Search: in.Search, Kind: in.Kind, State: in.Status, Environment: in.Environment, Provider: in.Provider,
		Sort: stateSort(in.Sort), Page: in.Page, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	out := &connectionList{}
	out.Body.Meta, out.Body.Data = in.meta(page.Total), make([]Connection, len(page.Connections))
	for i, c := range page.Connections {
		out.Body.Data[i] = connectionOf(c)
	}
	return out, v.addHealth(ctx, out.Body.Data)
}

// stateSort translates the one name that differs: what the API calls status is a state inside.
func stateSort(sort string) string {
	switch sort {
	case "status":
		return "state"
	case "-status":
		return "-state"
	}
	return sort
}

func (v *version) createConnection(ctx context.Context, in *struct {
	Why

	Body ConnectionInput
},
) (*createdConnection, error) {
	c, err := v.deps.Connections.Create(ctx, actor(ctx), in.Body.draft(), in.Reason)
	if err != nil {
		return nil, err
	}
	return &createdConnection{ETag: etag(c.Version), Location: v.path("/connections/" + c.Slug), Body: connectionOf(c)}, nil
}

func (v *version) replaceConnection(ctx context.Context, in *putConnection) (*connectionOutput, error) {
	version, err := v.matching(ctx, in.Condition, in.Slug)
	if err != nil {
		return nil, err
	}
	return connectionAnswer(v.deps.Connections.Replace(ctx, actor(ctx), in.Slug, in.Body.draft(), in.Reason, version))
}

func (v *version) deleteConnection(ctx context.Context, in *struct {
	BySlug
	Condition
	Why
},
) (*struct{}, error) {
	version, err := v.matching(ctx, in.Condition, in.Slug)
	if err != nil {
		return nil, err
	}
	_, err = v.deps.Connections.Delete(ctx, actor(ctx), in.Slug, in.Slug, in.Reason, version)
	return nil, err
}

// act does one of the things that are done to a connection as a whole.
func (v *version) act(ctx context.Context, in *actOnConnection, do connectionAction) (*connectionOutput, error) {
	version, err := v.matching(ctx, in.Condition, in.Slug)
	if err != nil {
		return nil, err
	}
	return connectionAnswer(do(ctx, actor(ctx), in.Slug, in.Body.text(), version))
}

// matching is the version that a change of a connection is meant for, 0 for any.
func (v *version) matching(ctx context.Context, c Condition, slug string) (int, error) {
	return c.version(func() (int, error) {
		now, err := v.deps.Connections.Find(ctx, actor(ctx), slug)
		return now.Version, err
	})
}

// connectionAction is a use case about a connection as a whole.
type connectionAction func(ctx context.Context, a access.Actor, slug, reason string, ifVersion int) (connections.Connection, error)
