package reveal

import (
	"flag"
	"testing"

	"switchgear/web/templates/gallery/gallerytest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGallery(t *testing.T) {
	t.Parallel()
	gallerytest.RunPages(t, Gallery(), *update)
}
