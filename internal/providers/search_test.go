package providers

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

func slugs(all []Provider) []string {
	list := make([]string, 0, len(all))
	for _, p := range all {
		list = append(list, p.Slug)
	}
	return list
}

func small() *Catalog {
	return newCatalog([]Provider{
		{Slug: "zeta", Name: "zeta Pay", Category: "payments"},
		{Slug: "alpha-2", Name: "Alpha", Category: "crm"},
		{Slug: "alpha", Name: "alpha", Category: "crm", Auth: []Auth{{Type: "api_key", Fields: map[string]string{"in": "header"}}}, Policy: []byte(`{}`)},
		{Slug: "beta", Name: "Beta Cloud", Category: "ai"},
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, category string
		want           []string
	}{
		"everything, by name":     {"", "", []string{"alpha", "alpha-2", "beta", "zeta"}},
		"name in capitals":        {"BETA", "", []string{"beta"}},
		"part of a slug":          {"a-2", "", []string{"alpha-2"}},
		"category as text":        {"Payments", "", []string{"zeta"}},
		"words in any order":      {" crm  alpha ", "", []string{"alpha", "alpha-2"}},
		"all words must match":    {"alpha cloud", "", []string{}},
		"category":                {"", "CRM", []string{"alpha", "alpha-2"}},
		"category and text":       {"2", "crm", []string{"alpha-2"}},
		"part of a category":      {"", "cr", []string{}},
		"not across fields":       {"cloudbeta", "", []string{}},
		"a pattern is plain text": {"%", "", []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, slugs(small().Search(c.text, c.category))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSearchIsStable(t *testing.T) {
	t.Parallel()
	c := builtIn(t)
	first := slugs(c.All())
	if !slices.Equal(first, slugs(builtIn(t).All())) || !slices.Equal(first, slugs(c.Search(" ", " "))) {
		t.Error("the order changes")
	}
	if got := slugs(c.Search("stripe", "")); !slices.Equal(got, []string{"stripe"}) {
		t.Errorf("stripe: %v", got)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	p, err := small().Find("beta")
	if err != nil || p.Name != "Beta Cloud" {
		t.Errorf("beta: %v, %v", p, err)
	}
	for _, slug := range []string{"", "Beta", "gamma"} {
		if _, err := small().Find(slug); !fault.Is(err, fault.NotFound) || fault.CodeOf(err) != "PROVIDER_NOT_FOUND" {
			t.Errorf("%q: %v", slug, err)
		}
	}
}

func TestCategories(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"ai", "crm", "payments"}, small().Categories()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestImmutable: whoever is given a provider may change it.
func TestImmutable(t *testing.T) {
	t.Parallel()
	c := small()
	for _, give := range []func() Provider{
		func() Provider { p, _ := c.Find("alpha"); return p },
		func() Provider { return c.All()[0] },
	} {
		p := give()
		p.Auth[0].Fields["in"], p.Auth[0].Type, p.Policy[0] = "query", "none", '['
	}
	p, err := c.Find("alpha")
	if err != nil || p.Auth[0].Fields["in"] != "header" || p.Auth[0].Type != "api_key" || strings.HasPrefix(string(p.Policy), "[") {
		t.Errorf("changed from outside: %+v, %v", p, err)
	}
}
