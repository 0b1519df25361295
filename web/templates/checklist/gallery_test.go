package checklist

import (
	"flag"
	"strings"
	"testing"

	"switchgear/web/templates/gallery/gallerytest"
	"switchgear/web/templates/ui"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGallery(t *testing.T) {
	t.Parallel()
	gallerytest.RunPages(t, Gallery(), *update)
}

// Signs stand without their word in the matrix, so no two may look alike.
func TestVerdictsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, verdict := range []string{"pass", "fail", "stale", "unknown", "exempt"} {
		chip := VerdictChip(verdict, "")
		if other := seen[chip.Sign()]; other != "" || chip.Label == "" || chip.Tone == ui.ToneNone {
			t.Errorf("%s has the sign of %s", verdict, other)
		}
		seen[chip.Sign()] = verdict
	}
	if chip := VerdictChip("of_later", ""); chip.Label != "of_later" {
		t.Errorf("%+v", chip)
	}
}

func TestCounted(t *testing.T) {
	t.Parallel()
	for want, verdicts := range map[string][]string{
		"2 fail 1 stale 1 unknown ": {"fail", "stale", "pass", "fail", "unknown"}, "Ready ": {"pass", "exempt"}, "": nil,
	} {
		var got strings.Builder
		for _, chip := range (Row{Verdicts: verdicts}).counted() {
			got.WriteString(chip.Label + " ")
		}
		if got.String() != want {
			t.Errorf("%v: %q, want %q", verdicts, got.String(), want)
		}
	}
}
