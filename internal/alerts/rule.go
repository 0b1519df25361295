package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"switchgear/internal/connections"
	"switchgear/internal/fault"
)

// Severity is how urgent something is.
type Severity string

// The severities.
const (
	SeverityCritical Severity = "critical" // somebody should look now
	SeverityWarning  Severity = "warning"  // somebody should look today
	SeverityInfo     Severity = "info"     // good to know
)

// Severities lists every severity, the most urgent first.
func Severities() []Severity { return []Severity{SeverityCritical, SeverityWarning, SeverityInfo} }

// Bounds of a rule.
const (
	MaxFor    = 24 * time.Hour
	MinRepeat = 5 * time.Minute
	MaxRepeat = 7 * 24 * time.Hour

	maxName        = 80
	maxScope       = 200
	maxRuleTargets = 20
)

// Scope selects connections. The zero value selects all.
type Scope struct {
	// Connections are slugs; empty for all.
	Connections []string `json:"connections,omitempty"`
	// Environment is empty for all.
	Environment string `json:"environment,omitempty"`
}

// Covers reports whether the scope selects a connection.
func (s Scope) Covers(slug, environment string) bool {
	return (len(s.Connections) == 0 || slices.Contains(s.Connections, slug)) && (s.Environment == "" || s.Environment == environment)
}

func (s Scope) covers(c *connections.Connection) bool { return s.Covers(c.Slug, c.Environment) }

// Rule is what somebody wants to hear of.
type Rule struct {
	ID, Name, Kind string
	Enabled        bool
	Severity       Severity
	Scope          Scope
	// Params are the values of the parameters of the kind, complete.
	Params Params
	// For is how long the condition must hold, Repeat after how long it is told again; 0: never.
	For, Repeat time.Duration
	// Channels are the ids of those that are told.
	Channels []string
	// NotifyResolved says whether the end is told, too.
	NotifyResolved bool
	// CreatedAt is zero for a rule that came with the product.
	CreatedAt, UpdatedAt time.Time
}

// RuleDraft is a rule on its way in.
type RuleDraft struct {
	Name, Kind     string
	Enabled        bool
	Severity       Severity
	Scope          Scope
	Params         map[string]string
	For, Repeat    time.Duration
	Channels       []string
	NotifyResolved bool
}

// Draft returns what an edit starts from.
func (r Rule) Draft() RuleDraft {
	return RuleDraft{
		Name: r.Name, Kind: r.Kind, Enabled: r.Enabled, Severity: r.Severity, Scope: Scope{slices.Clone(r.Scope.Connections), r.Scope.Environment},
		Params: map[string]string(r.Params), For: r.For, Repeat: r.Repeat, Channels: slices.Clone(r.Channels), NotifyResolved: r.NotifyResolved,
	}
}

// apply checks a draft and lays it over a rule. known holds the ids of the channels that exist.
func (d RuleDraft) apply(r Rule, known func(channelID string) bool) (Rule, error) {
	kind, err := LookupKind(d.Kind)
	if err != nil {
		return r, err
	}
	if d.Name, err = checkName(d.Name); err != nil {
		return r, err
	}
	if d.Severity == "" {
		d.Severity = kind.Info().Severity
	}
	if !slices.Contains(Severities(), d.Severity) {
		return r, fault.Field("UNKNOWN_SEVERITY", "severity", "There is no such severity.").WithSuggestion("Use one of critical, warning, info.")
	}
	if err := d.Scope.check(); err != nil {
		return r, err
	}
	params, err := kind.Info().complete(d.Params)
	if err != nil {
		return r, err
	}
	switch {
	case d.For < 0 || d.For > MaxFor:
		return r, fault.Field("INVALID_FOR", "for", fmt.Sprintf("It must be from 0 to %s.", short(MaxFor)))
	case d.Repeat != 0 && (d.Repeat < MinRepeat || d.Repeat > MaxRepeat):
		return r, fault.Field("INVALID_REPEAT", "repeat", fmt.Sprintf("It must be 0 for no reminder, or from %s to %s.", short(MinRepeat), short(MaxRepeat)))
	case len(d.Channels) > maxRuleTargets:
		return r, fault.Field("INVALID_CHANNELS", "channels", fmt.Sprintf("Choose at most %d channels.", maxRuleTargets))
	}
	channels := append([]string{}, d.Channels...)
	slices.Sort(channels)
	channels = slices.Compact(channels)
	for _, id := range channels {
		if !known(id) {
			return r, fault.Field("UNKNOWN_CHANNEL", "channels", "There is no such channel.").WithValue(id)
		}
	}
	r.Name, r.Kind, r.Enabled, r.Severity, r.Scope, r.Params = d.Name, d.Kind, d.Enabled, d.Severity, d.Scope, params
	r.For, r.Repeat, r.Channels, r.NotifyResolved = d.For, d.Repeat, channels, d.NotifyResolved
	return r, nil
}

func (s Scope) check() error {
	if s.Environment != "" && !slices.Contains(connections.Environments(), s.Environment) {
		return fault.Field("UNKNOWN_ENVIRONMENT", "scope.environment", "There is no such environment.")
	}
	if len(s.Connections) > maxScope {
		return fault.Field("INVALID_SCOPE", "scope.connections", fmt.Sprintf("Name at most %d connections, or none for all.", maxScope))
	}
	for _, slug := range s.Connections {
		if slug == "" || len(slug) > 100 || strings.ContainsFunc(slug, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return fault.Field("INVALID_SCOPE", "scope.connections", "One of them is not the slug of a connection.")
		}
	}
	return nil
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", fault.Field("NAME_MISSING", "name", "Give it a name.")
	case utf8.RuneCountInString(name) > maxName:
		return "", fault.Field("INVALID_NAME", "name", fmt.Sprintf("Use at most %d characters.", maxName))
	case !printable(name):
		return "", fault.Field("INVALID_NAME", "name", "It contains a character that cannot be shown.")
	}
	return name, nil
}

// printable reports whether text is one line without characters that change how it is read.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029'
	})
}
