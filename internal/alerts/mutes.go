package alerts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

const maxMutes = 500

// MuteDraft is a mute on its way in.
type MuteDraft struct {
	// RuleID is empty for every rule, Connection (a slug) for every connection. Neither mutes everything.
	RuleID, Connection string
	Until              time.Time
	Reason             string
}

// Mutes returns those in force, and those that ended within a day, the one that ends first first. It needs
// system:read.
func (s *Service) Mutes(_ context.Context, a access.Actor) ([]Mute, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	return slices.Clone(s.set.Load().mutes), nil
}

// Mute returns one of them. It needs system:read. One that does not exist is a fault.NotFound MUTE_NOT_FOUND.
func (s *Service) Mute(ctx context.Context, a access.Actor, id string) (Mute, error) {
	all, err := s.Mutes(ctx, a)
	if err != nil {
		return Mute{}, err
	}
	for _, m := range all {
		if m.ID == id {
			return m, nil
		}
	}
	return Mute{}, noMute()
}

func noMute() error { return fault.New(fault.NotFound, "MUTE_NOT_FOUND", "There is no such mute.") }

// CreateMute keeps notifications from being sent until a time. It needs operate.
func (s *Service) CreateMute(ctx context.Context, a access.Actor, d MuteDraft) (Mute, error) {
	now := s.moment()
	m := Mute{ID: db.NewID("amu"), RuleID: d.RuleID, Connection: d.Connection, CreatedAt: now}
	err := s.change(ctx, a, access.PermissionOperate, func(tx *db.Tx, a access.Actor) (audit.Entry, error) {
		if d.RuleID != "" {
			if _, err := s.ruleIn(ctx, tx, d.RuleID); err != nil {
				return audit.Entry{}, err
			}
		}
		if d.Connection != "" {
			c, err := s.find(d.Connection)
			if err != nil {
				return audit.Entry{}, err
			}
			m.ConnectionID = c.ID
		}
		all, err := s.store.mutes(ctx, tx, now)
		if err != nil {
			return audit.Entry{}, err
		}
		if len(all) >= maxMutes {
			return audit.Entry{}, fault.New(fault.Conflict, "TOO_MANY_MUTES", "There are too many mutes. End one first.")
		}
		m.By = a.Name
		if m, err = s.putMute(ctx, tx, m, d.Until, d.Reason); err != nil {
			return audit.Entry{}, err
		}
		return m.entry(actionMuteCreate), nil
	})
	return m, err
}

// EditMute changes until when a mute lasts, and why. It needs operate.
func (s *Service) EditMute(ctx context.Context, a access.Actor, id string, until time.Time, reason string) (Mute, error) {
	var m Mute
	err := s.change(ctx, a, access.PermissionOperate, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		before, err := s.muteIn(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		if m, err = s.putMute(ctx, tx, before, until, reason); err != nil {
			return audit.Entry{}, err
		}
		return m.entry(actionMuteEdit), nil
	})
	return m, err
}

// EndMute ends a mute now. It needs operate.
func (s *Service) EndMute(ctx context.Context, a access.Actor, id string) error {
	return s.change(ctx, a, access.PermissionOperate, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		m, err := s.muteIn(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		return m.entry(actionMuteEnd), s.store.deleteMute(ctx, tx, id)
	})
}

func (s *Service) muteIn(ctx context.Context, tx *db.Tx, id string) (Mute, error) {
	all, err := s.store.mutes(ctx, tx, s.deps.Now())
	if err != nil {
		return Mute{}, err
	}
	for _, m := range all {
		if m.ID == id {
			return m, nil
		}
	}
	return Mute{}, noMute()
}

func (s *Service) putMute(ctx context.Context, tx *db.Tx, m Mute, until time.Time, reason string) (Mute, error) {
	now := s.moment()
	var err error
	if m.Reason, err = checkText("reason", reason, "Say why. The reason is shown beside what is muted."); err != nil {
		return m, err
	}
	if m.Until = db.Time(db.Micros(until)); !m.Until.After(now) || m.Until.After(now.Add(MaxMute)) {
		return m, fault.Field("INVALID_UNTIL", "until", fmt.Sprintf("It must be in the future, at most %d days ahead.", int(MaxMute.Hours()/24)))
	}
	return m, s.store.putMute(ctx, tx, m)
}

func (m Mute) entry(action string) audit.Entry {
	return audit.Entry{Action: action, Reason: m.Reason, Target: audit.Target{Kind: "alert_mute", ID: m.ID, Name: m.Connection}, Details: map[string]string{
		"rule": m.RuleID, "connection": m.Connection, "until": m.Until.UTC().Format(time.RFC3339),
	}}
}
