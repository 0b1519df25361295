package access

import (
	"bytes"
	"flag"
	"testing"

	"switchgear/web/templates/gallery/gallerytest"
	"switchgear/web/templates/ui"
)

var update = flag.Bool("update", false, "write the golden files anew")

func render(t *testing.T, s ui.State) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.View.Render(t.Context(), &b); err != nil {
		t.Fatalf("%s: %s: %v", s.Group, s.Name, err)
	}
	return b.String()
}

// find returns the rendered state of that group and name.
func find(t *testing.T, group, name string) string {
	t.Helper()
	for _, s := range Gallery() {
		if s.Group == group && s.Name == name {
			return render(t, s)
		}
	}
	t.Fatalf("the gallery has no state %q of %q", name, group)
	return ""
}

func TestGallery(t *testing.T) {
	t.Parallel()
	gallerytest.RunPages(t, Gallery(), *update)
}
