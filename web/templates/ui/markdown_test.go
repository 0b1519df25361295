package ui

import (
	"strings"
	"testing"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source string
		want   []string
		never  []string
	}{
		"structure": {
			"# Failing\n\n##### Least\n\n1. Look at **the page**\n2. Run `console call`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
			[]string{"<h3>Failing</h3>", "<h6>Least</h6>", "<ol>", "<strong>the page</strong>", "<code>console call</code>", "<td>1</td>"},
			nil,
		},
		"links": {
			"[status](https://status.example.com) and [here](/connections) and https://a.example",
			[]string{`href="https://status.example.com"`, "noreferrer", "noopener", `href="/connections"`, `href="https://a.example"`},
			nil,
		},
		"a link that runs": {"[x](javascript:alert(1)) [y](data:text/html,x) <javascript:alert(1)>", nil, []string{`href="javascript`, `href="data`}},
		"HTML":             {"<script>alert(1)</script>\n\n<b onclick=\"x()\">b</b>\n\n<style>p{}</style>", nil, []string{"<script", "onclick", "<style", "<b"}},
		"an image":         {"![pixel](https://evil.example/p.png)", nil, []string{"<img", "evil.example"}},
		"attributes":       {"# Title {#f-name style=\"color:red\" class=btn}", []string{"<h3>"}, []string{"<h3 ", "style=\"color:red\""}},
		"a code block":     {"```sh\nrm -rf \"$X\" < y\n```", []string{"<pre><code>", "&lt; y"}, []string{"class="}},
		"a table's align":  {"| a |\n|:-:|\n| 1 |", []string{"<td>1</td>"}, []string{"style=", "align="}},
		"broken text":      {"<a href=\"x\n\n</div></main><h1", nil, []string{"</main>"}},
		"nothing":          {"", []string{`<div class="markdown"></div>`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := (Markdown{Source: c.source}).Render(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in %s", want, out.String())
				}
			}
			for _, never := range c.never {
				body := strings.TrimPrefix(out.String(), `<div class="markdown">`)
				if strings.Contains(body, never) {
					t.Errorf("%q is in %s", never, body)
				}
			}
			for _, link := range strings.Split(out.String(), "<a ")[1:] {
				tag, _, _ := strings.Cut(link, ">")
				if !strings.Contains(tag, "noreferrer") || strings.Contains(tag, "_blank") && !strings.Contains(tag, "noopener") {
					t.Errorf("the link %s tells where it comes from", tag)
				}
			}
		})
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{"# a\n\n- b", "<script>x</script>", "[a](javascript:b)", "<a href='x' onclick='y'>", "![x](y)", "\x00<"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		var out strings.Builder
		if err := (Markdown{Source: source}).Render(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		for _, never := range []string{"<script", "<style", "<img", "<iframe", "<form", "<input", "<svg", "href=\"javascript"} {
			if strings.Contains(strings.ToLower(out.String()), never) {
				t.Errorf("%q of %q", never, source)
			}
		}
	})
}
