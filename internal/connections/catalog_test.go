package connections

import (
	"maps"
	"testing"

	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
)

// Every provider of the built-in catalogue makes a valid connection: its presets fit the fields of the
// auth types, and its policy that of the product.
func TestCatalogFits(t *testing.T) {
	t.Parallel()
	catalog, err := providers.Load()
	must(t, err)
	fitting := 0
	for _, p := range catalog.All() {
		if _, err := effectivePolicy(nil, p); err != nil {
			t.Errorf("%s: %v", p.Slug, err)
		}
		for _, auth := range p.Auth {
			typ, err := authtype.Lookup(auth.Type)
			if fault.Is(err, fault.Invalid) {
				continue // a way to authenticate that a later part brings
			}
			fitting++
			p := p
			p.Auth = []providers.Auth{auth}
			_, values, err := completeAuth(Auth{}, p, nil)
			must(t, err)
			for key, value := range auth.Fields {
				if values[key] != value {
					t.Errorf("%s: %s has no field %s", p.Slug, auth.Type, key)
				}
			}
			values = maps.Clone(values)
			for _, f := range typ.Fields() {
				switch {
				case values[f.Key] != "":
				case f.Type == authtype.FieldHeaders:
					values[f.Key] = "X-Key: k"
				case f.Secret:
					values[f.Key] = "k"
				case f.Required:
					values[f.Key] = f.Default
				}
			}
			if err := authtype.Validate(typ, values); err != nil {
				t.Errorf("%s: %s: %v", p.Slug, auth.Type, err)
			}
		}
	}
	if fitting < 20 {
		t.Errorf("only %d ways to authenticate were checked", fitting)
	}
}
