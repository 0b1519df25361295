package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/config"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

func TestMarkdownIsCommitted(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "configuration.md")
	if *update {
		if err := os.WriteFile(file, []byte(config.Markdown()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), config.Markdown()); diff != "" {
		t.Errorf("docs/configuration.md is out of date; run make generate (-committed +now):\n%s", diff)
	}
}
