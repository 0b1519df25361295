package app

import (
	"context"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/connect"
	"switchgear/internal/credentials"
	"switchgear/internal/runtime/egress"
)

// openAlerts builds what watches, and what tells people of it.
func (c *core) openAlerts(ctx context.Context, sealer *credentials.Sealer, guard *egress.Guard, notify func(topic string)) error {
	var err error
	c.sender, err = alerts.NewSender(alerts.SenderDeps{
		DB: c.db, Sealer: sealer, Guard: guard, Notify: notify, Logger: c.logger, Now: time.Now,
	}, alerts.SenderConfig{})
	if err != nil {
		return err
	}
	c.alerts, err = alerts.New(ctx, alerts.Deps{
		DB: c.db, Audit: c.audit, Sealer: sealer, Connections: c.connections, Health: c.health, Breakers: c.protections.Breakers(),
		Calls: c.calls, Outbox: c.sender, BaseURL: c.baseURL, Notify: notify, Logger: c.logger, Now: time.Now,
	}, alerts.Config{})
	return err
}

// firing is how many alerts fire, for every severity there is.
func (c *core) firing() map[string]int {
	counts := c.alerts.Firing()
	out := map[string]int{}
	for _, severity := range alerts.Severities() {
		out[string(severity)] = counts[severity]
	}
	return out
}

// linkTeller tells a webhook what became of a connect link.
type linkTeller struct{ core *core }

// Check implements connect.Teller.
func (t linkTeller) Check(ctx context.Context, a access.Actor, channelID string) error {
	return t.core.alerts.CheckWebhook(ctx, a, channelID)
}

// Ended implements connect.Teller.
func (t linkTeller) Ended(ctx context.Context, s connect.Session) error {
	why := "The account " + s.Account + " was connected."
	if s.Status != connect.SessionDone {
		why = s.Problem
	}
	return t.core.alerts.Announce(ctx, s.ChannelID, channels.Message{
		Event: channels.EventConnect, Connection: s.Slug, ConnectionName: s.Slug, Why: why,
		SessionID: s.ID, Account: s.Account, Status: s.Status, Error: s.Code,
	})
}
