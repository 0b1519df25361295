package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/checklist"
	"switchgear/internal/connections"
)

// readiness judges checklists; *checklist.Service does.
type readiness interface {
	List(a access.Actor, q checklist.Query) (checklist.Page, error)
	Of(ctx context.Context, a access.Actor, slug string) (checklist.Checklist, error)
	Attest(ctx context.Context, a access.Actor, slug, item string, st checklist.Statement) error
	Exempt(ctx context.Context, a access.Actor, slug, item string, st checklist.Statement) error
}

// ChecklistSummary is how ready a connection is.
type ChecklistSummary struct {
	Connection  string `json:"connection" example:"stripe"`
	Name        string `json:"name"`
	Environment string `json:"environment"`
	Version     int    `json:"version"`
	Done        int    `json:"done" doc:"Items that pass or are exempt. Unknown is never a pass."`
	Total       int    `json:"total"`
	Configured  int    `json:"configured" doc:"Items whose stage configured passes."`
	Proven      int    `json:"proven" doc:"Items whose stage proven passes."`
	Observed    int    `json:"observed" doc:"Items whose stage observed passes, proven or not."`
	// JudgedAt is left out before the connection was judged.
	JudgedAt time.Time         `json:"judged_at,omitzero"`
	Items    map[string]string `json:"items" example:"{\"retry\":\"unknown\"}" doc:"The verdict of each item: pass, fail, stale, unknown or exempt."`
}

// ChecklistItem is one item with its stages and the newest evidence.
type ChecklistItem struct {
	ID         string           `json:"id" example:"circuit_breaker"`
	Number     int              `json:"number"`
	Title      string           `json:"title"`
	Verdict    string           `json:"verdict" enum:"pass,fail,stale,unknown,exempt"`
	Stage      string           `json:"stage" enum:"none,configured,proven,observed"`
	Message    string           `json:"message" doc:"Why, with the measured value."`
	Measured   string           `json:"measured,omitempty"`
	Threshold  string           `json:"threshold,omitempty"`
	Proof      string           `json:"proof" enum:"computed,person,drill" doc:"What can prove the item."`
	MaxDays    int              `json:"max_days,omitempty" doc:"How long an attestation may hold; left out where none is possible."`
	ConfigHash string           `json:"config_hash" doc:"Of the part of the definition that evidence is bound to."`
	Configured ChecklistFinding `json:"configured"`
	Proven     ChecklistFinding `json:"proven"`
	Observed   ChecklistFinding `json:"observed"`
	Evidence   []Evidence       `json:"evidence" nullable:"false" doc:"The newest first."`
}

// ChecklistFinding is what a stage of an item shows.
type ChecklistFinding struct {
	Verdict   string `json:"verdict,omitempty" doc:"Left out when there is nothing to see."`
	Message   string `json:"message,omitempty"`
	Measured  string `json:"measured,omitempty"`
	Threshold string `json:"threshold,omitempty"`
}

