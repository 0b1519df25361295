package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "switchgear"

// layers says which packages of ours each package may import, from the bottom up. A row covers the
// folders below it, and a package may always import its own subpackages. Tests may import anything.
func layers() map[string][]string {
	always := []string{"internal/fault", "internal/telemetry", "internal/webaddress"}
	features := []string{
		"internal/access", "internal/audit", "internal/credentials", "internal/providers", "internal/connections", "internal/calls", "internal/runtime",
		"internal/breakers", "internal/connect", "internal/health", "internal/alerts", "internal/checklist", "internal/whatif",
		"internal/rotation",
	}
	with := func(more ...string) []string { return slices.Concat(always, more) }

	table := map[string][]string{
		"internal/fault":     {},
		"internal/telemetry": {},

		"internal/webaddress": {},

		"internal/config":     with(),
		"internal/live":       with(),
		"internal/runtime":    with(),
		"internal/sandbox":    with(),
		"internal/signatures": with(),
		"internal/transform":  with(),

		"db":                     with(),
		"internal/audit":         with("db"),
		"internal/access":        with("db", "internal/audit"),
		"internal/credentials":   with("db"),
		"internal/rotation":      with("db", "internal/audit", "internal/access", "internal/credentials"),
		"internal/providers":     with(),
		"internal/connections":   with("db", "internal/audit", "internal/access", "internal/credentials", "internal/providers", "internal/runtime"),
		"internal/breakers":      with("db", "internal/audit", "internal/access", "internal/connections", "internal/runtime"),
		"internal/calls":         with("db", "internal/runtime"),
		"internal/connect":       with("db", "internal/access", "internal/audit", "internal/credentials", "internal/connections"),
		"internal/observability": with("internal/runtime"),
		"internal/demo":          with("db", "internal/audit", "internal/access", "internal/credentials", "internal/connections", "internal/sandbox"),
		"internal/checklist":     with("db", "internal/audit", "internal/access", "internal/alerts", "internal/connections", "internal/calls", "internal/breakers", "internal/providers", "internal/runtime"),
		"internal/idempotency":   with("db"),
		"internal/whatif":        with("internal/access", "internal/connections", "internal/calls", "internal/runtime"),
		"internal/health":        with("db", "internal/access", "internal/credentials", "internal/connections", "internal/calls", "internal/breakers", "internal/runtime"),
		"internal/alerts":        with("db", "internal/audit", "internal/access", "internal/credentials", "internal/connections", "internal/calls", "internal/health", "internal/runtime"),

		// Views see view models only, so that a page can be drawn, tested and changed without the product.
		"web/static":    {},
		"web/templates": {},

		// The edges go through features; SQL is out of their reach.
		"internal/console": slices.Concat(with("internal/live", "web/static", "web/templates"), features),
		"internal/api":     slices.Concat(with("internal/live", "internal/idempotency", "web/templates"), features),

		"cmd/console": with("internal/app", "internal/config"),

		"internal/archtest":  {},
		"internal/benchtest": {},
		"internal/dbtest":    with("db"),
		"internal/nettest":   {},
	}
	all := slices.Collect(maps.Keys(table))
	all = slices.DeleteFunc(all, func(p string) bool {
		return strings.HasPrefix(p, "cmd/") || strings.HasSuffix(p, "test")
	})
	table["internal/app"] = all
	return table
}

// testHelpers stands for the packages that only tests import: their names end in "test".
const testHelpers = "a test helper"

