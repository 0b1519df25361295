package alerts

import (
	"context"
	"fmt"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/fault"
)

// CheckWebhook refuses a channel that cannot be told of anything but alerts: one that does not exist, is
// switched off, or does not sign what it sends. It needs system:read.
func (s *Service) CheckWebhook(ctx context.Context, a access.Actor, channelID string) error {
	c, err := s.Channel(ctx, a, channelID)
	switch {
	case fault.Is(err, fault.NotFound):
		return fault.Field("CHANNEL_NOT_FOUND", "channel", "There is no such channel.")
	case err != nil:
		return err
	case c.Kind != "webhook" || !c.Enabled:
		return fault.Field("CHANNEL_NOT_USABLE", "channel", "It has to be a webhook that is switched on: what it says is signed.")
	}
	return nil
}

// Announce sends a message that is about no alert over a channel, at least once. It is for the program: no
// permission is asked for.
func (s *Service) Announce(ctx context.Context, channelID string, m channels.Message) error {
	err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		c, err := s.channelIn(ctx, tx, channelID)
		if err != nil {
			return err
		}
		n := Notification{
			ID: db.NewID("ant"), ChannelID: c.ID, ChannelName: c.Name, ChannelKind: c.Kind, Event: m.Event, State: NotificationPending,
			CreatedAt: s.moment(), RunAt: s.moment(), Message: m,
		}
		n.Message.ID, n.Message.At = n.ID, n.CreatedAt
		return s.deps.Outbox.Enqueue(ctx, tx, n)
	})
	if err != nil {
		return fmt.Errorf("alerts: announce: %w", err)
	}
	s.deps.Outbox.Committed()
	s.deps.Notify(Topic)
	return nil
}
