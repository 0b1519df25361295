package api

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"switchgear/internal/connections"
	"switchgear/internal/fault"
)

// Version is one entry of the history of a connection.
type Version struct {
	Version       int        `json:"version"`
	Active        bool       `json:"active"`
	LastKnownGood bool       `json:"last_known_good"`
	Cause         string     `json:"cause" example:"edit" doc:"create, duplicate, edit, credential, pause, resume, rollback, rotation_switch or rotation_rollback."`
	CopiedFrom    int        `json:"copied_from,omitempty" doc:"The version that a rollback brought back."`
	Reason        string     `json:"reason"`
	Author        Author     `json:"author"`
	CreatedAt     time.Time  `json:"created_at"`
	Definition    Definition `json:"definition"`
}

// Author is who made a version.
type Author struct {
	Kind string `json:"kind" example:"api_key" doc:"user, api_key, cli or system."`
	Name string `json:"name" example:"deploy"`
}

// Definition is everything that a version says, without secrets.
type Definition struct {
	Slug             string `json:"slug"`
	Name             string `json:"name"`
	Kind             string `json:"kind"`
	Provider         string `json:"provider"`
	Environment      string `json:"environment"`
	BaseURL          string `json:"base_url"`
	Auth             Auth   `json:"auth"`
	Policy           Policy `json:"policy"`
	LogBodies        bool   `json:"log_bodies"`
	RequireChecklist bool   `json:"require_checklist"`

	Status string `json:"status"`

	Requirements  connections.Requirements  `json:"requirements,omitzero"`
	Documentation connections.Documentation `json:"documentation,omitzero"`
}

// Change is one field that differs between two versions. Of a secret only that it changed is known.
type Change struct {
	Field  string `json:"field" example:"base_url"`
	Before string `json:"before"`
	After  string `json:"after"`
	Secret bool   `json:"secret"`
}

func versionOf(v connections.Version) Version {
	d := v.Definition
	return Version{
		Version: v.Version, Active: v.Active, LastKnownGood: v.LastKnownGood, Cause: v.Cause, CopiedFrom: v.CopiedFrom, Reason: v.Reason,
		Author: Author{Kind: v.AuthorKind, Name: v.AuthorName}, CreatedAt: v.CreatedAt,
		Definition: Definition{
			Slug: d.Slug, Name: d.Name, Kind: d.Kind, Provider: d.Provider, Environment: d.Environment, BaseURL: d.BaseURL,
			Auth: definitionAuth(d.Auth), Policy: policyOf(d.Policy), LogBodies: d.LogBodies, RequireChecklist: d.RequireChecklist, Status: d.State,
			Requirements: d.Requirements, Documentation: d.Documentation,
		},
	}
}

func changeOf(c connections.Change) Change {
	if c.Field == "state" {
		c.Field = "status"
	}
	return Change{Field: c.Field, Before: c.Before, After: c.After, Secret: c.Secret}
}

// ByVersion is the part of an input that names a version.
type ByVersion struct {
	BySlug

	Version int `path:"version" minimum:"1" doc:"The number of the version." example:"1"`
}

type versionList struct {
	Body struct {
		Data []Version `json:"data" nullable:"false"`
		Meta Meta      `json:"meta"`
	}
}

type changeList struct {
	Body struct {
		From int      `json:"from"`
		To   int      `json:"to"`
		Data []Change `json:"data" nullable:"false"`
	}
}

// Rollback says what to go back to.
type Rollback struct {
	Version int    `json:"version,omitempty" minimum:"1" doc:"Left out: the last version known to be good, or the one before the active one."`
	Reason  string `json:"reason,omitempty" doc:"Why, for the history and the audit log; at most 500 characters."`
}

