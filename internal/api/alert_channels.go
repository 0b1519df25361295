package api

import (
	"context"
	"net/http"
	"time"

	"switchgear/internal/alerts"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/fault"
)

// AlertChannel is where alerts are told, without secrets.
type AlertChannel struct {
	ID              string            `json:"id" example:"ach_01k8"`
	Name            string            `json:"name" example:"On call"`
	Kind            string            `json:"kind" example:"webhook"`
	Enabled         bool              `json:"enabled"`
	DisabledReason  string            `json:"disabled_reason,omitempty" doc:"Why the program switched it off."`
	Settings        map[string]string `json:"settings" doc:"The values that are not secret."`
	Secrets         []string          `json:"secrets" nullable:"false" doc:"The names of the secret fields that are set. Their values are never returned."`
	PreviousUntil   time.Time         `json:"previous_secret_until,omitzero" doc:"Until when the secret before a rotation signs as well."`
	LastDeliveredAt time.Time         `json:"last_delivered_at,omitzero"`
	LastFailedAt    time.Time         `json:"last_failed_at,omitzero"`
	LastError       string            `json:"last_error,omitempty" doc:"Of the last attempt; left out when it succeeded."`
	CreatedAt       time.Time         `json:"created_at"`
	UpdatedAt       time.Time         `json:"updated_at"`
}

// AlertChannelInput is a channel on its way in.
type AlertChannelInput struct {
	Name     string            `json:"name" example:"On call"`
	Kind     string            `json:"kind" example:"webhook" doc:"webhook, slack or email."`
	Enabled  *bool             `json:"enabled,omitempty" doc:"Left out: true."`
	Settings map[string]string `json:"settings,omitempty" example:"{\"url\":\"https://hooks.example.com/a\",\"signing_secret\":\"whsec_…\"}" doc:"webhook: url, signing_secret. slack: url. email: host, port, security (starttls or tls), username, password, from, to. Secret ones are write-only; left out, they keep their value."`
}

func (in AlertChannelInput) draft() alerts.ChannelDraft {
	return alerts.ChannelDraft{Name: in.Name, Kind: in.Kind, Enabled: in.Enabled == nil || *in.Enabled, Settings: in.Settings}
}

// AlertSecret is a new signing secret.
type AlertSecret struct {
	Secret string `json:"signing_secret" doc:"whsec_ and 24 to 64 bytes in base64. It is never returned."`
	Grace  string `json:"grace,omitempty" example:"24h" doc:"How long the one before signs as well, 168h at most. Left out: not at all."`
}

