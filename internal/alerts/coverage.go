package alerts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"switchgear/internal/connections"
)

// Coverage is who would hear of a connection that stands still.
type Coverage struct {
	// Rules are the names of the enabled rules that cover it, Channels those of the enabled channels that these
	// tell.
	Rules, Channels []string
	// DeliveredAt is when one of the channels delivered something last, a test included, and Over its name.
	DeliveredAt time.Time
	Over        string
	// FailedAt is when the channel that delivered last, or any where none did, failed since; zero when not.
	FailedAt time.Time
}

// Coverage returns who would hear of a connection. It checks no permission: whoever judges the connection may
// read it.
func (s *Service) Coverage(ctx context.Context, c connections.Connection) (Coverage, error) {
	all, err := s.store.channels(ctx, s.deps.DB)
	if err != nil {
		return Coverage{}, fmt.Errorf("alerts: coverage of %s: %w", c.Slug, err)
	}
	var out Coverage
	told := map[string]bool{}
	for _, r := range s.set.Load().rules {
		if r.Enabled && r.Scope.covers(&c) {
			out.Rules = append(out.Rules, r.Name)
			for _, id := range r.Channels {
				told[id] = true
			}
		}
	}
	slices.Sort(out.Rules)
	var failed time.Time
	for _, channel := range all {
		if !channel.Enabled || !told[channel.ID] {
			continue
		}
		out.Channels = append(out.Channels, channel.Name)
		failed = laterOf(failed, channel.LastFailedAt)
		if channel.LastDeliveredAt.After(out.DeliveredAt) {
			out.DeliveredAt, out.Over, out.FailedAt = channel.LastDeliveredAt, channel.Name, time.Time{}
			if channel.LastFailedAt.After(channel.LastDeliveredAt) {
				out.FailedAt = channel.LastFailedAt
			}
		}
	}
	if out.DeliveredAt.IsZero() {
		out.FailedAt = failed
	}
	return out, nil
}
