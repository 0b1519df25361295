package api

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"switchgear/internal/runtime/ratelimit"
)

// limiters finds the rate limiter of a connection; *ratelimit.Registry is one.
type limiters interface {
	Get(connection string) (*ratelimit.Limiter, bool)
}

// RateLimits are one set of limits of a connection, as they stand.
type RateLimits struct {
	Scope   string `json:"scope" enum:"connection,operation,credential" doc:"What is counted together."`
	Group   string `json:"group,omitempty" example:"charge" doc:"The operation, or its group as group:name, that the limits belong to; left out: every one."`
	Account string `json:"account,omitempty" example:"default" doc:"The account whose credential they belong to; left out: every one."`
	// EffectivePerSecond is left out where nothing limits.
	EffectivePerSecond *float64          `json:"effective_per_second,omitempty" doc:"The rate that is kept to now; 0 while held. Left out: nothing limits."`
	Why                string            `json:"why" example:"configured 50/s, not slowed down" doc:"What is configured, what is kept to now, and why they differ."`
	Waiting            int               `json:"waiting" doc:"Calls that these limits hold up."`
	HeldUntil          time.Time         `json:"held_until,omitzero" doc:"The vendor asked for a pause until then."`
	Windows            []RateLimitWindow `json:"windows" nullable:"false" doc:"The configured limits."`
	Quotas             []RateLimitQuota  `json:"quotas" nullable:"false" doc:"What the vendor told."`
}

// RateLimitWindow is a configured limit.
type RateLimitWindow struct {
	Requests int     `json:"requests" example:"90"`
	Per      string  `json:"per" example:"1s"`
	Used     int     `json:"used"`
	Left     int     `json:"left"`
	NextInMS float64 `json:"next_in_ms" doc:"How long until one more can go; 0 when it can now."`
}

// RateLimitQuota is a limit that the vendor told.
type RateLimitQuota struct {
	Name    string    `json:"name,omitempty"`
	Unit    string    `json:"unit" example:"requests"`
	Limit   int64     `json:"limit,omitempty" doc:"Left out: it was not told."`
	Left    int64     `json:"left"`
	ResetAt time.Time `json:"reset_at,omitzero" doc:"Left out: it was not told."`
}

func rateLimitsOf(s ratelimit.ScopeSnapshot) RateLimits {
	out := RateLimits{
		Scope: "connection", Group: s.Key.Group, Account: s.Key.Credential, Why: s.Why, Waiting: s.Waiting, HeldUntil: s.Hold.Until.UTC(),
		Windows: each(s.Windows, func(w ratelimit.WindowSnapshot) RateLimitWindow {
			return RateLimitWindow{Requests: w.Requests, Per: w.Per.String(), Used: w.Used, Left: w.Left, NextInMS: milliseconds(w.Next)}
		}),
		Quotas: each(s.Quotas, func(q ratelimit.QuotaSnapshot) RateLimitQuota {
			return RateLimitQuota{Name: q.Name, Unit: q.Unit, Limit: max(0, q.Limit), Left: q.Left, ResetAt: q.ResetAt.UTC()}
		}),
	}
	switch {
	case s.Key.Credential != "":
		out.Scope = "credential"
	case s.Key.Group != "":
		out.Scope = "operation"
	}
	if !math.IsInf(s.Effective, 1) {
		out.EffectivePerSecond = &s.Effective
	}
	return out
}

type listRateLimits struct {
	BySlug
	Paging

	Scope   string `query:"filter[scope]" doc:"connection, operation or credential."`
	Group   string `query:"filter[group]" doc:"An operation, or a group as group:name."`
	Account string `query:"filter[account]" doc:"The name of an account."`
}

type rateLimitList struct {
	Body struct {
		Data []RateLimits `json:"data" nullable:"false"`
		Meta Meta         `json:"meta"`
	}
}

// rateLimitRoutes serve the limits of connections.
func (v *version) rateLimitRoutes() {
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/rate-limits", id: "list-rate-limits", tag: "Breakers", summary: "List the rate limits of a connection",
		description: "Those of the connection first, then those of its operations and of the accounts that were called. Sorted by account or waiting when asked.",
	}, v.listRateLimits)
}

func (v *version) listRateLimits(ctx context.Context, in *listRateLimits) (*rateLimitList, error) {
	if err := oneOf("filter[scope]", in.Scope, []string{"connection", "operation", "credential"}); err != nil {
		return nil, err
	}
	c, err := v.deps.Connections.Find(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	all := []RateLimits{}
	if l, ok := v.deps.Limiters.Get(c.ID); ok {
		all = each(l.Snapshot().Scopes, rateLimitsOf)
	}
	all = slices.DeleteFunc(all, func(l RateLimits) bool {
		return in.Scope != "" && l.Scope != in.Scope || in.Group != "" && l.Group != in.Group || in.Account != "" && l.Account != in.Account
	})
	if err := sortBy(all, in.Sort, []order[RateLimits]{
		{"account", func(a, b RateLimits) int { return compare(a.Account, b.Account) }},
		{"waiting", func(a, b RateLimits) int { return a.Waiting - b.Waiting }},
	}); err != nil {
		return nil, err
	}
	out := &rateLimitList{}
	out.Body.Meta, out.Body.Data = in.meta(len(all)), cut(in.Paging, all)
	return out, nil
}
