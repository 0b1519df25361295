package console

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
)

var update = flag.Bool("update", false, "rewrite golden files")

// Every URL of the console with who may use it. A new public route is a visible change of this file.
func TestRouteList(t *testing.T) {
	t.Parallel()
	c := &Console{cfg: Config{Dev: true}}
	var b strings.Builder
	for _, rt := range c.routes() {
		_, _ = fmt.Fprintf(&b, "%-5s %-32s %s\n", rt.method, rt.pattern, rt.guard)
	}
	golden := filepath.Join("testdata", "routes.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("routes changed (-golden +now); run with -update if that is meant:\n%s", diff)
	}
}

func TestRoutesAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	c := &Console{cfg: Config{Dev: true}}
	for _, rt := range c.routes() {
		key := rt.method + " " + rt.pattern
		if seen[key] {
			t.Errorf("%s is listed twice", key)
		}
		seen[key] = true
		if rt.guard == (guard{}) || rt.guard.String() == "nobody" {
			t.Errorf("%s has no guard", key)
		}
		if rt.method != "GET" && rt.method != "POST" {
			t.Errorf("%s: forms know GET and POST only", key)
		}
	}
	if (guard{}).String() != "nobody" {
		t.Error("the zero guard must let nobody in")
	}
	// The gallery is for developers.
	for _, rt := range (&Console{}).routes() {
		if strings.HasPrefix(rt.pattern, "/dev/") {
			t.Errorf("%s exists outside development mode", rt.pattern)
		}
	}
}

// The navigation leads only to pages that exist and that the role may open.
func TestNavigationLeadsSomewhere(t *testing.T) {
	t.Parallel()
	c := &Console{}
	for _, role := range access.Roles() {
		for _, group := range navigation(role, "overview") {
			for _, item := range group.Items {
				i := slices.IndexFunc(c.routes(), func(rt route) bool { return rt.method == "GET" && rt.pattern == item.Href })
				if i < 0 {
					t.Errorf("%s: %q leads to %s, which does not exist", role, item.Label, item.Href)
					continue
				}
				if g := c.routes()[i].guard; !g.public && !g.signedIn && !role.Can(g.permission) {
					t.Errorf("%s sees %q and may not open it", role, item.Label)
				}
			}
		}
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"":                              "/",
		"/":                             "/",
		"/users?q=a%20b&page=2":         "/users?q=a%20b&page=2",
		"users":                         "/",
		"//evil.example":                "/",
		"/\\evil.example":               "/",
		"/a\\b":                         "/",
		"https://evil.example/":         "/",
		"javascript:alert(1)":           "/",
		"/\tevil":                       "/",
		"/ok\r\nSet-Cookie: a=b":        "/",
		"/" + strings.Repeat("a", 3000): "/",
		"http:/users":                   "/",
		"///evil.example":               "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("localPath(%q) = %q, want %q", next, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "/users", "//x", "/\\x", "https://x", "/a\x00b", "/%2f%2fx"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := localPath(next)
		if got == "" || got[0] != '/' || strings.HasPrefix(got, "//") || strings.HasPrefix(got, "/\\") || strings.ContainsAny(got, "\r\n\t\\") {
			t.Errorf("localPath(%q) = %q leaves the console", next, got)
		}
	})
}

func TestBrowserName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                    "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0": "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile/15E148 Safari/604.1":       "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36":              "Chrome on Android",
		"curl/8.5.0": "curl",
		"":           "Unknown browser",
		"my-robot 1": "my-robot 1",
	} {
		if got := browserName(agent); got != want {
			t.Errorf("browserName(%q) = %q, want %q", agent, got, want)
		}
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][2]int{
		"":                      {1, 50},
		"page=3&limit=10":       {3, 10},
		"page=0&limit=0":        {1, 50},
		"page=-1&limit=100000":  {1, 50},
		"page=x&limit=y":        {1, 50},
		"page=9999999999999999": {1, 50},
	} {
		page, limit := paging(values(t, query))
		if got := [2]int{page, limit}; got != want {
			t.Errorf("paging(%q) = %v, want %v", query, got, want)
		}
	}
}
