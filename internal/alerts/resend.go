package alerts

import (
	"context"
	"fmt"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// Resend tries a notification now that was given up, and returns what became of it. It keeps its id, so that a
// receiver knows it again, and has all its attempts anew. It needs operate. One that does not exist is a
// fault.NotFound NOTIFICATION_NOT_FOUND, one that was not given up a fault.Conflict NOTIFICATION_NOT_DEAD.
func (s *Service) Resend(ctx context.Context, a access.Actor, id string) (Notification, error) {
	err := s.change(ctx, a, access.PermissionOperate, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		all, err := s.store.notifications(ctx, tx, `WHERE id = $1`, id)
		switch {
		case err != nil:
			return audit.Entry{}, err
		case len(all) == 0:
			return audit.Entry{}, fault.New(fault.NotFound, "NOTIFICATION_NOT_FOUND", "There is no such notification.")
		case all[0].State != NotificationDead:
			return audit.Entry{}, fault.New(fault.Conflict, "NOTIFICATION_NOT_DEAD", "It was not given up: there is nothing to send again.")
		}
		entry := audit.Entry{
			Action: actionResend, Target: audit.Target{Kind: "alert_channel", ID: all[0].ChannelID, Name: all[0].ChannelName},
			Details: map[string]string{"notification": id, "alert": all[0].AlertID, "event": string(all[0].Event)},
		}
		// The worker leaves it to whoever asked, for a while.
		return entry, s.store.revive(ctx, tx, id, s.moment().Add(testDelay))
	})
	if err != nil {
		return Notification{}, err
	}
	defer s.deps.Notify(Topic)
	n, err := s.deps.Outbox.Deliver(ctx, id)
	if err != nil {
		return n, fmt.Errorf("alerts: resend: %w", err)
	}
	return n, nil
}
