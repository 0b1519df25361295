package connections

import (
	"iter"
	"maps"
)

// directory finds entries by their slug. It is in parts by a hash of the slug, so that the next one copies only
// the parts with a change and has the others in common with the one before.
type directory struct {
	parts [256]map[string]*entry
}

func partOf(slug string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(slug) {
		h = (h ^ uint32(slug[i])) * 16777619
	}
	return int((h ^ h>>16) % uint32(len(directory{}.parts)))
}

// get returns nil when there is no such entry.
func (d *directory) get(slug string) *entry { return d.parts[partOf(slug)][slug] }

// all are the entries by slug, in no order.
func (d *directory) all() iter.Seq2[string, *entry] {
	return func(yield func(string, *entry) bool) {
		for _, part := range d.parts {
			for slug, e := range part {
				if !yield(slug, e) {
					return
				}
			}
		}
	}
}

// with returns a directory with other entries in place of those of their slugs; nil stands for none.
func (d *directory) with(next map[string]*entry) directory {
	out := *d
	copied := [len(out.parts)]bool{}
	for slug, e := range next {
		i := partOf(slug)
		if !copied[i] {
			out.parts[i], copied[i] = maps.Clone(out.parts[i]), true
		}
		if e == nil {
			delete(out.parts[i], slug)
			continue
		}
		if out.parts[i] == nil {
			out.parts[i] = map[string]*entry{}
		}
		out.parts[i][slug] = e
	}
	return out
}