// Evidence is one stored entry about an item.
type Evidence struct {
	ID         string    `json:"id" example:"evd_01k8"`
	ConfigHash string    `json:"config_hash"`
	Method     string    `json:"method" enum:"static,observed,drill,attested"`
	Verdict    string    `json:"verdict" enum:"pass,fail,stale,unknown,exempt"`
	Measured   string    `json:"measured"`
	Threshold  string    `json:"threshold"`
	Message    string    `json:"message"`
	Artifacts  []string  `json:"artifacts" nullable:"false"`
	Actor      Author    `json:"actor"`
	At         time.Time `json:"at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
}

// ChecklistDetail is the checklist of one connection.
type ChecklistDetail struct {
	ChecklistSummary

	Details []ChecklistItem `json:"details" nullable:"false" doc:"In the order of their numbers."`
}

// ChecklistStatement is what somebody says about an item.
type ChecklistStatement struct {
	Reason     string `json:"reason" minLength:"1" example:"Read it with the team." doc:"What was looked at, or why the item need not hold; at most 500 characters."`
	Days       int    `json:"days" minimum:"1" example:"30" doc:"For how many days."`
	ConfigHash string `json:"config_hash,omitempty" doc:"The configuration that was looked at. When it is another one by now, the answer is 409."`
}

func checklistOf(s checklist.Summary) ChecklistSummary {
	out := ChecklistSummary{
		Connection: s.Slug, Name: s.Name, Environment: s.Environment, Version: s.Version, Done: s.Done, Total: checklist.Total(), JudgedAt: s.At,
		Configured: s.Passing(checklist.StageConfigured), Proven: s.Passing(checklist.StageProven), Observed: s.Passing(checklist.StageObserved),
		Items: map[string]string{},
	}
	for i, item := range checklist.All() {
		if i < len(s.Items) {
			out.Items[item.Info().ID] = string(s.Items[i].Verdict)
		}
	}
	return out
}

func checklistItemOf(r checklist.Result) ChecklistItem {
	finding := func(f checklist.Finding) ChecklistFinding {
		return ChecklistFinding{Verdict: string(f.Verdict), Message: f.Message, Measured: f.Measured, Threshold: f.Threshold}
	}
	return ChecklistItem{
		ID: r.ID, Number: r.Number, Title: r.Title, Verdict: string(r.Verdict), Stage: string(r.Stage), Message: r.Message, Measured: r.Measured,
		Threshold: r.Threshold, Proof: string(r.Proof), MaxDays: r.MaxDays, ConfigHash: r.ConfigHash,
		Configured: finding(r.Configured), Proven: finding(r.Proven), Observed: finding(r.Observed), Evidence: each(r.History, evidenceOf),
	}
}

func evidenceOf(e checklist.Evidence) Evidence {
	out := Evidence{
		ID: e.ID, ConfigHash: e.ConfigHash, Method: string(e.Method), Verdict: string(e.Verdict), Measured: e.Measured, Threshold: e.Threshold,
		Message: e.Message, Artifacts: e.Artifacts, Actor: Author{Kind: e.ActorKind, Name: e.ActorName}, At: e.At, ExpiresAt: e.ExpiresAt,
	}
	if out.Artifacts == nil {
		out.Artifacts = []string{}
	}
	return out
}

type listChecklists struct {
	Paging

	Search      string `query:"filter[search]" doc:"Words that occur in the name or slug."`
	Environment string `query:"filter[environment]" doc:"production, staging, development or sandbox."`
	Verdict     string `query:"filter[verdict]" doc:"Connections with an item that is pass, fail, stale, unknown or exempt."`
	Item        string `query:"filter[item]" doc:"With a verdict: the item that has it."`
}

type checklistList struct {
	Body struct {
		Data []ChecklistSummary `json:"data" nullable:"false"`
		Meta Meta               `json:"meta"`
	}
}

type checklistOutput struct{ Body ChecklistDetail }

type sayChecklist struct {
	BySlug

	Item string `path:"item" doc:"The id of an item." example:"documentation"`
	Body ChecklistStatement
}

// checklistRoutes serve how ready connections are.
func (v *version) checklistRoutes() {
	const tag = "Checklists"
	register(v, route{
		method: http.MethodGet, path: "/checklists", id: "list-checklists", tag: tag, summary: "List how ready the connections are",
		description: "Sorted by done, name or environment; without a wish, what lacks most comes first.",
	}, v.listChecklists)
	register(v, route{
		method: http.MethodGet, path: "/connections/{slug}/checklist", id: "get-checklist", tag: tag, summary: "Read the checklist of a connection with its evidence",
	}, func(ctx context.Context, in *struct{ BySlug }) (*checklistOutput, error) {
		return v.checklist(ctx, in.Slug)
	})
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/checklist/{item}/attest", id: "attest-item", tag: tag, summary: "Say that an item holds, having looked",
		description: "Only for items that a person can judge; it ends by itself.",
	}, func(ctx context.Context, in *sayChecklist) (*checklistOutput, error) {
		return v.say(ctx, in, v.deps.Checklists.Attest)
	})
	register(v, route{
		method: http.MethodPost, path: "/connections/{slug}/checklist/{item}/exempt", id: "exempt-item", tag: tag, summary: "Approve that an item need not hold for a while",
	}, func(ctx context.Context, in *sayChecklist) (*checklistOutput, error) {
		return v.say(ctx, in, v.deps.Checklists.Exempt)
	})
}

func (v *version) listChecklists(ctx context.Context, in *listChecklists) (*checklistList, error) {
	verdicts := each(checklist.Verdicts(), func(v checklist.Verdict) string { return string(v) })
	items := each(checklist.All(), func(i checklist.Item) string { return i.Info().ID })
	for _, check := range []error{
		checkSort(in.Sort, "done", "name", "environment"), oneOf("filter[environment]", in.Environment, connections.Environments()),
		oneOf("filter[verdict]", in.Verdict, verdicts), oneOf("filter[item]", in.Item, items),
	} {
		if check != nil {
			return nil, check
		}
	}
	page, err := v.deps.Checklists.List(actor(ctx), checklist.Query{
		Search: in.Search, Environment: in.Environment, Verdict: checklist.Verdict(in.Verdict), Item: in.Item, Sort: in.Sort, Page: in.Page, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	out := &checklistList{}
	out.Body.Meta, out.Body.Data = in.meta(page.Total), each(page.Summaries, checklistOf)
	return out, nil
}

func (v *version) checklist(ctx context.Context, slug string) (*checklistOutput, error) {
	list, err := v.deps.Checklists.Of(ctx, actor(ctx), slug)
	if err != nil {
		return nil, err
	}
	return &checklistOutput{ChecklistDetail{ChecklistSummary: checklistOf(list.Summary), Details: each(list.Items, checklistItemOf)}}, nil
}

// say stores a statement and answers what the checklist is with it.
func (v *version) say(ctx context.Context, in *sayChecklist, do func(ctx context.Context, a access.Actor, slug, item string, st checklist.Statement) error) (*checklistOutput, error) {
	st := checklist.Statement{Reason: in.Body.Reason, Days: in.Body.Days, ConfigHash: in.Body.ConfigHash}
	if err := do(ctx, actor(ctx), in.Slug, in.Item, st); err != nil {
		return nil, err
	}
	return v.checklist(ctx, in.Slug)
}
