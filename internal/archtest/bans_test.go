package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// ban is a name of another package that must not be used.
type ban struct {
	pkg   string
	names []string
	why   string
	// tests is true when the rule holds in tests as well.
	tests bool
	// except lists folders or files where the name belongs.
	except []string
}

func bans() []ban {
	const client = "outbound requests are made by the egress client, which checks the address"
	return []ban{
		{pkg: "net/http", names: []string{"Get", "Head", "Post", "PostForm", "DefaultClient", "DefaultTransport"}, why: client},
		// The collector of traces is named by the operator, not by a connection.
		{pkg: "net/http", names: []string{"Client", "Transport"}, why: client, except: []string{"internal/runtime/egress", "internal/sandbox", "internal/observability"}},
		{pkg: "github.com/go-chi/chi/v5/middleware", names: []string{"RealIP"}, why: "anyone can forge the header it believes; use the trusted proxy count", tests: true},
		{pkg: "github.com/a-h/templ", names: []string{"Raw", "JSUnsafeFuncCall", "ComponentScript"}, why: "it writes unescaped text into the page", tests: true},
		{pkg: "time", names: []string{"Sleep"}, why: "wait for what has to happen; in tests, let testing/synctest move the clock", tests: true},
	}
}

// checkBans finds names and constructs that nobody may use. Generated code is left out: its source is
// checked instead.
func checkBans(all []*goFile) []string {
	var bad []string
	for _, f := range all {
		if f.generated {
			continue
		}
		imports := f.imports()
		say := func(n ast.Node, format string, args ...any) {
			bad = append(bad, f.at(n.Pos())+": "+fmt.Sprintf(format, args...))
		}
		for _, spec := range f.ast.Imports {
			if p := strings.Trim(spec.Path.Value, `"`); !f.test && (p == "math/rand" || p == "math/rand/v2") && !strings.Contains(path.Base(f.path), "jitter") {
				say(spec, "%s is for jitter only, in a file named so; crypto/rand makes what nobody may guess", p)
			}
		}
		// *http.Client as a type is harmless: whoever holds one was given it.
		pointedAt := map[ast.Expr]bool{}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StarExpr:
				pointedAt[n.X] = true
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil && !f.test {
					say(n, "init runs without being called; make a constructor")
				}
			case *ast.Ident:
				if n.Name == "InsecureSkipVerify" {
					say(n, "InsecureSkipVerify gives up the proof of who answers; add the certificate to a pool")
				}
			case *ast.SelectorExpr:
				checkSelector(f, imports, n, pointedAt[n], say)
			}
			return true
		})
	}
	return bad
}

func checkSelector(f *goFile, imports map[string]string, n *ast.SelectorExpr, pointedAt bool, say func(ast.Node, string, ...any)) {
	x, ok := n.X.(*ast.Ident)
	if !ok {
		return
	}
	if f.test && slices.Contains([]string{"t", "tb", "b", "f"}, x.Name) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, n.Sel.Name) {
		say(n, "a skipped test proves nothing; make it run or remove it")
	}
	for _, b := range bans() {
		switch {
		case imports[x.Name] != b.pkg, !slices.Contains(b.names, n.Sel.Name), f.test && !b.tests:
			continue
		case slices.ContainsFunc(b.except, func(e string) bool { return within(f.path, e) }):
			continue
		case pointedAt && (n.Sel.Name == "Client" || n.Sel.Name == "Transport"):
			continue
		// In a bubble of synctest nothing sleeps: it is how a test moves the clock.
		case n.Sel.Name == "Sleep" && f.test && slices.Contains(importPaths(imports), "testing/synctest"):
			continue
		}
		say(n, "%s.%s: %s", x.Name, n.Sel.Name, b.why)
	}
}

func importPaths(imports map[string]string) []string {
	paths := make([]string, 0, len(imports))
	for _, p := range imports {
		paths = append(paths, p)
	}
	return paths
}

