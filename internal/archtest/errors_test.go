package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/fault"
)

const errorsIntro = `# Error codes

Every error of the API and of the gateway is one envelope, and ` + "`code`" + ` in it is stable: decide by it, not by the message.
This list is made from the source by ` + "`make generate`" + `; a message that depends on the request has … where it does.
What a code of the gateway means for a call, and whether it may be repeated, is in [gateway.md](gateway.md). A code
that a person only meets in the console is in the list as well.

| Code | Status | What it says | What to do |
|---|---|---|---|
`

// TestErrorCodesAreDocumented holds docs/errors.md to the codes of the source.
func TestErrorCodesAreDocumented(t *testing.T) {
	t.Parallel()
	var all []*goFile
	for _, f := range parseAll(t, repository(t)) {
		if !f.test && !f.generated && within(f.dir, "internal") && !within(f.dir, "internal/sandbox") { // which answers as a vendor does
			all = append(all, f)
		}
	}
	now := errorsIntro + strings.Join(errorRows(t, all), "")
	file := filepath.Join("..", "..", "docs", "errors.md")
	if *update {
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), now); diff != "" {
		t.Errorf("docs/errors.md is out of date; run make generate (-committed +now):\n%s", diff)
	}
}

// coded is what the source says of one code.
type coded struct{ statuses, messages, suggestions map[string]bool }

// statusOf is the status of a kind, by the name of its constant.
func statusOf(name string) string {
	kind, ok := map[string]fault.Kind{
		"Internal": fault.Internal, "Invalid": fault.Invalid, "Unauthenticated": fault.Unauthenticated, "Forbidden": fault.Forbidden,
		"NotFound": fault.NotFound, "MethodNotAllowed": fault.MethodNotAllowed, "NotAcceptable": fault.NotAcceptable, "Conflict": fault.Conflict,
		"PreconditionFailed": fault.PreconditionFailed, "TooLarge": fault.TooLarge, "UnsupportedMedia": fault.UnsupportedMedia,
		"Unprocessable": fault.Unprocessable, "RateLimited": fault.RateLimited, "BadGateway": fault.BadGateway, "Unavailable": fault.Unavailable, "Timeout": fault.Timeout,
	}[name]
	if !ok {
		return "…"
	}
	return strconv.Itoa(kind.Status())
}

var codeForm = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

// errorRows are the lines of the table, by code.
func errorRows(t *testing.T, all []*goFile) []string {
	t.Helper()
	constants := stringConstants(all)
	found := map[string]*coded{}
	for _, f := range all {
		imports := f.imports()
		advice := map[*ast.CallExpr]string{} // of the call that makes the error
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "WithSuggestion" {
				if inner, ok := s.X.(*ast.CallExpr); ok && len(call.Args) == 1 {
					advice[inner] = words(call.Args[0])
				}
			}
			name, kind, code, message := made(call, imports)
			if name == "" {
				return true
			}
			text := constants.value(code, f.dir, imports)
			switch {
			case text == "": // the kind's own code, or one of those that are named elsewhere
				return true
			case !codeForm.MatchString(text):
				t.Errorf("%s: %q is no code", f.at(call.Pos()), text)
				return true
			}
			c := found[text]
			if c == nil {
				c = &coded{map[string]bool{}, map[string]bool{}, map[string]bool{}}
				found[text] = c
			}
			c.statuses[kind] = true
			c.messages[words(message)] = true
			if a := advice[call]; a != "" {
				c.suggestions[a] = true
			}
			return true
		})
	}
	if len(found) < 150 {
		t.Errorf("only %d codes were found", len(found))
	}
	rows := make([]string, 0, len(found))
	for _, code := range slices.Sorted(maps.Keys(found)) {
		c := found[code]
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", code, cell(c.statuses), cell(c.messages), cell(c.suggestions)))
	}
	return rows
}

// made takes a call apart that makes an error with a code: fault.New, fault.Wrap, fault.Field.
func made(call *ast.CallExpr, imports map[string]string) (name, status string, code, message ast.Expr) {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", "", nil, nil
	}
	pkg, ok := s.X.(*ast.Ident)
	if !ok || imports[pkg.Name] != "switchgear/internal/fault" {
		return "", "", nil, nil
	}
	kind, at := "Invalid", 0
	switch s.Sel.Name {
	case "New":
		at = 1
	case "Wrap":
		at = 2
	case "Field":
	default:
		return "", "", nil, nil
	}
	if at > 0 {
		kind = "…"
		if k, ok := call.Args[at-1].(*ast.SelectorExpr); ok {
			kind = k.Sel.Name
		}
	}
	return s.Sel.Name, statusOf(kind), call.Args[at], call.Args[len(call.Args)-1]
}

func literal(e ast.Expr) bool { _, ok := e.(*ast.BasicLit); return ok }

// constantsByDir are the string constants of packages, by folder and name.
type constantsByDir map[string]map[string]string

func stringConstants(all []*goFile) constantsByDir {
	out := constantsByDir{}
	for _, f := range all {
		if out[f.dir] == nil {
			out[f.dir] = map[string]string{}
		}
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v, ok := s.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for i, name := range v.Names {
					if i < len(v.Values) && literal(v.Values[i]) {
						out[f.dir][name.Name] = words(v.Values[i])
					}
				}
			}
		}
	}
	return out
}

// value is the text of an expression that is a literal or a constant, empty for any other.
func (c constantsByDir) value(e ast.Expr, dir string, imports map[string]string) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		return words(e)
	case *ast.Ident:
		return c[dir][e.Name]
	case *ast.SelectorExpr:
		if pkg, ok := e.X.(*ast.Ident); ok {
			return c[strings.TrimPrefix(imports[pkg.Name], "switchgear/")][e.Sel.Name]
		}
	}
	return ""
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// words is what an expression says, with … for what is only known at run time.
func words(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return words(e.X) + words(e.Y)
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Sprintf" && len(e.Args) > 0 {
			return verb.ReplaceAllString(words(e.Args[0]), "…")
		}
	}
	return "…"
}

// cell is a cell of the table: what there is to say, each once.
func cell(texts map[string]bool) string {
	list := slices.Sorted(maps.Keys(texts))
	if len(list) > 1 {
		list = slices.DeleteFunc(list, func(s string) bool { return s == "…" })
	}
	for i := range list {
		list[i] = strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(list[i])
	}
	return strings.Join(list, "<br>")
}
