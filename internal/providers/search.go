package providers

import (
	"cmp"
	"slices"
	"strings"

	"switchgear/internal/fault"
)

// Catalog holds the providers. It is immutable and safe for concurrent use.
type Catalog struct {
	providers []Provider // by name, upper and lower case alike
	index     map[string]int
}

func newCatalog(all []Provider) *Catalog {
	slices.SortFunc(all, func(a, b Provider) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Slug, b.Slug))
	})
	c := &Catalog{providers: all, index: make(map[string]int, len(all))}
	for i, p := range all {
		c.index[p.Slug] = i
	}
	return c
}

// All returns every provider, ordered by name.
func (c *Catalog) All() []Provider { return c.Search("", "") }

// Find returns the provider with this slug, or a [fault.NotFound].
func (c *Catalog) Find(slug string) (Provider, error) {
	i, ok := c.index[slug]
	if !ok {
		err := fault.New(fault.NotFound, "PROVIDER_NOT_FOUND", "The catalogue has no such provider.")
		err.Details.Field = "provider"
		return Provider{}, err.WithValue(slug).WithSuggestion("Pick one of the catalogue, or generic-rest.")
	}
	return c.providers[i].clone(), nil
}

// Search returns the providers that hold every word of text in their name, slug or category, upper and
// lower case alike, in the order of [Catalog.All]. An empty text matches all; a category that is not
// empty must be the provider's own.
func (c *Catalog) Search(text, category string) []Provider {
	words := strings.Fields(strings.ToLower(text))
	category = strings.ToLower(strings.TrimSpace(category))
	found := make([]Provider, 0, len(c.providers))
	for _, p := range c.providers {
		// A newline is in no word, so that no word matches across two of the three.
		in := strings.ToLower(p.Name + "\n" + p.Slug + "\n" + p.Category)
		miss := func(word string) bool { return !strings.Contains(in, word) }
		if category != "" && category != p.Category || slices.ContainsFunc(words, miss) {
			continue
		}
		found = append(found, p.clone())
	}
	return found
}

// Categories returns the categories that have a provider, in alphabetical order.
func (c *Catalog) Categories() []string {
	names := make([]string, 0, len(c.providers))
	for _, p := range c.providers {
		names = append(names, p.Category)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
