package checklist

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
)

// Cell is one item of a summary.
type Cell struct {
	Verdict Verdict
	// Configured, Proven and Observed report whether the stage passes by itself, as it is shown with the item.
	Configured, Proven, Observed bool
}

// Summary is how ready a connection is, as it was last judged.
type Summary struct {
	ConnectionID, Slug, Name, Environment string
	Version                               int
	// Items are in the order of [All]; empty when the connection was not judged yet.
	Items []Cell
	// Done is how many items pass or are exempt.
	Done int
	// At is when it was judged.
	At time.Time

	refused bool      // calls were
	due     time.Time // when evidence that counts expires; zero when none does
}

// Total is how many items there are.
func Total() int { return len(All()) }

// Count is how many items have one of the verdicts.
func (s Summary) Count(of ...Verdict) (n int) {
	for _, c := range s.Items {
		if slices.Contains(of, c.Verdict) {
			n++
		}
	}
	return n
}

// Passing is how many items pass a stage, whatever is missing before it.
func (s Summary) Passing(stage Stage) (n int) {
	for _, c := range s.Items {
		if stage == StageConfigured && c.Configured || stage == StageProven && c.Proven || stage == StageObserved && c.Observed {
			n++
		}
	}
	return n
}

func summarize(c connections.Connection, problem error, items []Result, now time.Time) Summary {
	out := Summary{
		ConnectionID: c.ID, Slug: c.Slug, Name: c.Name, Environment: c.Environment, Version: c.Version, At: now, refused: problem != nil,
		Items: make([]Cell, len(items)),
	}
	for i, r := range items {
		out.Items[i] = Cell{r.Verdict, r.Configured.Verdict == VerdictPass, r.Proven.Verdict == VerdictPass, r.Observed.Verdict == VerdictPass}
		if r.Verdict.Done() {
			out.Done++
		}
		if r.By != nil && r.By.ExpiresAt.After(now) && (out.due.IsZero() || r.By.ExpiresAt.Before(out.due)) {
			out.due = r.By.ExpiresAt
		}
	}
	return out
}

func (s *Service) remember(next Summary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.summaries[next.ConnectionID] = &next
}

func (s *Service) remembered(connectionID string) (Summary, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if out := s.summaries[connectionID]; out != nil {
		return *out, true
	}
	return Summary{}, false
}

// Badge returns how many items of a connection are done, from memory; false when it was not judged yet.
func (s *Service) Badge(connectionID string) (done, total int, ok bool) {
	summary, ok := s.remembered(connectionID)
	return summary.Done, Total(), ok
}

// Query selects summaries; empty fields select every one.
type Query struct {
	// Search is words that all occur in the name or slug.
	Search, Environment string
	// Verdict keeps connections with an item of that verdict; with Item, only where that item has it.
	Verdict Verdict
	Item    string
	// Sort is name, environment or done; "-" before it reverses. Empty is done: what lacks most comes first.
	Sort  string
	Page  int // from 1
	Limit int // 0: all
}

// Page is one page of summaries and the number of all that match.
type Page struct {
	Summaries []Summary
	Total     int
}

// List lists how ready the connections are, from memory. It needs system:read.
func (s *Service) List(a access.Actor, q Query) (Page, error) {
	standings, err := s.deps.Connections.Standings(a)
	if err != nil {
		return Page{}, err
	}
	item := -1
	if q.Item != "" {
		found, err := Lookup(q.Item)
		if err != nil {
			return Page{}, fault.Field("UNKNOWN_ITEM", "item", "The checklist has no such item.")
		}
		item = found.Info().Number - 1
	}
	if q.Verdict != "" && !slices.Contains(Verdicts(), q.Verdict) {
		return Page{}, fault.Field("UNKNOWN_VERDICT", "verdict", "There is no such verdict.").
			WithSuggestion("Use one of fail, stale, unknown, pass, exempt.")
	}
	compare, ok := orders()[strings.TrimPrefix(q.Sort, "-")]
	if !ok {
		return Page{}, fault.Field("UNKNOWN_SORT", "sort", "There is no such sort.").WithSuggestion("Use one of done, name, environment.")
	}
	all := s.listed(standings)
	all = slices.DeleteFunc(all, func(l listed) bool { return !q.matches(&l, item) })
	slices.SortFunc(all, func(a, b listed) int {
		if strings.HasPrefix(q.Sort, "-") {
			a, b = b, a
		}
		return compare(&a, &b)
	})
	out := Page{Total: len(all)}
	if q.Limit > 0 {
		from := min((max(q.Page, 1)-1)*q.Limit, len(all))
		all = all[from:min(from+q.Limit, len(all))]
	}
	out.Summaries = make([]Summary, len(all))
	for i := range all {
		out.Summaries[i] = all[i].show()
	}
	return out, nil
}

// listed is as much of a connection as lists select and sort by: there may be many thousands.
type listed struct {
	*connections.Standing
	summary *Summary // empty when it was not judged
	name    int      // its place by name, which several may have
	place   int      // that of the environment
}

// listed are all connections, by name.
func (s *Service) listed(standings []*connections.Standing) []listed {
	places := map[string]int{}
	for i, environment := range connections.Environments() {
		places[environment] = i
	}
	out := make([]listed, len(standings))
	none := &Summary{}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, standing := range standings {
		name := i
		if i > 0 && strings.EqualFold(standing.Name, standings[i-1].Name) {
			name = out[i-1].name
		}
		out[i] = listed{standing, cmp.Or(s.summaries[standing.ID], none), name, places[standing.Environment]}
	}
	return out
}

func (l *listed) show() Summary {
	out := *l.summary
	out.ConnectionID, out.Slug, out.Name, out.Environment, out.Version = l.ID, l.Slug, l.Name, l.Environment, l.Version
	return out
}

// orders are what a list may be sorted by.
func orders() map[string]func(a, b *listed) int {
	name := func(a, b *listed) int { return cmp.Or(cmp.Compare(a.name, b.name), strings.Compare(a.Slug, b.Slug)) }
	done := func(a, b *listed) int { return cmp.Or(cmp.Compare(a.summary.Done, b.summary.Done), name(a, b)) }
	return map[string]func(a, b *listed) int{
		"": done, "done": done, "name": name,
		"environment": func(a, b *listed) int { return cmp.Or(cmp.Compare(a.place, b.place), name(a, b)) },
	}
}

func (q Query) matches(l *listed, item int) bool {
	if q.Search != "" {
		text := strings.ToLower(l.Name + "\n" + l.Slug)
		for word := range strings.FieldsSeq(strings.ToLower(q.Search)) {
			if !strings.Contains(text, word) {
				return false
			}
		}
	}
	if q.Environment != "" && l.Environment != q.Environment {
		return false
	}
	if q.Verdict == "" {
		return true
	}
	for i, c := range l.summary.Items {
		if c.Verdict == q.Verdict && (item < 0 || item == i) {
			return true
		}
	}
	return false
}
