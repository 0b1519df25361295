package static

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
)

func newAssets(tb testing.TB) *Assets {
	tb.Helper()
	a, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func get(t *testing.T, a *Assets, method, url string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	a := newAssets(t)
	plain := get(t, a, http.MethodGet, a.URL("css/app.css"), nil).Body.String()
	tests := map[string]struct {
		accept, encoding string
		reader           func(io.Reader) (io.Reader, error)
	}{
		"none":            {"", "", nil},
		"gzip":            {"gzip, deflate", "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		"brotli first":    {"gzip, br", "br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
		"brotli refused":  {"br;q=0, gzip;q=0.5", "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		"unknown only":    {"zstd", "", nil},
		"name is a part":  {"brx, xgzip", "", nil},
		"weight is wrong": {"gzip;q=high", "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, a, http.MethodGet, a.URL("css/app.css"), map[string]string{"Accept-Encoding": tt.accept})
			if w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != tt.encoding {
				t.Fatalf("status %d, Content-Encoding %q, want 200 and %q", w.Code, w.Header().Get("Content-Encoding"), tt.encoding)
			}
			var body io.Reader = w.Body
			if tt.reader != nil {
				var err error
				if body, err = tt.reader(body); err != nil {
					t.Fatal(err)
				}
			}
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			if string(text) != plain {
				t.Error("the decoded body differs from the plain one")
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	a := newAssets(t)
	url := a.URL("js/app.js")
	w := get(t, a, http.MethodGet, url, map[string]string{"Accept-Encoding": "br"})
	want := map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "public, max-age=31536000, immutable",
		"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding", "Content-Encoding": "br",
	}
	got := map[string]string{}
	for k := range want {
		got[k] = w.Header().Get(k)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	etag := w.Header().Get("ETag")
	if again := get(t, a, http.MethodGet, url, map[string]string{"Accept-Encoding": "br", "If-None-Match": `"x", W/` + etag}); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("with its ETag: status %d with %d bytes, want 304 and none", again.Code, again.Body.Len())
	}
	if other := get(t, a, http.MethodGet, url, map[string]string{"Accept-Encoding": "gzip"}); other.Header().Get("ETag") == etag {
		t.Error("two encodings share an ETag")
	}
	head := get(t, a, http.MethodHead, url, map[string]string{"Accept-Encoding": "br"})
	if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
		t.Errorf("HEAD: status %d, %d bytes, Content-Length %s", head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
	}
}

func TestNotServed(t *testing.T) {
	t.Parallel()
	a := newAssets(t)
	tests := map[string]struct {
		method, url string
		status      int
	}{
		"unknown":              {http.MethodGet, "/static/css/nothing.css", http.StatusNotFound},
		"without a hash":       {http.MethodGet, "/static/css/app.css", http.StatusNotFound},
		"a single sheet":       {http.MethodGet, "/static/css/tokens.css", http.StatusNotFound},
		"directory":            {http.MethodGet, "/static/js/", http.StatusNotFound},
		"climbing out":         {http.MethodGet, "/static/../static.go", http.StatusNotFound},
		"read me":              {http.MethodGet, "/static/js/vendor/README.md", http.StatusNotFound},
		"address of a unknown": {http.MethodGet, a.URL("js/nothing.js"), http.StatusNotFound},
		"post":                 {http.MethodPost, a.URL("js/app.js"), http.StatusMethodNotAllowed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, a, tt.method, tt.url, nil)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			if strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Error("an error is cached for ever")
			}
		})
	}
}

func TestURLsHoldTheContent(t *testing.T) {
	t.Parallel()
	a := newAssets(t)
	for _, name := range a.Names() {
		body := get(t, a, http.MethodGet, a.URL(name), nil).Body.Bytes()
		sum := sha256.Sum256(body)
		if !strings.Contains(a.URL(name), "-"+hex.EncodeToString(sum[:])[:8]+".") {
			t.Errorf("%s does not hold the hash of its content", a.URL(name))
		}
	}
}

func TestVendoredScriptsAreUnchanged(t *testing.T) {
	t.Parallel()
	readme, err := files.ReadFile("js/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, l := range Vendored() {
		listed = append(listed, l.File)
		content, err := files.ReadFile("js/vendor/" + l.File)
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); got != l.SHA256 {
			t.Errorf("%s: checksum %s, want %s", l.File, got, l.SHA256)
		}
		for _, part := range []string{l.File, l.Name, l.Version, l.Licence, l.SHA256} {
			if !strings.Contains(string(readme), part) {
				t.Errorf("js/vendor/README.md does not name %q of %s", part, l.File)
			}
		}
		if _, err := files.ReadFile("js/vendor/LICENSE-" + strings.TrimSuffix(l.Name, ".org")); err != nil {
			t.Errorf("the licence text of %s is missing: %v", l.Name, err)
		}
	}
	scripts, err := fs.Glob(files, "js/vendor/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		if !slices.Contains(listed, path.Base(s)) {
			t.Errorf("%s is not listed in Vendored", s)
		}
	}
}

func TestEverySheetIsServed(t *testing.T) {
	t.Parallel()
	onDisk, err := fs.Glob(files, "css/*.css")
	if err != nil {
		t.Fatal(err)
	}
	listed := make([]string, 0, len(sheets()))
	for _, s := range sheets() {
		listed = append(listed, "css/"+s+".css")
	}
	slices.Sort(listed)
	if diff := cmp.Diff(onDisk, listed); diff != "" {
		t.Errorf("sheets (-folder +list):\n%s", diff)
	}
}

func TestOwnScriptsNeedNoEval(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"js/app.js", "js/theme.js"} {
		script, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, banned := range []string{"eval(", "new Function", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", ".style."} {
			if strings.Contains(string(script), banned) {
				t.Errorf("%s contains %q", name, banned)
			}
		}
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	got := compact("/* why */\n@layer a {\n  .x > a:not(.y), .z::before {\n    content: \"\";\n    color: light-dark(#fff, #000);\n  }\n\n  @media (max-width: 9px) {\n    .x { top: 0; }\n  }\n}\n")
	want := `@layer a{.x > a:not(.y),.z::before{content:"";color:light-dark(#fff,#000)}@media (max-width:9px){.x{top:0}}}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("compact (-want +got):\n%s", diff)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newAssets(b)
	}
}
