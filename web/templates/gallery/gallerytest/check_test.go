package gallerytest

import (
	"strings"
	"testing"
)

func TestCheckFindsWhatBreaksTheRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ source, want string }{
		"style":             {`<p style="color:red">x</p>`, "style attribute"},
		"event":             {`<p onclick="x()">x</p>`, "event attribute"},
		"htmx event":        {`<p hx-on:click="x()">x</p>`, "event attribute"},
		"htmx script":       {`<p hx-vals="js:{a:1}">x</p>`, "evaluates a script"},
		"script address":    {`<a href=" JavaScript:x()">x</a>`, "runs a script"},
		"inline script":     {`<script>x()</script>`, "inline script"},
		"inline style":      {`<style>p{}</style>`, "inline style"},
		"no label":          {`<input name="a">`, "has no label"},
		"label elsewhere":   {`<label for="b">B</label><input id="a" name="a"><input id="b">`, "has no label"},
		"empty button":      {`<button><svg aria-hidden="true"><title>x</title></svg></button>`, "has no text"},
		"empty link":        {`<a href="/x"> </a>`, "has no text"},
		"nameless drawing":  {`<svg><path></path></svg>`, "neither named nor hidden"},
		"image":             {`<img src="x">`, "no alt"},
		"nameless dialog":   {`<dialog id="d"></dialog>`, "has no name"},
		"doubled id":        {`<p id="a"></p><p id="a"></p>`, "used 2 times"},
		"dangling":          {`<p aria-describedby="a b" id="a"></p>`, "points to nothing"},
		"table":             {`<table><tr><td>x</td></tr></table>`, "no header"},
		"nameless fieldset": {`<fieldset><p>x</p></fieldset>`, "no legend"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(Check(tt.source), "; "); !strings.Contains(got, tt.want) {
				t.Errorf("problems: %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestCheckLetsGoodPagesPass(t *testing.T) {
	t.Parallel()
	source := `<nav aria-label="Main"><a href="/x">X</a></nav><label>A <input name="a"></label><label for="b">B</label><select id="b"></select>
		<button aria-label="Close"><svg aria-hidden="true"></svg></button><svg role="img" aria-label="Last hour"></svg><script src="/x.js"></script>`
	if problems := Check(source); len(problems) > 0 {
		t.Errorf("problems: %q", problems)
	}
}
