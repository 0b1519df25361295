package alerts

import "slices"

// oneIncident are the kinds that see the same thing from two sides: a connection whose breaker opened is down.
func oneIncident(kind string) bool {
	return kind == breakerOpened{}.Info().ID || kind == connectionDown{}.Info().ID
}

// carrier returns the alert that tells of the same incident to whoever a rule tells, nil when none does. The
// rule for the breaker is judged first, and is the more exact one; where the connection was down before its
// breaker opened, it is the other way round. Nobody is left out: a rule with a channel of its own tells it.
func (t teller) carrier(a *Alert, rule Rule) *Alert {
	if !oneIncident(a.RuleKind) || a.Operation != "" {
		return nil
	}
	for _, other := range t.others[a.ConnectionID] {
		if !other.Firing() || other.RuleKind == a.RuleKind || other.CarriedBy != "" {
			continue
		}
		its, ok := t.set.rule(other.RuleID)
		if ok && (other.announced || !t.tellable(rule)) && t.tellsAll(its, rule) {
			return other
		}
	}
	return nil
}

// tellsAll reports whether a rule tells every channel that another one would.
func (t teller) tellsAll(its, rule Rule) bool {
	return !slices.ContainsFunc(rule.Channels, func(id string) bool {
		c, ok := t.set.channel(id)
		return ok && c.Enabled && !slices.Contains(its.Channels, id)
	})
}

// carried reports whether there still is nothing to tell of an alert that another one told of. After the end of
// that one it has to hold for the time of its rule by itself.
func (t teller) carried(a *Alert, rule Rule) bool {
	if t.carrier(a, rule) != nil {
		return true
	}
	i := slices.IndexFunc(t.others[a.ConnectionID], func(other *Alert) bool { return other.ID == a.CarriedBy })
	return i >= 0 && !t.others[a.ConnectionID][i].Firing() && t.now.Sub(t.others[a.ConnectionID][i].ChangedAt) < rule.For
}

// know takes up an alert, so that others can be told by it.
func (t teller) know(a *Alert) {
	if !oneIncident(a.RuleKind) || a.Operation != "" {
		return
	}
	all := t.others[a.ConnectionID]
	if i := slices.IndexFunc(all, func(other *Alert) bool { return other.Fingerprint == a.Fingerprint }); i >= 0 {
		all[i] = a
		return
	}
	t.others[a.ConnectionID] = append(all, a)
}

// inOrder are the rules so that those come first whose alerts tell of the incidents of others.
func inOrder(rules []Rule) []Rule {
	last := connectionDown{}.Info().ID
	out := slices.Clone(rules)
	slices.SortStableFunc(out, func(a, b Rule) int {
		switch {
		case a.Kind == b.Kind || a.Kind != last && b.Kind != last:
			return 0
		case a.Kind == last:
			return 1
		}
		return -1
	})
	return out
}
