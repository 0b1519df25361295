package alerts

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// incident is what kinds see from several sides: a connection whose breaker opened is down, and what ends within a
// day ends within two weeks. Empty for a kind that is alone.
func incident(kind string) string {
	switch kind {
	case breakerOpened{}.Info().ID, connectionDown{}.Info().ID:
		return "outage"
	case tokenExpiresSoon{}.Info().ID:
		return "expiry"
	}
	return ""
}

// carrier returns the alert that tells of the same incident to whoever a rule tells, nil when none does. The
// rule for the breaker is judged first, and is the more exact one; where the connection was down before its
// breaker opened, it is the other way round. Of what ends, the rule with the least time left tells. Nobody is left
// out: a rule with a channel of its own tells it.
func (t teller) carrier(a *Alert, rule Rule) *Alert {
	if incident(a.RuleKind) == "" || a.Operation != "" {
		return nil
	}
	for _, other := range t.others[a.ConnectionID] {
		if !other.Firing() || incident(other.RuleKind) != incident(a.RuleKind) || other.CarriedBy != "" {
			continue
		}
		its, ok := t.set.rule(other.RuleID)
		if ok && (other.announced || !t.tellable(rule)) && t.tellsAll(its, rule) && t.same(other, its, a, rule) {
			return other
		}
	}
	return nil
}

// same reports whether an alert is about all that another one is about.
func (t teller) same(other *Alert, its Rule, a *Alert, rule Rule) bool {
	if incident(a.RuleKind) != "expiry" {
		return other.RuleKind != a.RuleKind
	}
	if its.Params.Duration(paramWithin) >= rule.Params.Duration(paramWithin) {
		return false
	}
	c, known := t.holds[a.Fingerprint]
	told, also := t.holds[other.Fingerprint]
	if !known || !also { // What could not be judged is as it was.
		return a.CarriedBy == other.ID
	}
	return !slices.ContainsFunc(c.About, func(one string) bool { return !slices.Contains(told.About, one) })
}

// takenOver reports whether a more urgent alert tells since of what this one told of, and is to tell of its end.
func (t teller) takenOver(a *Alert, rule Rule) (by string, taken bool) {
	if a.CarriedBy == "" && incident(a.RuleKind) != "expiry" {
		return "", false
	}
	other := t.carrier(a, rule)
	if other == nil || other.ID == a.CarriedBy {
		return "", false
	}
	return other.ID, true
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
	if incident(a.RuleKind) == "" || a.Operation != "" {
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
	rank := func(r Rule) time.Duration {
		switch {
		case r.Kind == connectionDown{}.Info().ID:
			return 1
		case incident(r.Kind) == "expiry":
			return r.Params.Duration(paramWithin)
		}
		return 0
	}
	out := slices.Clone(rules)
	slices.SortStableFunc(out, func(a, b Rule) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// keysInOrder are the fingerprints of what is followed, in the order of the rules.
func keysInOrder(followed map[string]*Alert, rules []Rule) []string {
	rank := make(map[string]int, len(rules))
	for i, r := range rules {
		rank[r.ID] = i
	}
	return slices.SortedFunc(maps.Keys(followed), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[followed[a].RuleID], rank[followed[b].RuleID]), cmp.Compare(a, b))
	})
}
