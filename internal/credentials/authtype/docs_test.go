package authtype

import (
	"os"
	"strings"
	"testing"
)

// docs/auth-types.md tells every kind with every field.
func TestDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/auth-types.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(text), "\n## ") {
		title, rest, _ := strings.Cut(section, "\n")
		sections[strings.Trim(title, "`")] = rest
	}
	for _, typ := range All() {
		section, ok := sections[typ.Kind()]
		if !ok {
			t.Errorf("%s has no section", typ.Kind())
			continue
		}
		for _, f := range typ.Fields() {
			if !strings.Contains(section, "`"+f.Key+"`") {
				t.Errorf("%s: the field %s is not documented", typ.Kind(), f.Key)
			}
		}
	}
}