// versionRoutes serve the history of connections and the way back.
func (v *version) versionRoutes() {
	const tag = "Versions"
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/versions", id: "list-versions", tag: tag, summary: "List the versions of a connection",
		description: "The newest first, at most 500. Sorted by version when asked.",
	}, v.listVersions)
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/versions/{version}", id: "get-version", tag: tag, summary: "Read a version",
	}, func(ctx context.Context, in *ByVersion) (*struct{ Body Version }, error) {
		found, err := v.deps.Connections.Version(ctx, actor(ctx), in.Slug, in.Version)
		return &struct{ Body Version }{versionOf(found)}, err
	})
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/versions/{version}/diff", id: "diff-versions", tag: tag, summary: "Compare two versions",
	}, v.diffVersions)
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/versions/{version}/activate", id: "activate-version", tag: tag, summary: "Bring back a version",
		description: "Stores a copy of the version as the newest one, with its credential if that is still kept, and makes it the active one.",
	}, func(ctx context.Context, in *struct {
		ByVersion
		Condition

		Body *Reason
	},
	) (*connectionOutput, error) {
		return v.activate(ctx, in.Slug, in.Version, in.Body.text(), in.Condition)
	})
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/rollback", id: "rollback-connection", tag: tag, summary: "Go back to the last good version",
		description: "As activate, for whoever does not want to look for the version first.",
	}, v.rollback)
}

func (v *version) listVersions(ctx context.Context, in *struct {
	BySlug
	Paging
},
) (*versionList, error) {
	all, err := v.deps.Connections.Versions(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	if err := sortBy(all, in.Sort, []order[connections.Version]{
		{"version", func(a, b connections.Version) int { return cmp.Compare(a.Version, b.Version) }},
	}); err != nil {
		return nil, err
	}
	out := &versionList{}
	out.Body.Meta, out.Body.Data = in.meta(len(all)), each(cut(in.Paging, all), versionOf)
	return out, nil
}

func (v *version) diffVersions(ctx context.Context, in *struct {
	ByVersion

	From int `query:"from" minimum:"1" doc:"The version to compare with; left out, the one before."`
},
) (*changeList, error) {
	from := in.From
	if from == 0 {
		from = in.Version - 1
	}
	if from == 0 {
		return nil, fault.Field("INVALID_PARAMETER", "from", "There is no version before the first.").WithSuggestion("Name the version to compare with.")
	}
	changes, err := v.deps.Connections.Diff(ctx, actor(ctx), in.Slug, from, in.Version)
	if err != nil {
		return nil, err
	}
	out := &changeList{}
	out.Body.From, out.Body.To, out.Body.Data = from, in.Version, each(changes, changeOf)
	return out, nil
}

func (v *version) activate(ctx context.Context, slug string, version int, reason string, c Condition) (*connectionOutput, error) {
	wanted, err := v.matching(ctx, c, slug)
	if err != nil {
		return nil, err
	}
	return connectionAnswer(v.deps.Connections.Activate(ctx, actor(ctx), slug, version, reason, wanted))
}

// rollback without a version decides by what is active now, and acts on exactly that.
func (v *version) rollback(ctx context.Context, in *struct {
	BySlug
	Condition

	Body *Rollback
},
) (*connectionOutput, error) {
	target := Rollback{}
	if in.Body != nil {
		target = *in.Body
	}
	if target.Version > 0 {
		return v.activate(ctx, in.Slug, target.Version, target.Reason, in.Condition)
	}
	now, err := v.deps.Connections.Find(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	switch {
	case now.LastKnownGood > 0 && now.LastKnownGood < now.Version:
		target.Version = now.LastKnownGood
	case now.Version > 1:
		target.Version = now.Version - 1
	default:
		return nil, fault.New(fault.Conflict, "NO_OLDER_VERSION", "The connection has one version only; there is nothing to go back to.")
	}
	if strings.TrimSpace(in.IfMatch) == "" {
		in.IfMatch = etag(now.Version)
	}
	return v.activate(ctx, in.Slug, target.Version, target.Reason, in.Condition)
}
