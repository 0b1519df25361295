package archtest

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// checkTempl finds what the content security policy would block, or what would go around it: inline
// style and script, in any of the forms that templates offer.
func checkTempl(t *testing.T, fsys fs.FS) []string {
	t.Helper()
	rules := []struct {
		form *regexp.Regexp
		why  string
	}{
		{regexp.MustCompile(`(?i)\sstyle\??\s*=`), "inline style; use a class, or an attribute of SVG"},
		{regexp.MustCompile(`(?i)\son[a-z]+\??\s*=\s*["'{]`), "inline event handler; listen from a script file"},
		{regexp.MustCompile(`(?i)\shx-on[:-]`), "hx-on evaluates text as script; listen from a script file"},
		{regexp.MustCompile(`(?is)<script\b[^>]*>(?:\s*[^\s<]|\s*<[^/])`), "script with a body; put it into a file"},
		{regexp.MustCompile(`(?i)<style\b`), "inline style sheet; put it into a file"},
		{regexp.MustCompile(`(?i)["']\s*javascript:`), "script in a URL"},
		{regexp.MustCompile(`(?m)^script\s+\w+\s*\(`), "a script template becomes an inline script; put it into a file"},
		{regexp.MustCompile(`(?m)^css\s+\w+\s*\(`), "a css template becomes an inline style sheet; put it into a file"},
		{regexp.MustCompile(`\btempl\.(Raw|JSUnsafeFuncCall|JSFuncCall|JSExpression|ComponentScript|SafeCSS|SafeScript)\b`), "it writes unescaped text into the page"},
	}
	var bad []string
	for _, p := range files(t, fsys, ".templ") {
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			for _, at := range r.form.FindAllIndex(text, -1) {
				// A match may begin at the line break before an attribute that stands alone on its line.
				line := 1 + strings.Count(string(text[:at[0]+1]), "\n")
				bad = append(bad, fmt.Sprintf("%s:%d: %s", p, line, r.why))
			}
		}
	}
	return bad
}

func TestTempl(t *testing.T) {
	t.Parallel()
	report(t, checkTempl(t, repository(t)))
}

func TestTemplCatches(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`<p style="color:red">`:                            "inline style",
		"<p\n\tstyle={ x }>":                               "a.templ:2: inline style",
		`<p style?={ x }>`:                                 "inline style",
		`<button onclick="go()">`:                          "inline event handler",
		`<body ONLOAD = { go() }>`:                         "inline event handler",
		`<button hx-on:click="go()">`:                      "hx-on",
		`<button hx-on--before="go()">`:                    "hx-on",
		"<script>\ngo()\n</script>":                        "script with a body",
		`<script type="module">{ x }</script>`:             "script with a body",
		`<script><!-- go() --></script>`:                   "script with a body",
		`<style>p{}</style>`:                               "inline style sheet",
		`<a href="javascript:go()">`:                       "script in a URL",
		"script go() {\n}":                                 "script template",
		"css red() {\n}":                                   "css template",
		`@templ.Raw("<b>")`:                                "unescaped",
		`<a href={ templ.JSUnsafeFuncCall("x") }>`:         "unescaped",
		`<script src={ v.Script } defer></script><p>x</p>`: "",
		"<script src=\"/x.js\">\n</script>":                "",
		`<div class="style" data-on="x" hx-get="/on">`:     "",
		`<p>The sentence goes on = "here".</p>`:            "",
		`<col-style x="y">`:                                "",
	} {
		got := checkTempl(t, tree("web/templates/a/a.templ", "package a\n\n"+text+"\n", "web/templates/a/b.html", text))
		if want == "" {
			expect(t, got)
			continue
		}
		expect(t, got, strings.Replace(want, "a.templ:2", "a.templ:4", 1))
	}
}
