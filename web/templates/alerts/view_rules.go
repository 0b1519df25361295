package alerts

import (
	"time"

	"switchgear/web/templates/layout"
)

// RulesView is every rule.
type RulesView struct {
	Page         layout.Page
	Now          time.Time
	Rules        []Rule
	Told         Told
	CanConfigure bool
}

// Rule is one rule in a list.
type Rule struct {
	ID, Name string
	// Kind is what it watches, in words.
	Kind     string
	Severity string
	Enabled  bool
	// Scope is what it holds for, in words.
	Scope string
	// Settings are the values of its kind, in words: "below 10 minutes".
	Settings string
	For      time.Duration
	// Channels are the names of those that it tells.
	Channels  []string
	Firing    int
	UpdatedAt time.Time
}

// RuleKind is something that a rule can watch.
type RuleKind struct{ ID, Label, About string }

// RuleKindsView asks what a new rule watches.
type RuleKindsView struct {
	Page  layout.Page
	Kinds []RuleKind
}

// Param is one setting of a kind of rule or channel.
type Param struct {
	// Name is that of the field, as errors name it.
	Name, Label, Hint, Placeholder string
	// Type is one of the types of control; empty is text.
	Type ParamType
	// Options are the choices of ParamChoice.
	Options  []Option
	Value    string
	Required bool
	// Stored says that a secret value is stored; leaving the field empty keeps it.
	Stored bool
}

// ParamType is the control of a setting.
type ParamType string

// The types of control.
const (
	ParamText   ParamType = ""
	ParamNumber ParamType = "number"
	ParamChoice ParamType = "choice"
	ParamSecret ParamType = "secret"
)

// RuleFormView makes or changes a rule. It posts name, severity, enabled, scope.connections,
// scope.environment, for, repeat, channels, notify_resolved and the settings.
type RuleFormView struct {
	Page layout.Page
	// ID is empty for a new rule.
	ID   string
	Kind RuleKind

	Name, Severity           string
	Enabled                  bool
	Connections, Environment string
	Environments             []Option
	Params                   []Param
	For, Repeat              string
	Channels                 []Option
	Chosen                   []string
	NotifyResolved           bool
	Errors                   Errors
}