func isTestHelper(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// homes lists the dependencies that exactly one place may know, so that replacing one is a change there.
func homes() map[string]string {
	return map[string]string{
		"code.dny.dev/ssrf":                                        "internal/runtime",
		"github.com/DataDog/sketches-go":                           "internal/calls",
		"github.com/alecthomas/kong":                               "cmd/console",
		"github.com/alexedwards/argon2id":                          "internal/access",
		"github.com/alexedwards/scs/v2":                            "internal/access",
		"github.com/caarlos0/env/v11":                              "internal/config",
		"github.com/goccy/go-yaml":                                 "internal/providers",
		"github.com/mattn/go-sqlite3":                              "db",
		"github.com/microcosm-cc/bluemonday":                       "web/templates/ui",
		"github.com/pressly/goose/v3":                              "db",
		"github.com/sony/gobreaker/v2":                             "internal/runtime/breaker",
		"github.com/thejerf/suture/v4":                             "internal/app",
		"github.com/tink-crypto/tink-go/v2":                        "internal/credentials",
		"go.opentelemetry.io/otel":                                 "internal/observability",
		"github.com/yuin/goldmark":                                 "web/templates/ui",
		"testing":                                                  testHelpers,
		"net/http/httptest":                                        testHelpers,
		"github.com/google/go-cmp/cmp":                             testHelpers,
		"github.com/emersion/go-smtp":                              testHelpers,
		"github.com/emersion/go-sasl":                              testHelpers,
		"github.com/standard-webhooks/standard-webhooks/libraries": testHelpers,
		"github.com/chromedp/chromedp":                             testHelpers,
		"github.com/zitadel/oidc/v3":                               testHelpers,
		"github.com/google/go-github":                              testHelpers,
		"github.com/rogpeppe/go-internal":                          testHelpers,
	}
}

// listed is the part of `go list -json` that the rules need.
type listed struct {
	ImportPath string
	Imports    []string
	Module     *struct{ Path string }
}

// graph maps each package of ours (relative to the module) to everything it imports: ours relative,
// others in full. Imports of tests are not in it.
type graph map[string][]string

// goList keeps going where a package does not build: the compiler says that better.
func goList(t *testing.T) graph {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Imports,Module", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := graph{}
	for dec := json.NewDecoder(out); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		imports := make([]string, 0, len(p.Imports))
		for _, i := range p.Imports {
			imports = append(imports, relative(i))
		}
		g[relative(p.ImportPath)] = imports
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return g
}

func relative(importPath string) string { return strings.TrimPrefix(importPath, module+"/") }

// within reports whether pkg is the folder or lies below it.
func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// row finds the row of the table that covers pkg.
func row(table map[string][]string, pkg string) (string, bool) {
	best, ok := "", false
	for r := range table {
		if within(pkg, r) && len(r) > len(best) {
			best, ok = r, true
		}
	}
	return best, ok
}

// checkLayers judges every import between packages of ours, and every import of what has a home.
func checkLayers(g graph, table map[string][]string, homes map[string]string) []string {
	var bad []string
	for _, pkg := range slices.Sorted(maps.Keys(g)) {
		r, ok := row(table, pkg)
		if !ok {
			bad = append(bad, pkg+" is not in the table of layers: add it to layers() in internal/archtest, as low as it can be")
			continue
		}
		for _, imported := range g[pkg] {
			if _, ours := g[imported]; ours {
				if isTestHelper(imported) && !isTestHelper(pkg) {
					bad = append(bad, fmt.Sprintf("%s must not import %s, only tests do: %s", pkg, imported, chain(g, pkg, imported)))
				}
				if !within(imported, r) && !slices.ContainsFunc(table[r], func(a string) bool { return within(imported, a) }) {
					bad = append(bad, fmt.Sprintf("%s must not import %s (it may import %s): %s", pkg, imported, allowed(table[r]), chain(g, pkg, imported)))
				}
				continue
			}
			for dependency, home := range homes {
				if within(imported, dependency) && !within(pkg, home) && (home != testHelpers || !isTestHelper(pkg)) {
					bad = append(bad, fmt.Sprintf("%s must not import %s, only %s does: %s", pkg, imported, home, chain(g, pkg, imported)))
				}
			}
		}
	}
	return bad
}

func allowed(may []string) string {
	if len(may) == 0 {
		return "nothing of ours"
	}
	return strings.Join(slices.Sorted(slices.Values(may)), ", ")
}

// chain is the shortest way from a command to the import, so that the reader sees how it got in.
func chain(g graph, from, to string) string {
	previous := map[string]string{}
	var queue []string
	for _, p := range slices.Sorted(maps.Keys(g)) {
		if strings.HasPrefix(p, "cmd/") {
			previous[p] = ""
			queue = append(queue, p)
		}
	}
	for len(queue) > 0 && queue[0] != from {
		for _, next := range g[queue[0]] {
			if _, seen := previous[next]; !seen {
				previous[next] = queue[0]
				queue = append(queue, next)
			}
		}
		queue = queue[1:]
	}
	way := []string{from, to}
	for p := previous[from]; p != ""; p = previous[p] {
		way = slices.Insert(way, 0, p)
	}
	return strings.Join(way, " → ")
}

func TestLayers(t *testing.T) {
	t.Parallel()
	g := goList(t)
	if len(g) < 5 {
		t.Fatalf("only %d packages were listed", len(g))
	}
	report(t, checkLayers(g, layers(), homes()))
}

func TestLayersCatches(t *testing.T) {
	t.Parallel()
	g := graph{
		"cmd/console":             {"internal/app", "fmt"},
		"internal/app":            {"internal/console", "db", "internal/access"},
		"internal/console":        {"internal/access", "db", "web/templates/users"},
		"internal/access":         {"internal/access/apikey", "db", "internal/dbtest", "github.com/mattn/go-sqlite3"},
		"internal/access/apikey":  {"internal/fault"},
		"internal/fault":          {"internal/telemetry", "errors"},
		"internal/telemetry":      {"testing"},
		"internal/dbtest":         {"db", "testing"},
		"internal/novelty":        {"internal/fault"},
		"db":                      {"internal/fault", "github.com/mattn/go-sqlite3"},
		"web/templates/users":     {"web/templates/ui", "internal/access"},
		"web/templates/ui":        {"web/templates/ui/uitest"},
		"web/templates/ui/uitest": {"testing"},
	}
	expect(t, checkLayers(g, layers(), homes()),
		"internal/access must not import github.com/mattn/go-sqlite3, only db does: cmd/console → internal/app → internal/access → github.com/mattn/go-sqlite3",
		"internal/access must not import internal/dbtest (it may import ",
		"internal/access must not import internal/dbtest, only tests do",
		"internal/console must not import db (it may import internal/access, internal/alerts, internal/audit, ",
		"internal/fault must not import internal/telemetry (it may import nothing of ours): cmd/console → internal/app → ",
		"internal/novelty is not in the table of layers",
		"internal/telemetry must not import testing",
		"web/templates/ui must not import web/templates/ui/uitest, only tests do",
		"web/templates/users must not import internal/access",
	)
	if got := chain(g, "internal/console", "db"); got != "cmd/console → internal/app → internal/console → db" {
		t.Errorf("chain %q", got)
	}
}
