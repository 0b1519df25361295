package connections

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// standing is what a test looks at.
type standing struct{ Slug, State, Problem, Account string }

func (w *world) standings() []standing {
	w.t.Helper()
	list, err := w.Standings(admin())
	must(w.t, err)
	out := make([]standing, len(list))
	for i, s := range list {
		out[i] = standing{Slug: s.Slug, State: s.State, Account: s.Account}
		if s.Problem != nil {
			out[i].Problem = fault.CodeOf(s.Problem)
		}
	}
	return out
}

// The list follows every change, and is the one that a restart would make.
func TestStandings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for slug, name := range map[string]string{"one": "Delta", "two": "alpha", "three": "Charlie", "four": "bravo"} {
		d := draft(slug)
		d.Name = name
		_, err := w.Create(t.Context(), admin(), d, "")
		must(t, err)
	}
	want := func(list ...standing) {
		t.Helper()
		if diff := cmp.Diff(list, w.standings()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		must(t, w.Refresh(t.Context()))
		if diff := cmp.Diff(list, w.standings()); diff != "" {
			t.Errorf("loaded anew (-want +got):\n%s", diff)
		}
	}
	want(standing{Slug: "two", State: "active"}, standing{Slug: "four", State: "active"}, standing{Slug: "three", State: "active"}, standing{Slug: "one", State: "active"})

	w.update("two", func(d *Draft) { d.Name = "Zulu" })
	_, err := w.Pause(t.Context(), admin(), "four", "", 0)
	must(t, err)
	must(t, only(w.Delete(t.Context(), admin(), "three", "three", "", 0)))
	must(t, only(w.DeleteAccount(t.Context(), admin(), "one", credentials.DefaultAccount, "")))
	want(standing{Slug: "four", State: "paused"}, standing{"one", "active", "CREDENTIAL_MISSING", "default"}, standing{Slug: "two", State: "active"})

	// An account that works does not make up for the default one that was deleted; one that is unusable is named.
	_, err = w.PutAccount(t.Context(), admin(), "one", "acme", Auth{Type: "bearer", Fields: map[string]string{"token": "t"}}, "")
	must(t, err)
	w.exec(`UPDATE credentials SET state = 'needs_reauth' WHERE connection_id = (SELECT id FROM connections WHERE slug = 'two')`)
	must(t, w.Refresh(t.Context()))
	want(standing{Slug: "four", State: "paused"}, standing{"one", "active", "CREDENTIAL_MISSING", "default"}, standing{"two", "active", "CREDENTIAL_NEEDS_REAUTH", "default"})

	_, err = w.Standings(access.Actor{Kind: access.KindUser, Role: "nobody"})
	wantCode(t, err, fault.Forbidden, "FORBIDDEN")
}

// A change makes another list and leaves the one before as it was; what did not change is the same in both.
func TestStandingsShareWhatDidNotChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, slug := range []string{"one", "two", "three"} {
		w.create(slug)
	}
	list := func() map[string]*Standing {
		all, err := w.Standings(admin())
		must(t, err)
		out := map[string]*Standing{}
		for _, s := range all {
			out[s.Slug] = s
		}
		return out
	}
	before := list()
	kept, err := w.Standings(admin())
	must(t, err)
	same := slices.Clone(kept)
	w.update("two", func(d *Draft) { d.Name = "Another" })
	must(t, w.MarkKnownGood(t.Context(), map[string]int{before["three"].ID: 1, "con_gone": 1}))
	after := list()
	if after["one"] != before["one"] || after["two"] == before["two"] || after["three"] == before["three"] {
		t.Errorf("%v, then %v", before, after)
	}
	if before["two"].Name == "Another" || after["two"].Name != "Another" || before["three"].LastKnownGood != 0 || after["three"].LastKnownGood != 1 {
		t.Error("the list before was changed, or the one after was not")
	}
	if !slices.Equal(kept, same) {
		t.Error("a list was changed in its place")
	}
}

// What is not meant to be called has no problem with not having an address.
func TestStandingWithoutAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := draft("hook")
	d.Kind, d.BaseURL, d.Auth = KindWebhook, "", Auth{Type: "none"}
	_, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	if diff := cmp.Diff([]standing{{Slug: "hook", State: "active"}}, w.standings()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
