package connections

import (
	"cmp"
	"slices"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/runtime"
)

// Standing is one connection as calls see it, and why they are refused.
type Standing struct {
	*Connection
	// Problem is nil when calls go through as far as the definition and the credentials decide it. Whether
	// the connection is paused is in its State.
	Problem error
	// Account is the one whose credential is the problem; empty when it concerns the definition.
	Account string
	// Check is the health check of its policy.
	Check runtime.HealthCheck

	nameKey string
	set     *credentials.Set
}

// Recovered reports whether a call of an account that was refused with a code when it began at a moment would get
// further by now, as far as its credential tells.
func (s *Standing) Recovered(account, code string, at time.Time) bool {
	return s.set != nil && s.set.Recovered(account, code, at)
}

// NotSetUp reports whether an account cannot be used because it never could: no credential was entered yet, or nobody
// connected it yet.
func (s *Standing) NotSetUp(account string) bool { return s.set != nil && s.set.NotSetUp(account) }

// Standings returns every connection by name. It needs system:read, and reads memory only. What it returns
// is shared: do not change it. A change of any connection makes another list, in which those that did not change
// are the same ones.
func (s *Service) Standings(a access.Actor) ([]*Standing, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return nil, err
	}
	return s.snapshot.Load().byName, nil
}

// Slugs maps the id of every connection to its slug, from memory. It checks no permission: it is for what
// the process says about itself.
func (s *Service) Slugs() map[string]string {
	all := s.snapshot.Load().byName
	out := make(map[string]string, len(all))
	for _, standing := range all {
		out[standing.ID] = standing.Slug
	}
	return out
}

func (e *entry) standing() *Standing {
	out := &Standing{Connection: &e.Connection, Problem: e.problem, Check: e.policy.HealthCheck, nameKey: e.nameKey, set: e.set}
	if e.BaseURL == "" && e.Kind != KindREST {
		out.Problem = nil // it is not meant to be called
	}
	if out.Problem == nil {
		out.Account, out.Problem = e.set.Problem()
	}
	return out
}

func compareStandings(a, b *Standing) int {
	return cmp.Or(cmp.Compare(a.nameKey, b.nameKey), cmp.Compare(a.ID, b.ID))
}

// standings are those of all entries, in order.
func standings(entries map[string]*entry) []*Standing {
	out := make([]*Standing, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.standing())
	}
	slices.SortFunc(out, compareStandings)
	return out
}

// replaceStandings returns the list of a snapshot with other entries in place of those of their slugs; nil stands
// for none.
func replaceStandings(current *snapshot, next map[string]*entry) []*Standing {
	out := make([]*Standing, 0, len(current.byName)+len(next))
	out = append(out, current.byName...)
	for slug, e := range next {
		if old := current.entries.get(slug); old != nil {
			i, found := slices.BinarySearchFunc(out, old.key(), compareStandings)
			if found && e != nil && compareStandings(out[i], e.key()) == 0 {
				out[i] = e.standing()
				continue
			}
			if found {
				out = slices.Delete(out, i, i+1)
			}
		}
		if e != nil {
			i, _ := slices.BinarySearchFunc(out, e.key(), compareStandings)
			out = slices.Insert(out, i, e.standing())
		}
	}
	return out
}

// key is enough of a standing to find its place.
func (e *entry) key() *Standing { return &Standing{Connection: &e.Connection, nameKey: e.nameKey} }
