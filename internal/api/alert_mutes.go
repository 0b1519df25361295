package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/alerts"
)

// AlertMute keeps notifications from being sent for a while.
type AlertMute struct {
	ID         string    `json:"id" example:"amu_01k8"`
	Rule       string    `json:"rule,omitempty" doc:"The id of a rule; left out: every rule."`
	Connection string    `json:"connection,omitempty" doc:"The slug of a connection; left out: every connection."`
	Until      time.Time `json:"until"`
	Reason     string    `json:"reason"`
	By         string    `json:"by"`
	CreatedAt  time.Time `json:"created_at"`
}

// AlertMuteInput is a mute on its way in.
type AlertMuteInput struct {
	Rule       string    `json:"rule,omitempty" doc:"The id of a rule; left out: every rule."`
	Connection string    `json:"connection,omitempty" doc:"The slug of a connection; left out: every connection. With neither, everything is muted."`
	Until      time.Time `json:"until" doc:"At most 30 days ahead."`
	Reason     string    `json:"reason" example:"Planned work of the vendor." doc:"At most 500 characters."`
}

// AlertMuteChange is what can change about a mute.
type AlertMuteChange struct {
	Until  time.Time `json:"until" doc:"At most 30 days ahead."`
	Reason string    `json:"reason" doc:"At most 500 characters."`
}

func alertMuteOf(m alerts.Mute) AlertMute {
	return AlertMute{ID: m.ID, Rule: m.RuleID, Connection: m.Connection, Until: m.Until, Reason: m.Reason, By: m.By, CreatedAt: m.CreatedAt}
}

type alertMuteList struct {
	Body struct {
		Data []AlertMute `json:"data" nullable:"false"`
		Meta Meta        `json:"meta"`
	}
}

type alertMuteOutput struct{ Body AlertMute }

type createdAlertMute struct {
	Location string `header:"Location" doc:"Where the mute is."`
	Body     AlertMute
}

func (v *version) alertMuteRoutes(tag string) {
	register(v, route{
		method: http.MethodGet, path: "/alert-mutes", id: "list-alert-mutes", tag: tag, summary: "List mutes",
		description: "Those in force and those that ended within a day, by their end; until is the one field to sort by.",
	}, func(ctx context.Context, in *struct{ Paging }) (*alertMuteList, error) {
		all, err := v.deps.Alerts.Mutes(ctx, actor(ctx))
		if err != nil {
			return nil, err
		}
		if err := sortBy(all, in.Sort, []order[alerts.Mute]{{"until", func(a, b alerts.Mute) int { return a.Until.Compare(b.Until) }}}); err != nil {
			return nil, err
		}
		out := &alertMuteList{}
		out.Body.Meta, out.Body.Data = in.meta(len(all)), each(cut(in.Paging, all), alertMuteOf)
		return out, nil
	})
	register(v, route{
		method: http.MethodPost, path: "/alert-mutes", id: "create-alert-mute", tag: tag, summary: "Mute alerts until a time", status: http.StatusCreated,
		description: "Alerts are recorded all the same, and what still fires at the end is told then.",
	}, func(ctx context.Context, in *struct{ Body AlertMuteInput }) (*createdAlertMute, error) {
		m, err := v.deps.Alerts.CreateMute(ctx, actor(ctx), alerts.MuteDraft{RuleID: in.Body.Rule, Connection: in.Body.Connection, Until: in.Body.Until, Reason: in.Body.Reason})
		return &createdAlertMute{Location: v.path("/alert-mutes/" + m.ID), Body: alertMuteOf(m)}, err
	})
	register(v, route{
		method: http.MethodGet, path: "/alert-mutes/{id}", id: "get-alert-mute", tag: tag, summary: "Read a mute",
	}, func(ctx context.Context, in *struct{ ByID }) (*alertMuteOutput, error) {
		m, err := v.deps.Alerts.Mute(ctx, actor(ctx), in.ID)
		return &alertMuteOutput{alertMuteOf(m)}, err
	})
	register(v, route{
		method: http.MethodPut, path: "/alert-mutes/{id}", id: "change-alert-mute", tag: tag, summary: "Change until when a mute lasts, and why",
	}, func(ctx context.Context, in *struct {
		ByID

		Body AlertMuteChange
	},
	) (*alertMuteOutput, error) {
		m, err := v.deps.Alerts.EditMute(ctx, actor(ctx), in.ID, in.Body.Until, in.Body.Reason)
		return &alertMuteOutput{alertMuteOf(m)}, err
	})
	register(v, route{
		method: http.MethodDelete, path: "/alert-mutes/{id}", id: "end-alert-mute", tag: tag, summary: "End a mute now", status: http.StatusNoContent,
	}, func(ctx context.Context, in *struct{ ByID }) (*struct{}, error) {
		return nil, v.deps.Alerts.EndMute(ctx, actor(ctx), in.ID)
	})
}