func alertChannelOf(c alerts.Channel) AlertChannel {
	out := AlertChannel{
		ID: c.ID, Name: c.Name, Kind: c.Kind, Enabled: c.Enabled, DisabledReason: c.DisabledReason, Settings: c.Settings, Secrets: append([]string{}, c.Secrets...),
		PreviousUntil: c.PreviousUntil, LastDeliveredAt: c.LastDeliveredAt, LastFailedAt: c.LastFailedAt, LastError: c.LastError,
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if out.Settings == nil {
		out.Settings = map[string]string{}
	}
	return out
}

type alertChannelList struct {
	Body struct {
		Data []AlertChannel `json:"data" nullable:"false"`
		Meta Meta           `json:"meta"`
	}
}

type alertChannelOutput struct{ Body AlertChannel }

type createdAlertChannel struct {
	Location string `header:"Location" doc:"Where the channel is."`
	Body     AlertChannel
}

func (v *version) alertChannelRoutes(tag string) {
	register(v, route{
		method: http.MethodGet, path: "/alert-channels", id: "list-alert-channels", tag: tag, summary: "List alert channels", description: "Sorted by name, or as asked.",
	}, func(ctx context.Context, in *struct{ Paging }) (*alertChannelList, error) {
		all, err := v.deps.Alerts.Channels(ctx, actor(ctx))
		if err != nil {
			return nil, err
		}
		if err := sortBy(all, in.Sort, []order[alerts.Channel]{{"name", func(a, b alerts.Channel) int { return compare(a.Name, b.Name) }}}); err != nil {
			return nil, err
		}
		out := &alertChannelList{}
		out.Body.Meta, out.Body.Data = in.meta(len(all)), each(cut(in.Paging, all), alertChannelOf)
		return out, nil
	})
	register(v, route{
		method: http.MethodPost, path: "/alert-channels", id: "create-alert-channel", tag: tag, summary: "Create an alert channel", status: http.StatusCreated,
		description: "Secrets are stored sealed and never returned; a webhook needs its signing secret here.",
	}, v.createAlertChannel)
	register(v, route{
		method: http.MethodGet, path: "/alert-channels/{id}", id: "get-alert-channel", tag: tag, summary: "Read an alert channel",
	}, func(ctx context.Context, in *struct{ ByID }) (*alertChannelOutput, error) {
		c, err := v.deps.Alerts.Channel(ctx, actor(ctx), in.ID)
		return &alertChannelOutput{alertChannelOf(c)}, err
	})
	register(v, route{
		method: http.MethodPut, path: "/alert-channels/{id}", id: "replace-alert-channel", tag: tag, summary: "Replace what an alert channel says",
	}, func(ctx context.Context, in *struct {
		ByID

		Body AlertChannelInput
	},
	) (*alertChannelOutput, error) {
		c, err := v.deps.Alerts.EditChannel(ctx, actor(ctx), in.ID, in.Body.draft())
		return &alertChannelOutput{alertChannelOf(c)}, err
	})
	register(v, route{
		method: http.MethodDelete, path: "/alert-channels/{id}", id: "delete-alert-channel", tag: tag, summary: "Delete an alert channel that no rule uses",
		status: http.StatusNoContent, refusals: []int{http.StatusConflict},
	}, func(ctx context.Context, in *struct {
		ByID
		Why
	},
	) (*struct{}, error) {
		return nil, v.deps.Alerts.DeleteChannel(ctx, actor(ctx), in.ID, in.Reason)
	})
	register(v, route{
		method: http.MethodPost, path: "/alert-channels/{id}/test", id: "test-alert-channel", tag: tag, summary: "Send a test over an alert channel now",
		description: "It is tried once; the answer says whether it arrived.",
	}, func(ctx context.Context, in *struct{ ByID }) (*struct{ Body AlertNotification }, error) {
		n, err := v.deps.Alerts.SendTest(ctx, actor(ctx), in.ID)
		return &struct{ Body AlertNotification }{notificationOf(n)}, err
	})
	register(v, route{
		method: http.MethodPost, path: "/alert-channels/{id}/rotate", id: "rotate-alert-channel", tag: tag, summary: "Replace the signing secret of a webhook",
	}, v.rotateAlertChannel)
	register(v, route{
		method: http.MethodGet, path: "/alert-channels/{id}/notifications", id: "list-channel-notifications", tag: tag, summary: "List what was sent over an alert channel",
		description: "The newest first, tests included.",
	}, func(ctx context.Context, in *listNotifications) (*notificationList, error) {
		if _, err := v.deps.Alerts.Channel(ctx, actor(ctx), in.ID); err != nil {
			return nil, err
		}
		return v.notifications(ctx, in, alerts.NotificationQuery{ChannelID: in.ID})
	})
}

// createAlertChannel asks for a signing secret: one that was made could only be told in the answer, and answers
// hold no secret.
func (v *version) createAlertChannel(ctx context.Context, in *struct{ Body AlertChannelInput }) (*createdAlertChannel, error) {
	kind, err := channels.Lookup(in.Body.Kind)
	if err != nil {
		return nil, err
	}
	if _, signs := kind.Info().Find(channels.SecretField); signs && in.Body.Settings[channels.SecretField] == "" {
		return nil, fault.Field("SECRET_MISSING", channels.FieldPath(channels.SecretField), "The signing secret is missing: whsec_ and 24 to 64 bytes in base64.")
	}
	c, _, err := v.deps.Alerts.CreateChannel(ctx, actor(ctx), in.Body.draft())
	return &createdAlertChannel{Location: v.path("/alert-channels/" + c.ID), Body: alertChannelOf(c)}, err
}

func (v *version) rotateAlertChannel(ctx context.Context, in *struct {
	ByID

	Body AlertSecret
},
) (*alertChannelOutput, error) {
	if in.Body.Secret == "" {
		return nil, fault.Field("SECRET_MISSING", "signing_secret", "The signing secret is missing: whsec_ and 24 to 64 bytes in base64.")
	}
	grace, err := duration("grace", in.Body.Grace)
	if err != nil {
		return nil, err
	}
	c, _, err := v.deps.Alerts.RotateSecret(ctx, actor(ctx), in.ID, in.Body.Secret, grace)
	return &alertChannelOutput{alertChannelOf(c)}, err
}
