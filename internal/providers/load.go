package providers

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

//go:embed catalog
var catalogFiles embed.FS

// Load reads and checks the built-in catalogue. Its error lists every problem on a line of its own, as
// file:line: text; a released binary never returns one, because a test loads the same files.
func Load() (*Catalog, error) { return load(catalogFiles) }

// load reads the folder catalog of fsys.
func load(fsys fs.FS) (*Catalog, error) {
	const dir = "catalog"
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("providers: %w", err)
	}
	var (
		all      []Provider
		problems []error
		names    = map[string]string{}
	)
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() || path.Ext(name) != ".yaml" {
			problems = append(problems, fmt.Errorf("%s:1: only <slug>.yaml files belong here", name))
			continue
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("providers: %w", err)
		}
		f, p, err := decode(name, text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		f.check(p)
		key := strings.ToLower(p.Name)
		if first, taken := names[key]; taken && key != "" {
			f.addf("name", "%q is the name in %s already", p.Name, first)
		} else {
			names[key] = name
		}
		problems = append(problems, f.problems...)
		all = append(all, p)
	}
	switch {
	case len(problems) > 0:
		return nil, fmt.Errorf("providers: the catalogue is wrong:\n%w", errors.Join(problems...))
	case len(all) == 0:
		return nil, errors.New("providers: the catalogue is empty")
	}
	return newCatalog(all), nil
}

// document is the form of a file.
type document struct {
	Name            string         `yaml:"name"`
	Slug            string         `yaml:"slug"`
	Kind            string         `yaml:"kind"`
	Category        string         `yaml:"category"`
	Docs            string         `yaml:"docs"`
	Summary         string         `yaml:"summary"`
	BaseURL         string         `yaml:"base_url"`
	BaseURLEditable bool           `yaml:"base_url_editable"`
	Auth            []authDocument `yaml:"auth"`
	RateLimit       struct {
		Dialect string `yaml:"dialect"`
		Note    string `yaml:"note"`
	} `yaml:"rate_limit"`
	Pagination string `yaml:"pagination"`
	Webhook    string `yaml:"webhook"`
	Health     struct {
		Method string `yaml:"method"`
		Path   string `yaml:"path"`
	} `yaml:"health"`
	Policy map[string]any `yaml:"policy"`
}

type authDocument struct {
	Type   string            `yaml:"type"`
	Label  string            `yaml:"label"`
	Fields map[string]string `yaml:"fields"`
}

// file is a decoded file and what is wrong with it.
type file struct {
	name     string
	lines    map[string]int // by path, such as auth[0].fields.name
	policy   map[string]any
	problems []error
}

// decode parses a file; unknown and repeated fields are errors, and so is a second document.
func decode(name string, text []byte) (*file, Provider, error) {
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, Provider{}, located(name, err)
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		return nil, Provider{}, fmt.Errorf("%s:1: holds %d documents; a file is one provider", name, len(parsed.Docs))
	}
	var d document
	if err := yaml.NodeToValue(parsed.Docs[0].Body, &d, yaml.Strict()); err != nil {
		return nil, Provider{}, located(name, err)
	}
	f := &file{name: name, lines: map[string]int{}, policy: d.Policy}
	ast.Walk(f, parsed.Docs[0].Body)

	p := Provider{
		Slug: d.Slug, Name: d.Name, Kind: d.Kind, Category: d.Category, Docs: d.Docs, Summary: d.Summary,
		BaseURL: d.BaseURL, BaseURLEditable: d.BaseURLEditable,
		RateLimit:  RateLimit{Dialect: d.RateLimit.Dialect, Note: d.RateLimit.Note},
		Pagination: d.Pagination, Webhook: d.Webhook,
		Health: Health{Method: d.Health.Method, Path: d.Health.Path},
	}
	for _, a := range d.Auth {
		p.Auth = append(p.Auth, Auth(a))
	}
	if d.Policy != nil {
		p.Policy, err = json.Marshal(d.Policy)
		if err != nil {
			return nil, Provider{}, fmt.Errorf("%s:%d: policy: %w", name, f.line("policy"), err)
		}
	}
	return f, p, nil
}

// located puts file and line before an error of the YAML library, without its excerpt of the source.
func located(name string, err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil || e.GetToken().Position == nil {
		return fmt.Errorf("%s:1: %w", name, err)
	}
	return fmt.Errorf("%s:%d: %s", name, e.GetToken().Position.Line, e.GetMessage())
}

// Visit notes the line of each node; it is how f walks a syntax tree.
func (f *file) Visit(n ast.Node) ast.Visitor {
	at := strings.TrimPrefix(strings.TrimPrefix(n.GetPath(), "$"), ".")
	if tok := n.GetToken(); tok != nil && tok.Position != nil {
		if first, seen := f.lines[at]; !seen || tok.Position.Line < first {
			f.lines[at] = tok.Position.Line
		}
	}
	return f
}

// line returns the line of the field at a path, or of the nearest thing around it.
func (f *file) line(at string) int {
	for at != "" {
		if line, ok := f.lines[at]; ok {
			return line
		}
		at = at[:max(0, strings.LastIndexAny(at, ".["))]
	}
	return 1
}

// addf records a problem of the field at a path.
func (f *file) addf(at, format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf("%s:%d: %s: %s", f.name, f.line(at), at, fmt.Sprintf(format, args...)))
}
