package alerts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/alerts/channels"
)

// tells reports whether anything of a change is to be sent.
func (c *change) tells() bool { return slices.ContainsFunc(c.notifications, Notification.waits) }

func (n Notification) waits() bool { return n.State == NotificationPending }

// gather takes out what would be told one by one beyond the number that a rule may tell so within a time: those
// alerts wait to be told together. All that one look finds of a rule is treated alike.
func (s *Service) gather(now time.Time, changes []change) {
	byRule := map[string][]*change{}
	for i := range changes {
		if c := &changes[i]; c.tells() {
			byRule[c.alert.RuleID] = append(byRule[c.alert.RuleID], c)
		}
	}
	for id, all := range byRule {
		apart := slices.DeleteFunc(s.state.apart[id], func(at time.Time) bool { return now.Sub(at) >= s.cfg.FlapWindow })
		s.state.apart[id] = apart
		over := len(apart)+len(all) > s.cfg.MostApart
		for _, c := range all {
			if over || c.alert.gathered {
				c.alert.gathered = true
				c.notifications = slices.DeleteFunc(c.notifications, Notification.waits)
			}
		}
	}
}

// summarise tells what was gathered: one message for each rule and channel, now and then.
func (s *Service) summarise(ctx context.Context, t teller) error {
	waiting, firing := map[string][]*Alert{}, map[string]int{}
	for _, a := range s.state.followed {
		if a.Firing() && a.CarriedBy == "" {
			firing[a.RuleID]++
		}
		if a.gathered {
			waiting[a.RuleID] = append(waiting[a.RuleID], a)
		}
	}
	for id, all := range waiting {
		if last, ok := s.state.summarised[id]; ok && t.now.Sub(last) < s.cfg.Gather {
			continue
		}
		var told []Notification
		if rule, ok := t.set.rule(id); ok {
			told = t.summary(rule, all, firing[id])
		}
		err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
			if err := s.store.summarised(ctx, tx, id, t.now); err != nil {
				return err
			}
			return s.deps.Outbox.Enqueue(ctx, tx, told...)
		})
		if err != nil {
			return fmt.Errorf("alerts: store a summary: %w", err)
		}
		s.state.summarised[id] = t.now
		for _, a := range all {
			a.gathered, a.SummarisedAt = false, t.now
		}
		if len(told) > 0 {
			s.deps.Outbox.Committed()
		}
		s.deps.Notify(Topic)
	}
	return nil
}

// summary makes one notification for each channel of a rule about many alerts of it. Of the rule, firing fire.
func (t teller) summary(rule Rule, all []*Alert, firing int) []Notification {
	slices.SortFunc(all, func(a, b *Alert) int {
		return cmp.Or(a.FiredAt.Compare(b.FiredAt), cmp.Compare(a.ConnectionName, b.ConnectionName), cmp.Compare(a.ID, b.ID))
	})
	var began, ended []*Alert
	for _, a := range all {
		if a.Firing() {
			began = append(began, a)
		} else {
			ended = append(ended, a)
		}
	}
	parts := []string{fmt.Sprintf("More than %d alerts of this rule changed within %s, so they are told together.", t.cfg.MostApart, short(t.cfg.FlapWindow))}
	if len(began) > 0 {
		parts = append(parts, fmt.Sprintf("%s: %s.", counted(len(began), "fires", "fire"), firstNames(began)))
	}
	if len(ended) > 0 {
		parts = append(parts, fmt.Sprintf("%s over: %s.", counted(len(ended), "is", "are"), firstNames(ended)))
	}
	parts = append(parts, fmt.Sprintf("In all, %s now.", counted(firing, "fires", "fire")))
	list := t.link("")
	if list != "" {
		list += "?rule=" + rule.ID
	}
	m := channels.Message{
		Event: channels.EventSummary, At: t.now, Rule: rule.Name, RuleKind: rule.Kind, Severity: string(rule.Severity), Why: strings.Join(parts, " "),
		Fired: len(began), Ended: len(ended), Firing: firing, URL: list,
	}
	var out []Notification
	for _, id := range rule.Channels {
		c, ok := t.set.channel(id)
		if !ok || !c.Enabled {
			continue
		}
		n := Notification{
			ID: db.NewID("ant"), RuleID: rule.ID, ChannelID: c.ID, ChannelName: c.Name, ChannelKind: c.Kind, Event: channels.EventSummary,
			State: NotificationPending, CreatedAt: t.now, RunAt: t.now, Message: m,
		}
		n.Message.ID = n.ID
		out = append(out, n)
	}
	return out
}

// mostNames is how many connections a summary names of each list.
const mostNames = 10

func firstNames(all []*Alert) string {
	names := make([]string, 0, mostNames)
	for _, a := range all[:min(len(all), mostNames)] {
		name := cmp.Or(a.ConnectionName, a.Connection)
		if a.Operation != "" {
			name += " / " + a.Operation
		}
		names = append(names, name)
	}
	text := strings.Join(names, ", ")
	if rest := len(all) - len(names); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