func TestBans(t *testing.T) {
	t.Parallel()
	report(t, checkBans(parseAll(t, repository(t))))
}

func TestBansCatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path, text string
		want       string // empty: allowed
	}{
		"get":                  {"internal/a/a.go", `import "net/http"; var _ = http.Get`, "http.Get"},
		"get under an alias":   {"internal/a/a.go", `import web "net/http"; var _ = web.Get`, "web.Get"},
		"get of something":     {"internal/a/a.go", `import "net/url"; var http url.Values; var _ = http.Get`, ""},
		"get in a test":        {"internal/a/a_test.go", `import "net/http"; var _ = http.Get`, ""},
		"default client":       {"internal/a/a.go", `import "net/http"; var _ = http.DefaultClient`, "http.DefaultClient"},
		"client literal":       {"internal/a/a.go", `import "net/http"; var _ = &http.Client{}`, "http.Client"},
		"client by new":        {"internal/a/a.go", `import "net/http"; var _ = new(http.Client)`, "http.Client"},
		"client variable":      {"internal/a/a.go", `import "net/http"; var c http.Client`, "http.Client"},
		"client given":         {"internal/a/a.go", `import "net/http"; func f(c *http.Client) {}`, ""},
		"transport":            {"internal/a/a.go", `import "net/http"; var _ = &http.Transport{}`, "http.Transport"},
		"transport in egress":  {"internal/runtime/egress/a.go", `import "net/http"; var _ = &http.Transport{}`, ""},
		"client in sandbox":    {"internal/sandbox/a.go", `import "net/http"; var _ = &http.Client{}`, ""},
		"real IP":              {"internal/a/a.go", `import "github.com/go-chi/chi/v5/middleware"; var _ = middleware.RealIP`, "RealIP"},
		"raw":                  {"internal/a/a.go", `import "github.com/a-h/templ"; var _ = templ.Raw("")`, "templ.Raw"},
		"raw, generated":       {"internal/a/a.go", "import \"github.com/a-h/templ\"\n\n// Code generated by templ - DO NOT EDIT.\n\nvar _ = templ.Raw", "templ.Raw"}, // the marker counts only above the package clause
		"script call":          {"internal/a/a.go", `import "github.com/a-h/templ"; var _ = templ.JSUnsafeFuncCall`, "JSUnsafeFuncCall"},
		"no verification":      {"internal/a/a.go", `import "crypto/tls"; var _ = tls.Config{InsecureSkipVerify: true}`, "InsecureSkipVerify"},
		"no verification, set": {"internal/a/a_test.go", `import "crypto/tls"; func f(c *tls.Config) { c.InsecureSkipVerify = true }`, "InsecureSkipVerify"},
		"weak random":          {"internal/a/a.go", `import "math/rand/v2"; var _ = rand.IntN`, "math/rand/v2"},
		"weak random, jitter":  {"internal/a/jitter.go", `import "math/rand/v2"; var _ = rand.IntN`, ""},
		"init":                 {"internal/a/a.go", `func init() {}`, "init"},
		"method called init":   {"internal/a/a.go", `type x int; func (x) init() {}`, ""},
		"sleep":                {"internal/a/a.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		"sleep in a test":      {"internal/a/a_test.go", `import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		"sleep in a bubble":    {"internal/a/a_test.go", `import ("time"; "testing/synctest"); func f() { synctest.Wait(); time.Sleep(1) }`, ""},
		"skip":                 {"internal/a/a_test.go", `import "testing"; func TestA(t *testing.T) { t.Skip("later") }`, "skipped test"},
		"skip, short":          {"internal/a/a_test.go", `import "testing"; func f(tb testing.TB) { tb.SkipNow() }`, "skipped test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := checkBans(parseAll(t, tree(c.path, "package a\n\n"+c.text+"\n")))
			if c.want == "" {
				expect(t, got)
				return
			}
			expect(t, got, c.want)
		})
	}
}
