package console

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCurl(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   command
		want string
	}{
		"get":     {command{method: "GET", path: "/v1"}, `curl -H "Authorization: Bearer $API_KEY" 'http://sg.test/proxy/up/v1'`},
		"query":   {command{method: "GET", path: "/v1", query: "a=1&b=%20"}, `curl -H "Authorization: Bearer $API_KEY" 'http://sg.test/proxy/up/v1?a=1&b=%20'`},
		"head":    {command{method: "HEAD", path: "/", body: "x"}, `curl -H "Authorization: Bearer $API_KEY" --head 'http://sg.test/proxy/up/'`},
		"account": {command{method: "GET", path: "/", account: "acme"}, `curl -H "Authorization: Bearer $API_KEY" -H 'Switchgear-Account: acme' 'http://sg.test/proxy/up/'`},
		"body": {
			command{method: "POST", path: "/", headers: [][2]string{{"Content-Type", "application/json"}, {"X-Empty", ""}}, body: `{"a":"it's"}`},
			`curl -H "Authorization: Bearer $API_KEY" -X 'POST' -H 'Content-Type: application/json' -H 'X-Empty;' --data-raw '{"a":"it'\''s"}' 'http://sg.test/proxy/up/'`,
		},
		"body without type": {command{method: "POST", path: "/", body: "@/etc/passwd"}, `curl -H "Authorization: Bearer $API_KEY" -X 'POST' -H 'Content-Type:' --data-raw '@/etc/passwd' 'http://sg.test/proxy/up/'`},
		"terminal controls": {command{method: "POST", path: "/", body: "\x1b[201~rm -rf ~\n"}, `curl -H "Authorization: Bearer $API_KEY" -X 'POST' -H 'Content-Type:' --data-binary @body.bin 'http://sg.test/proxy/up/'`},
		"strange percent":   {command{method: "GET", path: "/50%/%zz/%41/a b"}, `curl -H "Authorization: Bearer $API_KEY" 'http://sg.test/proxy/up/50%25/%25zz/%41/a%20b'`},
		"pattern":           {command{method: "GET", path: "/[1-9]/../x"}, `curl --path-as-is --globoff -H "Authorization: Bearer $API_KEY" 'http://sg.test/proxy/up/[1-9]/../x'`},
	} {
		c.in.base, c.in.slug = "http://sg.test", "up"
		if diff := cmp.Diff(c.want, strings.ReplaceAll(c.in.curl(), " \\\n  ", " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A shell that reads the command passes every part on as it was, and runs nothing else.
func TestCurlIsSafeInAShell(t *testing.T) {
	t.Parallel()
	hostile := []string{
		`'; touch pwned; '`, "`touch pwned`", `$(touch pwned)`, `"; touch pwned #`, `\'; touch pwned`, `-o pwned`, `--config=pwned`, "a\nb'\n$(touch pwned)", `!!`, `*`, `~`,
		`it's "quoted" \ and $HOME`, "tab\there", `|touch pwned`, `&& touch pwned`, `é😀`,
	}
	// The shell gets a function of the name, which prints the words it is called with.
	const show = `curl() { for word in "$@"; do printf '%s\0' "$word"; done; }
`
	for _, h := range hostile {
		c := command{
			base: "http://sg.test", slug: h, account: h, method: "PO'ST`$(touch pwned)`", path: "/" + h, query: "q=" + h,
			headers: [][2]string{{"X-Hostile", h}}, body: h,
		}
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", show+c.curl())
		cmd.Dir, cmd.Env = dir, []string{"API_KEY=the key", "PATH=/usr/bin:/bin", "HOME=/nowhere"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s\n%s", h, err, out, c.curl())
		}
		words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		for _, want := range []string{"Authorization: Bearer the key", c.method, "Switchgear-Account: " + h, "X-Hostile: " + h, h} {
			if !slices.Contains(words, want) {
				text, _ := json.Marshal(words)
				t.Errorf("%q: the word %q is missing in %s", h, want, text)
			}
		}
		if target := words[len(words)-1]; !strings.HasPrefix(target, "http://sg.test/proxy/") || strings.ContainsAny(target, " \n\t'\"`") {
			t.Errorf("%q: the last word is %q", h, target)
		}
		if left, err := exec.CommandContext(t.Context(), "ls", "-A", dir).Output(); err != nil || len(left) > 0 {
			t.Errorf("%q: the shell made %s, %v", h, left, err)
		}
	}
}

func TestWithoutRedacted(t *testing.T) {
	t.Parallel()
	if got, dropped := withoutRedacted("a=1&token=[redacted]&b=2"); got != "a=1&b=2" || !dropped {
		t.Errorf("%q, %v", got, dropped)
	}
	if got, dropped := withoutRedacted("a=1"); got != "a=1" || dropped {
		t.Errorf("%q, %v", got, dropped)
	}
}
