package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// repository is the tree that the tests judge.
func repository(t *testing.T) fs.FS {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(root)
}

// goFile is one parsed file of hand-written or generated Go.
type goFile struct {
	path      string
	dir       string
	test      bool
	generated bool
	lines     int
	fset      *token.FileSet
	ast       *ast.File
}

// at names a place in the file.
func (f *goFile) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(pos).Line)
}

// imports maps the local name of each import to its path.
func (f *goFile) imports() map[string]string {
	names := map[string]string{}
	for _, spec := range f.ast.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(p)
		if strings.HasPrefix(name, "v") && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(p))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}

// files lists every file of the tree with the suffix, leaving out dot folders, test data and
// the data directory of a console that was run here.
func files(t *testing.T, fsys fs.FS, suffix string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || p == "data") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, suffix) {
			found = append(found, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func parseAll(t *testing.T, fsys fs.FS) []*goFile {
	t.Helper()
	paths := files(t, fsys, ".go")
	all := make([]*goFile, 0, len(paths))
	for _, p := range paths {
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &goFile{
			path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), generated: ast.IsGenerated(tree),
			lines: bytes.Count(text, []byte("\n")), fset: fset, ast: tree,
		})
	}
	return all
}

// tree makes a synthetic repository from path and text, in pairs.
func tree(pairs ...string) fs.FS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// report fails with each violation.
func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

// expect compares the violations of a synthetic tree with fragments that each must contain, in order.
func expect(t *testing.T, violations []string, want ...string) {
	t.Helper()
	slices.Sort(violations)
	if len(violations) != len(want) {
		t.Errorf("%d violations, want %d: %q", len(violations), len(want), violations)
		return
	}
	for i, w := range want {
		if !strings.Contains(violations[i], w) {
			t.Errorf("violation %q does not mention %q", violations[i], w)
		}
	}
}
