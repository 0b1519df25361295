package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/alerts"
)

// AlertScope selects connections. Left out, it selects all.
type AlertScope struct {
	Connections []string `json:"connections,omitempty" doc:"Slugs; left out: all."`
	Environment string   `json:"environment,omitempty" doc:"production, staging, development or sandbox; left out: all."`
}

// AlertRule is what somebody wants to hear of.
type AlertRule struct {
	ID             string            `json:"id" example:"arl_01k8"`
	Name           string            `json:"name" example:"Breaker opened"`
	Kind           string            `json:"kind" example:"breaker_opened"`
	Enabled        bool              `json:"enabled"`
	Severity       string            `json:"severity" enum:"critical,warning,info"`
	Scope          AlertScope        `json:"scope"`
	Params         map[string]string `json:"params" doc:"The parameters of the kind."`
	For            string            `json:"for" example:"2m0s" doc:"How long the condition must hold."`
	Repeat         string            `json:"repeat" example:"0s" doc:"After how long it is told again; 0s: never."`
	Channels       []string          `json:"channels" nullable:"false" doc:"The ids of the channels that are told."`
	NotifyResolved bool              `json:"notify_resolved"`
	CreatedAt      time.Time         `json:"created_at,omitzero" doc:"Left out for a rule that came with the product."`
	UpdatedAt      time.Time         `json:"updated_at,omitzero"`
}

// AlertRuleInput is a rule on its way in.
type AlertRuleInput struct {
	Name           string            `json:"name" example:"Error budget of payments"`
	Kind           string            `json:"kind" example:"error_budget" doc:"breaker_opened, connection_down, credential_problem, held_by_vendor, error_budget or token_expires_soon."`
	Enabled        *bool             `json:"enabled,omitempty" doc:"Left out: true."`
	Severity       string            `json:"severity,omitempty" doc:"critical, warning or info. Left out: that of the kind."`
	Scope          AlertScope        `json:"scope,omitzero"`
	Params         map[string]string `json:"params,omitempty" example:"{\"window\":\"1h\",\"max_error_share\":\"5\",\"min_calls\":\"50\"}" doc:"Parameters of the kind that differ from their defaults."`
	For            string            `json:"for,omitempty" example:"2m" doc:"How long the condition must hold, 24h at most. Left out: not at all."`
	Repeat         string            `json:"repeat,omitempty" example:"4h" doc:"After how long it is told again, from 5m to 168h. Left out: never."`
	Channels       []string          `json:"channels,omitempty" doc:"The ids of the channels that are told."`
	NotifyResolved *bool             `json:"notify_resolved,omitempty" doc:"Left out: true."`
}

func (in AlertRuleInput) draft() (alerts.RuleDraft, error) {
	d := alerts.RuleDraft{
		Name: in.Name, Kind: in.Kind, Enabled: in.Enabled == nil || *in.Enabled, Severity: alerts.Severity(in.Severity),
		Scope: alerts.Scope{Connections: in.Scope.Connections, Environment: in.Scope.Environment}, Params: in.Params, Channels: in.Channels,
		NotifyResolved: in.NotifyResolved == nil || *in.NotifyResolved,
	}
	var err error
	if d.For, err = duration("for", in.For); err != nil {
		return d, err
	}
	d.Repeat, err = duration("repeat", in.Repeat)
	return d, err
}

func alertRuleOf(r alerts.Rule) AlertRule {
	out := AlertRule{
		ID: r.ID, Name: r.Name, Kind: r.Kind, Enabled: r.Enabled, Severity: string(r.Severity), Params: r.Params, For: r.For.String(), Repeat: r.Repeat.String(),
		Scope: AlertScope{r.Scope.Connections, r.Scope.Environment}, Channels: append([]string{}, r.Channels...), NotifyResolved: r.NotifyResolved,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if out.Params == nil {
		out.Params = map[string]string{}
	}
	return out
}

type alertRuleList struct {
	Body struct {
		Data []AlertRule `json:"data" nullable:"false"`
		Meta Meta        `json:"meta"`
	}
}

type alertRuleOutput struct{ Body AlertRule }

type createdAlertRule struct {
	Location string `header:"Location" doc:"Where the rule is."`
	Body     AlertRule
}

func (v *version) alertRuleRoutes(tag string) {
	register(v, route{
		method: http.MethodGet, path: "/alert-rules", id: "list-alert-rules", tag: tag, summary: "List alert rules", description: "The oldest first; name is the one field to sort by.",
	}, func(ctx context.Context, in *struct{ Paging }) (*alertRuleList, error) {
		all, err := v.deps.Alerts.Rules(ctx, actor(ctx))
		if err != nil {
			return nil, err
		}
		if err := sortBy(all, in.Sort, []order[alerts.Rule]{{"name", func(a, b alerts.Rule) int { return compare(a.Name, b.Name) }}}); err != nil {
			return nil, err
		}
		out := &alertRuleList{}
		out.Body.Meta, out.Body.Data = in.meta(len(all)), each(cut(in.Paging, all), alertRuleOf)
		return out, nil
	})
	register(v, route{
		method: http.MethodPost, path: "/alert-rules", id: "create-alert-rule", tag: tag, summary: "Create an alert rule", status: http.StatusCreated,
	}, func(ctx context.Context, in *struct{ Body AlertRuleInput }) (*createdAlertRule, error) {
		d, err := in.Body.draft()
		if err != nil {
			return nil, err
		}
		r, err := v.deps.Alerts.CreateRule(ctx, actor(ctx), d)
		return &createdAlertRule{Location: v.path("/alert-rules/" + r.ID), Body: alertRuleOf(r)}, err
	})
	register(v, route{
		method: http.MethodGet, path: "/alert-rules/{id}", id: "get-alert-rule", tag: tag, summary: "Read an alert rule",
	}, func(ctx context.Context, in *struct{ ByID }) (*alertRuleOutput, error) {
		r, err := v.deps.Alerts.Rule(ctx, actor(ctx), in.ID)
		return &alertRuleOutput{alertRuleOf(r)}, err
	})
	register(v, route{
		method: http.MethodPut, path: "/alert-rules/{id}", id: "replace-alert-rule", tag: tag, summary: "Replace what an alert rule says",
	}, func(ctx context.Context, in *struct {
		ByID

		Body AlertRuleInput
	},
	) (*alertRuleOutput, error) {
		d, err := in.Body.draft()
		if err != nil {
			return nil, err
		}
		r, err := v.deps.Alerts.EditRule(ctx, actor(ctx), in.ID, d)
		return &alertRuleOutput{alertRuleOf(r)}, err
	})
	register(v, route{
		method: http.MethodDelete, path: "/alert-rules/{id}", id: "delete-alert-rule", tag: tag, summary: "Delete an alert rule with its mutes", status: http.StatusNoContent,
		description: "Its open alerts end; the history stays.",
	}, func(ctx context.Context, in *struct {
		ByID
		Why
	},
	) (*struct{}, error) {
		return nil, v.deps.Alerts.DeleteRule(ctx, actor(ctx), in.ID, in.Reason)
	})
}
