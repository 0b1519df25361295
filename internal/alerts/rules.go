package alerts

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// The audit actions of this package.
const (
	actionRuleCreate    = "alert_rule.create"
	actionRuleEdit      = "alert_rule.edit"
	actionRuleDelete    = "alert_rule.delete"
	actionChannelCreate = "alert_channel.create"
	actionChannelEdit   = "alert_channel.edit"
	actionChannelRotate = "alert_channel.rotate"
	actionChannelDelete = "alert_channel.delete"
	actionChannelTest   = "alert_channel.test"
	actionMuteCreate    = "alert_mute.create"
	actionMuteEdit      = "alert_mute.edit"
	actionMuteEnd       = "alert_mute.end"
	actionAcknowledge   = "alert.acknowledge"
	actionResend        = "alert_notification.resend"
)

// maxRules bounds how many rules there are.
const maxRules = 200

// Rules returns every rule, the oldest first. It needs system:read.
func (s *Service) Rules(_ context.Context, a access.Actor) ([]Rule, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	return slices.Clone(s.set.Load().rules), nil
}

// Rule returns one rule. It needs system:read. One that does not exist is a fault.NotFound RULE_NOT_FOUND.
func (s *Service) Rule(_ context.Context, a access.Actor, id string) (Rule, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return Rule{}, err
	}
	r, ok := s.set.Load().rule(id)
	if !ok {
		return Rule{}, noRule()
	}
	return r, nil
}

func noRule() error { return fault.New(fault.NotFound, "RULE_NOT_FOUND", "There is no such rule.") }

// CreateRule makes a rule. It needs configure. What is wrong with the draft is a fault.Invalid about its field.
func (s *Service) CreateRule(ctx context.Context, a access.Actor, d RuleDraft) (Rule, error) {
	var out Rule
	err := s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		all, err := s.store.rules(ctx, tx)
		if err != nil {
			return audit.Entry{}, err
		}
		if len(all) >= maxRules {
			return audit.Entry{}, fault.New(fault.Conflict, "TOO_MANY_RULES", "There are "+strconv.Itoa(maxRules)+" rules. Delete one first.")
		}
		now := s.moment()
		out, err = s.putRule(ctx, tx, Rule{ID: db.NewID("arl"), CreatedAt: now}, d)
		return out.entry(actionRuleCreate), err
	})
	return out, err
}

// EditRule replaces what a rule says. It needs configure.
func (s *Service) EditRule(ctx context.Context, a access.Actor, id string, d RuleDraft) (Rule, error) {
	var out Rule
	err := s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		before, err := s.ruleIn(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		if d.Kind != before.Kind {
			return audit.Entry{}, fault.Field("KIND_FIXED", "kind", "The kind of a rule cannot change. Make another rule.")
		}
		out, err = s.putRule(ctx, tx, before, d)
		return out.entry(actionRuleEdit), err
	})
	return out, err
}

// TellSilent lets every enabled rule that tells no enabled channel tell all of these, and returns how many rules
// it changed. It needs configure. Without an enabled channel it changes none.
func (s *Service) TellSilent(ctx context.Context, a access.Actor) (int, error) {
	if err := a.Require(access.PermissionConfigure); err != nil {
		return 0, err
	}
	set := s.set.Load()
	var on []string
	for _, c := range set.channels {
		if c.Enabled {
			on = append(on, c.ID)
		}
	}
	n := 0
	for _, r := range set.rules {
		if len(on) == 0 || !r.Enabled || slices.ContainsFunc(r.Channels, func(id string) bool { return slices.Contains(on, id) }) {
			continue
		}
		d := r.Draft()
		d.Channels = append(slices.Clone(d.Channels), on...)
		if _, err := s.EditRule(ctx, a, r.ID, d); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// SwitchRule switches a rule on or off. It needs configure.
func (s *Service) SwitchRule(ctx context.Context, a access.Actor, id string, on bool, reason string) error {
	reason, err := checkText("reason", reason, "")
	if err != nil {
		return err
	}
	return s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		rule, err := s.ruleIn(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		rule.Enabled, rule.UpdatedAt = on, s.moment()
		entry := rule.entry(actionRuleEdit)
		entry.Reason = reason
		return entry, s.store.putRule(ctx, tx, rule)
	})
}

// DeleteRule deletes a rule with its mutes. Its open alerts end; the history stays. It needs configure.
func (s *Service) DeleteRule(ctx context.Context, a access.Actor, id, reason string) error {
	reason, err := checkText("reason", reason, "")
	if err != nil {
		return err
	}
	return s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, _ access.Actor) (audit.Entry, error) {
		before, err := s.ruleIn(ctx, tx, id)
		if err != nil {
			return audit.Entry{}, err
		}
		entry := before.entry(actionRuleDelete)
		entry.Reason = reason
		return entry, s.store.deleteRule(ctx, tx, id)
	})
}

func (s *Service) ruleIn(ctx context.Context, tx *db.Tx, id string) (Rule, error) {
	all, err := s.store.rules(ctx, tx)
	if err != nil {
		return Rule{}, err
	}
	for _, r := range all {
		if r.ID == id {
			return r, nil
		}
	}
	return Rule{}, noRule()
}

func (s *Service) putRule(ctx context.Context, tx *db.Tx, r Rule, d RuleDraft) (Rule, error) {
	all, err := s.store.channels(ctx, tx)
	if err != nil {
		return r, err
	}
	r, err = d.apply(r, func(id string) bool { return slices.ContainsFunc(all, func(c Channel) bool { return c.ID == id }) })
	if err != nil {
		return r, err
	}
	r.UpdatedAt = s.moment()
	return r, nameTaken(s.store.putRule(ctx, tx, r))
}

func nameTaken(err error) error {
	if fault.CodeOf(err) == "DUPLICATE" {
		return fault.New(fault.Conflict, "NAME_TAKEN", "Another one has this name already.")
	}
	return err
}

func (r Rule) entry(action string) audit.Entry {
	return audit.Entry{Action: action, Target: audit.Target{Kind: "alert_rule", ID: r.ID, Name: r.Name}, Details: map[string]string{
		"kind": r.Kind, "enabled": strconv.FormatBool(r.Enabled), "severity": string(r.Severity), "for": r.For.String(), "repeat": r.Repeat.String(),
		"connections": strings.Join(r.Scope.Connections, " "), "environment": r.Scope.Environment, "channels": strings.Join(r.Channels, " "),
	}}
}
