package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/alerts/channels"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

const maxChannels = 100

// Channels returns every channel by name. It needs system:read.
func (s *Service) Channels(ctx context.Context, a access.Actor) ([]Channel, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	all, err := s.store.channels(ctx, s.deps.DB) // what was sent over them is not in memory
	if err != nil {
		return nil, fmt.Errorf("alerts: channels: %w", err)
	}
	return all, nil
}

// Channel returns one channel. It needs system:read. One that does not exist is a fault.NotFound
// CHANNEL_NOT_FOUND.
func (s *Service) Channel(ctx context.Context, a access.Actor, id string) (Channel, error) {
	all, err := s.Channels(ctx, a)
	if err != nil {
		return Channel{}, err
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return Channel{}, noChannel()
}

func noChannel() error {
	return fault.New(fault.NotFound, "CHANNEL_NOT_FOUND", "There is no such channel.")
}

// CreateChannel makes a channel. It needs configure. made is a signing secret that was made because the draft
// has none: it is shown this once. It is zero for every other channel.
func (s *Service) CreateChannel(ctx context.Context, a access.Actor, d ChannelDraft) (c Channel, made telemetry.Secret, err error) {
	err = s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		all, err := s.store.channels(ctx, tx)
		if err != nil {
			return audit.Entry{}, err
		}
		if len(all) >= maxChannels {
			return audit.Entry{}, fault.New(fault.Conflict, "TOO_MANY_CHANNELS", "There are "+strconv.Itoa(maxChannels)+" channels. Delete one first.")
		}
		next, after, fresh, err := d.apply(Channel{ID: db.NewID("ach"), CreatedAt: s.moment()}, secrets{})
		if err != nil {
			return audit.Entry{}, err
		}
		made = telemetry.NewSecret(fresh)
		c, err = s.putChannel(ctx, tx, next, after)
		return c.entry(actionChannelCreate), err
	})
	return c, made, err
}

// EditChannel replaces what a channel says; secrets that are left out keep their value. It needs configure.
// Enabling a channel that was switched off by the program forgets why.
func (s *Service) EditChannel(ctx context.Context, a access.Actor, id string, d ChannelDraft) (Channel, error) {
	var out Channel
	err := s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		before, values, err := s.openChannel(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		next, after, _, err := d.apply(before, values)
		if err != nil {
			return audit.Entry{}, err
		}
		out, err = s.putChannel(ctx, tx, next, after)
		return out.entry(actionChannelEdit), err
	})
	return out, err
}

// RotateSecret replaces the signing secret of a channel, by given or by one that is made, and returns the new
// one when it was made. For the time of grace both sign. It needs configure. A channel without a signing secret
// is a fault.Conflict NOTHING_TO_ROTATE.
func (s *Service) RotateSecret(ctx context.Context, a access.Actor, id, given string, grace time.Duration) (c Channel, made telemetry.Secret, err error) {
	if grace < 0 || grace > MaxGrace {
		return c, made, fault.Field("INVALID_GRACE", "grace", fmt.Sprintf("It must be from 0 to %s.", short(MaxGrace)))
	}
	err = s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		before, values, err := s.openChannel(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		old := values.Values[channels.SecretField]
		if old == "" {
			return audit.Entry{}, fault.New(fault.Conflict, "NOTHING_TO_ROTATE", "This channel has no signing secret.")
		}
		draft := before.Draft()
		draft.Settings[channels.SecretField] = given
		if given == "" {
			fresh := channels.NewSecret()
			draft.Settings[channels.SecretField], made = fresh, telemetry.NewSecret(fresh)
		}
		disabled := before.DisabledReason
		next, after, _, err := draft.apply(before, values)
		if err != nil {
			return audit.Entry{}, err
		}
		next.DisabledReason, after.Previous, next.PreviousUntil = disabled, "", time.Time{}
		if grace > 0 {
			after.Previous, next.PreviousUntil = old, s.moment().Add(grace)
		}
		c, err = s.putChannel(ctx, tx, next, after)
		entry := c.entry(actionChannelRotate)
		entry.Details["grace"] = grace.String()
		return entry, err
	})
	return c, made, err
}

