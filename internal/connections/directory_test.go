package connections

import (
	"errors"
	"fmt"
	"maps"
	"testing"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	var d directory
	want := map[string]*entry{}
	for i := range 2000 {
		slug := fmt.Sprintf("connection-%04d", i)
		want[slug] = &entry{nameKey: slug}
	}
	full := d.with(want)
	check := func(what string, d *directory, want map[string]*entry) {
		t.Helper()
		if got := maps.Collect(d.all()); !maps.Equal(got, want) {
			t.Errorf("%s: %d entries, want %d", what, len(got), len(want))
		}
		for slug, e := range want {
			if d.get(slug) != e {
				t.Errorf("%s: %s is not found", what, slug)
			}
		}
	}
	check("none", &d, nil)
	check("all", &full, want)
	for _, part := range full.parts { // 8 on average
		if len(part) > 40 {
			t.Errorf("%d entries in one of %d parts", len(part), len(full.parts))
		}
	}
	next := maps.Clone(want)
	other := &entry{nameKey: "other"}
	next["connection-0007"], next["new"] = other, other
	delete(next, "connection-0008")
	changed := full.with(map[string]*entry{"connection-0007": other, "new": other, "connection-0008": nil, "never-there": nil})
	check("changed", &changed, next)
	check("the one before", &full, want)
	if full.get("new") != nil || changed.get("connection-0008") != nil {
		t.Error("found what is not there")
	}
	for range full.all() { // ends when it is told to
		break
	}
}

// BenchmarkPublish is what a change costs the snapshot of 10,000 connections, and 500 marks of what works.
func BenchmarkPublish(b *testing.B) {
	entries := map[string]*entry{}
	marks := map[string]int{}
	for i := range 10_000 {
		slug := fmt.Sprintf("connection-%05d", i)
		e := &entry{nameKey: slug, Connection: Connection{ID: "con_" + slug, Slug: slug, Kind: KindREST, BaseURL: "https://api.example.com"}}
		e.problem = errors.New("not called")
		entries[slug] = e
		if i%20 == 0 {
			marks[e.ID] = 1
		}
	}
	var none directory
	service := func() *Service {
		s := &Service{}
		s.snapshot.Store(&snapshot{entries: none.with(entries), byName: standings(entries)})
		return s
	}
	b.Run("change", func(b *testing.B) {
		s := service()
		b.ReportAllocs()
		for b.Loop() {
			next := *entries["connection-05000"]
			s.publish(map[string]*entry{next.Slug: &next})
		}
	})
	b.Run("500 marks", func(b *testing.B) {
		s := service()
		b.ReportAllocs()
		for b.Loop() {
			s.publishGood(marks)
		}
	})
}
