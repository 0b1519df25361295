// Package static serves the files that browsers need: one style sheet, the scripts and the icon. They
// are embedded in the program.
//
// Every file has an address that contains a hash of its content, so that a browser may keep it for ever
// and a new version of the program never meets an old file. Invariants:
//
//   - The style sheets under css/ are one file for the browser, app.css, in the order of [sheets].
//   - Files are compressed once, when a browser first asks for them.
//   - Nothing is served that is not listed; no directory is readable.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed css js favicon.svg logo.svg
var files embed.FS

// Prefix starts the address of every asset.
const Prefix = "/static/"

// sheets are the style sheets in cascade order; tokens.css declares the order of the layers.
func sheets() []string {
	return []string{
		"tokens", "base", "layout", "button", "status", "card", "table", "form", "filters", "dialog", "notice",
		"chart", "code", "live", "progress", "gallery", "print",
	}
}

// Assets are the files with their addresses. Make them with [New]; they are safe for concurrent use.
type Assets struct {
	// urls maps a name ("js/app.js") to its address.
	urls map[string]string
	// byURL maps an address to its file.
	byURL map[string]*asset
}

// New reads the embedded files. It fails only if a listed file is missing.
func New() (*Assets, error) {
	a := &Assets{urls: map[string]string{}, byURL: map[string]*asset{}}
	var css bytes.Buffer
	for _, name := range sheets() {
		sheet, err := files.ReadFile("css/" + name + ".css")
		if err != nil {
			return nil, fmt.Errorf("static: %w", err)
		}
		css.Write(sheet)
		css.WriteByte('\n')
	}
	a.add("css/app.css", []byte(compact(css.String())))
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ext := path.Ext(name); ext != ".js" && ext != ".svg" {
			return nil
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		a.add(name, content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	return a, nil
}

// compact drops comments and the white space that only people need. It knows the way the sheets here are
// written (one selector or declaration after the other, no strings with punctuation), not all of CSS.
func compact(css string) string {
	var b strings.Builder
	for css != "" {
		before, rest, found := strings.Cut(css, "/*")
		b.WriteString(before)
		if !found {
			break
		}
		_, css, _ = strings.Cut(rest, "*/")
	}
	css = strings.Join(strings.Fields(b.String()), " ")
	return strings.NewReplacer(" { ", "{", "{ ", "{", "; } ", "}", "; }", "}", " } ", "}", "; ", ";", "} ", "}", ": ", ":", ", ", ",").Replace(css)
}

func (a *Assets) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	ext := path.Ext(name)
	url := Prefix + strings.TrimSuffix(name, ext) + "-" + hash[:8] + ext
	a.urls[name] = url
	a.byURL[url] = &asset{name: name, content: content, etag: hash[:16]}
}

// URL is the address of a file. An unknown name gets an address that answers 404; a test makes sure that
// templates use no such name.
func (a *Assets) URL(name string) string {
	if url, ok := a.urls[name]; ok {
		return url
	}
	return Prefix + name
}

// Names lists the files that have an address, for tests.
func (a *Assets) Names() []string {
	names := make([]string, 0, len(a.urls))
	for name := range a.urls {
		names = append(names, name)
	}
	return names
}