// DeleteChannel deletes a channel that no rule uses; one that is used is a fault.Conflict CHANNEL_IN_USE. It
// needs configure.
func (s *Service) DeleteChannel(ctx context.Context, a access.Actor, id, reason string) error {
	reason, err := checkText("reason", reason, "")
	if err != nil {
		return err
	}
	return s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		c, err := s.channelIn(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		rules, err := s.store.rules(ctx, tx)
		if err != nil {
			return audit.Entry{}, err
		}
		var users []string
		for _, r := range rules {
			if slices.Contains(r.Channels, id) {
				users = append(users, r.Name)
			}
		}
		if len(users) > 0 {
			return audit.Entry{}, fault.New(fault.Conflict, "CHANNEL_IN_USE", "Rules use this channel: "+strings.Join(users, ", ")+". Take it out of them first.")
		}
		entry := c.entry(actionChannelDelete)
		entry.Reason = reason
		return entry, s.store.deleteChannel(ctx, tx, id)
	})
}

// SendTest sends a message over a channel now, also over one that is disabled, and returns what became of it:
// delivered, or dead with the error. It needs configure.
func (s *Service) SendTest(ctx context.Context, a access.Actor, id string) (Notification, error) {
	var n Notification
	err := s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, a access.Actor) (audit.Entry, error) {
		c, err := s.channelIn(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		now := s.moment()
		n = Notification{
			ID: db.NewID("ant"), ChannelID: c.ID, ChannelName: c.Name, ChannelKind: c.Kind, Event: channels.EventTest, State: NotificationPending,
			CreatedAt: now, RunAt: now.Add(testDelay),
		}
		n.Message = channels.Message{
			ID: n.ID, Event: channels.EventTest, At: now, Why: "This is a test of the channel " + c.Name + ", sent by " + a.Name + ". Nothing is wrong.", URL: s.link(""),
		}
		return c.entry(actionChannelTest), s.deps.Outbox.Enqueue(ctx, tx, n)
	})
	if err != nil {
		return n, err
	}
	defer s.deps.Notify(Topic)
	return s.deps.Outbox.Deliver(ctx, n.ID)
}

// testDelay is how long the worker leaves a test to whoever asked for it.
const testDelay = time.Minute

// link is the address of an alert in the console, or that of all of them.
func (s *Service) link(alertID string) string {
	base := strings.TrimSuffix(s.deps.BaseURL(), "/")
	switch {
	case base == "":
		return ""
	case alertID == "":
		return base + "/alerts"
	}
	return base + "/alerts/" + alertID
}

func (s *Service) channelIn(ctx context.Context, tx *db.Tx, id string) (Channel, error) {
	all, err := s.store.channels(ctx, tx)
	if err != nil {
		return Channel{}, err
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return Channel{}, noChannel()
}

// openChannel returns a channel with its secrets. Those that do not open have to be entered again.
func (s *Service) openChannel(ctx context.Context, tx *db.Tx, id string) (Channel, secrets, error) {
	c, err := s.channelIn(ctx, tx, id)
	if err != nil {
		return c, secrets{}, err
	}
	values, err := unseal(s.deps.Sealer, c)
	if err != nil {
		return c, secrets{}, nil //nolint:nilerr // The checks of the draft ask for what is missing then.
	}
	return c, values, nil
}

func (s *Service) putChannel(ctx context.Context, tx *db.Tx, c Channel, values secrets) (Channel, error) {
	c.version++
	c.UpdatedAt = s.moment()
	plaintext, err := json.Marshal(values)
	if err != nil {
		return c, fmt.Errorf("encode the secrets of %s: %w", c.ID, err)
	}
	sealed, keyID, err := s.deps.Sealer.Seal(c.aad(), plaintext)
	clear(plaintext)
	if err != nil {
		return c, err
	}
	c.sealed = sealed
	return c, nameTaken(s.store.putChannel(ctx, tx, c, keyID))
}

func (c Channel) aad() credentials.AAD {
	return credentials.AAD{Table: "alert_channels", Row: c.ID, Column: "sealed", Version: c.version}
}

// unseal opens the secrets of a channel.
func unseal(sealer Sealer, c Channel) (secrets, error) {
	plaintext, err := sealer.Open(c.aad(), c.sealed)
	if err != nil {
		return secrets{}, err
	}
	defer clear(plaintext)
	var out secrets
	if json.Unmarshal(plaintext, &out) != nil {
		// The decoder's text could quote the plaintext: it stays out.
		return secrets{}, fault.New(fault.Unavailable, "CHANNEL_CORRUPT", "The secrets of the channel do not open. Enter them again.")
	}
	return out, nil
}

func (c Channel) entry(action string) audit.Entry {
	return audit.Entry{Action: action, Target: audit.Target{Kind: "alert_channel", ID: c.ID, Name: c.Name}, Details: map[string]string{
		"kind": c.Kind, "enabled": strconv.FormatBool(c.Enabled), "secrets": strings.Join(c.Secrets, " "),
	}}
}
