package alerts

import (
	"maps"
	"time"

	"switchgear/internal/alerts/channels"
	"switchgear/internal/fault"
)

// MaxGrace is how long the secret before a rotation may sign as well.
const MaxGrace = 7 * 24 * time.Hour

// Channel is where something is told. It holds no secret.
type Channel struct {
	ID, Name, Kind string
	Enabled        bool
	// DisabledReason says why the program switched it off; empty otherwise.
	DisabledReason string
	// Settings are the values that are not secret, Secrets the names of those that are and that are set.
	Settings map[string]string
	Secrets  []string
	// PreviousUntil is until when the secret before a rotation signs as well; zero without one.
	PreviousUntil time.Time
	// LastDeliveredAt, LastFailedAt and LastError are about what was sent, tests included.
	LastDeliveredAt, LastFailedAt time.Time
	LastError                     string
	CreatedAt, UpdatedAt          time.Time

	sealed  string
	version int64
}

// ChannelDraft is a channel on its way in.
type ChannelDraft struct {
	Name, Kind string
	Enabled    bool
	// Settings are the values of the fields of the kind. Secret ones that are left out, or empty, keep their
	// value.
	Settings map[string]string
}

// Draft returns what an edit starts from: everything but the secrets.
func (c Channel) Draft() ChannelDraft {
	return ChannelDraft{Name: c.Name, Kind: c.Kind, Enabled: c.Enabled, Settings: maps.Clone(c.Settings)}
}

// secrets is what is sealed of a channel.
type secrets struct {
	Values   map[string]string `json:"values"`
	Previous string            `json:"previous,omitempty"`
}

// apply checks a draft and lays it over a channel with its secrets. made is a signing secret that was made
// because none was given; empty otherwise.
func (d ChannelDraft) apply(c Channel, before secrets) (next Channel, after secrets, made string, err error) {
	kind, err := channels.Lookup(d.Kind)
	if err != nil {
		return c, before, "", err
	}
	if c.Kind != "" && c.Kind != d.Kind {
		return c, before, "", fault.Field("KIND_FIXED", "kind", "The kind of a channel cannot change. Make another channel.")
	}
	if d.Name, err = checkName(d.Name); err != nil {
		return c, before, "", err
	}
	values := maps.Clone(d.Settings)
	if values == nil {
		values = map[string]string{}
	}
	for _, f := range kind.Info().Fields {
		switch {
		case values[f.Key] != "":
		case f.Secret && before.Values[f.Key] != "":
			values[f.Key] = before.Values[f.Key]
		case f.Key == channels.SecretField:
			made = channels.NewSecret()
			values[f.Key] = made
		case f.Default != "":
			values[f.Key] = f.Default
		default:
			delete(values, f.Key)
		}
	}
	if err := channels.Validate(kind, values); err != nil {
		return c, before, "", err
	}
	after = secrets{Values: map[string]string{}, Previous: before.Previous}
	c.Name, c.Kind, c.Settings, c.Secrets = d.Name, d.Kind, map[string]string{}, nil
	if d.Enabled {
		c.DisabledReason = ""
	}
	c.Enabled = d.Enabled
	for _, f := range kind.Info().Fields {
		value, set := values[f.Key]
		switch {
		case !set:
		case f.Secret:
			after.Values[f.Key] = value
			c.Secrets = append(c.Secrets, f.Key)
		default:
			c.Settings[f.Key] = value
		}
	}
	return c, after, made, nil
}
