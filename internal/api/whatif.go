package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/whatif"
)

// replays tell what other settings would have done; *whatif.Service does.
type replays interface {
	Ask(ctx context.Context, a access.Actor, q whatif.Question) (whatif.Result, error)
}

// WhatIfQuestion is an edit of a policy that is not saved, and the time to try it on.
type WhatIfQuestion struct {
	Policy map[string]any `json:"policy,omitempty" example:"{\"breaker\":{\"failure_ratio\":0.3}}" doc:"A JSON merge patch (RFC 7396) of the connection's own policy. Left out: the policy as it is."`
	Since  string         `json:"since,omitempty" example:"168h" doc:"How far back to look, 744h at most; 168h when it is left out."`
}

// WhatIf is what the present and the edited policy would have done to the same calls.
type WhatIf struct {
	Connection string        `json:"connection" example:"stripe"`
	Version    int           `json:"version" doc:"Whose policy is the present one."`
	Summary    string        `json:"summary" doc:"The edited policy in a sentence."`
	Since      time.Time     `json:"since"`
	From       time.Time     `json:"from" doc:"Later than since when there are more calls than a replay takes: then the newest are replayed."`
	Until      time.Time     `json:"until"`
	LeftOut    int           `json:"left_out" doc:"Older calls that were not replayed because there are too many."`
	Same       bool          `json:"same" doc:"The edit changes neither breakers nor limits."`
	Sample     WhatIfSample  `json:"sample"`
	Present    WhatIfFigures `json:"present"`
	Edited     WhatIfFigures `json:"edited"`
	Caveats    []string      `json:"caveats" nullable:"false" doc:"What the figures cannot know."`
}

// WhatIfSample is what a replay went by.
type WhatIfSample struct {
	Calls     int `json:"calls" doc:"Calls that were replayed."`
	Attempts  int `json:"attempts" doc:"Requests that these calls sent at the time."`
	Failing   int `json:"failing" doc:"Calls that counted against the upstream."`
	Good      int `json:"good" doc:"Calls that showed the upstream alive."`
	Unknown   int `json:"unknown" doc:"Calls that were refused at the time and never sent."`
	FromCache int `json:"from_cache" doc:"Further calls, which the cache answered."`
	Unsent    int `json:"unsent" doc:"Further calls, which came to nothing before a protection was asked."`
}

// WhatIfFigures are what one policy would have done.
type WhatIfFigures struct {
	Opened          int             `json:"opened" doc:"How often a breaker opened."`
	Reopened        int             `json:"reopened" doc:"How often one opened again because a probe failed."`
	OpenMS          int64           `json:"open_ms" doc:"How long breakers were open, all together."`
	RefusedBreaker  WhatIfRefusals  `json:"refused_by_breaker"`
	RefusedLimits   WhatIfRefusals  `json:"refused_by_limits"`
	DelayedAttempts int             `json:"delayed_attempts" doc:"Attempts that waited for a limit."`
	LongestWaitMS   int64           `json:"longest_wait_ms"`
	Sent            int             `json:"sent" doc:"Calls that went through."`
	Openings        []WhatIfOpening `json:"openings" nullable:"false" doc:"The first 200."`
}

// WhatIfRefusals are refused calls by how they ended when they were sent.
type WhatIfRefusals struct {
	Failing int `json:"failing"`
	Good    int `json:"good"`
	Other   int `json:"other" doc:"They said nothing about the upstream."`
	Unknown int `json:"unknown" doc:"They were refused at the time as well."`
}

// WhatIfOpening is one time that a breaker opened.
type WhatIfOpening struct {
	At        time.Time `json:"at"`
	OpenMS    int64     `json:"open_ms"`
	Operation string    `json:"operation,omitempty" doc:"Left out: the breaker of the connection."`
	Reason    string    `json:"reason"`
	Again     bool      `json:"again" doc:"A probe had failed."`
}

func whatIfFiguresOf(f whatif.Figures) WhatIfFigures {
	return WhatIfFigures{
		Opened: f.Opened, Reopened: f.Reopened, OpenMS: f.OpenFor.Milliseconds(), RefusedBreaker: WhatIfRefusals(f.Breaker),
		RefusedLimits: WhatIfRefusals(f.Limits), DelayedAttempts: f.Delayed, LongestWaitMS: f.LongestWait.Milliseconds(), Sent: f.Sent,
		Openings: each(f.Openings, func(o whatif.Opening) WhatIfOpening {
			return WhatIfOpening{At: o.At.UTC(), OpenMS: o.For.Milliseconds(), Operation: o.Operation, Reason: o.Reason, Again: o.Again}
		}),
	}
}

func whatIfOf(r whatif.Result) WhatIf {
	s := r.Sample
	return WhatIf{
		Connection: r.Slug, Version: r.Version, Summary: r.Summary(), Since: r.Since.UTC(), From: r.From.UTC(), Until: r.Until.UTC(), LeftOut: r.Older,
		Same: r.Same, Present: whatIfFiguresOf(r.Now), Edited: whatIfFiguresOf(r.Edited), Caveats: r.Caveats,
		Sample: WhatIfSample{
			Calls: s.Calls, Attempts: s.Attempts, Failing: s.Failing, Good: s.Good, Unknown: s.Refused, FromCache: s.Cached, Unsent: s.Unsent,
		},
	}
}

type askWhatIf struct {
	BySlug

	Body WhatIfQuestion
}

// whatIfRoutes serve replays.
func (v *version) whatIfRoutes() {
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/policy/what-if", id: "ask-what-if", tag: "Breakers", reads: true,
		summary: "Try an edited policy on the calls of the last days",
		description: "The recorded calls go through the breakers and limits of the present and of the edited policy; nothing is saved. " +
			"At most 1,000,000 calls are replayed, the newest, and as many as can be in 20 seconds. A key that may read is enough.",
	}, v.askWhatIf)
}

func (v *version) askWhatIf(ctx context.Context, in *askWhatIf) (*struct{ Body WhatIf }, error) {
	q := whatif.Question{Slug: in.Slug}
	if in.Body.Since != "" {
		var err error
		if q.Since, err = time.ParseDuration(in.Body.Since); err != nil || q.Since <= 0 {
			return nil, fault.Field("INVALID_SINCE", "since", "It must be a duration such as 24h or 168h.").WithValue(clip(in.Body.Since))
		}
	}
	c, err := v.deps.Connections.Find(ctx, actor(ctx), in.Slug)
	if err != nil {
		return nil, err
	}
	var own any
	if err := decodeExactly(policyOf(c.Policy), &own); err != nil {
		return nil, err
	}
	if q.Policy, err = json.Marshal(mergeJSON(own, in.Body.Policy)); err != nil {
		return nil, err
	}
	r, err := v.deps.WhatIf.Ask(ctx, actor(ctx), q)
	return &struct{ Body WhatIf }{whatIfOf(r)}, err
}
