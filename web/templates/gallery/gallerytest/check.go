package gallerytest

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Check lists what breaks the rules: nothing that the content security policy forbids (inline style,
// event attributes, inline scripts), every control labelled, every button, link and drawing named or
// hidden, ids unique and references to them resolved.
func Check(source string) []string {
	root, err := html.Parse(strings.NewReader(source))
	if err != nil {
		return []string{"not HTML: " + err.Error()}
	}
	c := checker{ids: map[string]int{}, labelled: map[string]bool{}}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attribute(n, "id"); id != "" {
			c.ids[id]++
		}
		if n.Data == "label" {
			c.labelled[attribute(n, "for")] = true
		}
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			c.policy(n)
			c.names(n)
			c.references(n)
		}
	}
	for id, count := range c.ids {
		if count > 1 {
			c.report("id %q is used %d times", id, count)
		}
	}
	slices.Sort(c.problems)
	return c.problems
}

type checker struct {
	ids      map[string]int
	labelled map[string]bool
	problems []string
}

func (c *checker) report(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// policy checks what the browser would refuse to run or apply.
func (c *checker) policy(n *html.Node) {
	for _, a := range n.Attr {
		switch {
		case a.Key == "style":
			c.report("<%s> has a style attribute", n.Data)
		case strings.HasPrefix(a.Key, "on"), strings.HasPrefix(a.Key, "hx-on"):
			c.report("<%s> has the event attribute %s", n.Data, a.Key)
		case (a.Key == "href" || a.Key == "action") && strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:"):
			c.report("<%s> runs a script: %s", n.Data, a.Val)
		case strings.HasPrefix(a.Key, "hx-") && strings.Contains(a.Val, "js:"):
			c.report("<%s> evaluates a script in %s", n.Data, a.Key)
		}
	}
	switch n.Data {
	case "style":
		c.report("there is an inline style sheet")
	case "script":
		if attribute(n, "src") == "" {
			c.report("there is an inline script")
		}
	}
}

// names checks that everything one can use or look at says what it is.
func (c *checker) names(n *html.Node) {
	if hidden(n) {
		return
	}
	switch n.Data {
	case "input", "select", "textarea":
		if slices.Contains([]string{"hidden", "submit"}, attribute(n, "type")) {
			return
		}
		if !c.labelled[attribute(n, "id")] && attribute(n, "aria-label") == "" && attribute(n, "aria-labelledby") == "" && !inside(n, "label") {
			c.report("<%s name=%q> has no label", n.Data, attribute(n, "name"))
		}
	case "button", "a", "summary":
		if name(n) == "" {
			c.report("<%s class=%q> has no text", n.Data, attribute(n, "class"))
		}
	case "svg":
		if attribute(n, "aria-hidden") != "true" && name(n) == "" {
			c.report("<svg class=%q> is neither named nor hidden", attribute(n, "class"))
		}
	case "img":
		if !has(n, "alt") {
			c.report("<img src=%q> has no alt", attribute(n, "src"))
		}
	case "dialog", "nav":
		if attribute(n, "aria-label") == "" && attribute(n, "aria-labelledby") == "" {
			c.report("<%s id=%q> has no name", n.Data, attribute(n, "id"))
		}
	case "table":
		if !slices.ContainsFunc(slices.Collect(n.Descendants()), func(d *html.Node) bool { return d.Data == "th" }) {
			c.report("<table id=%q> has no header", attribute(n, "id"))
		}
	}
	if n.Data == "fieldset" && (n.FirstChild == nil || !slices.ContainsFunc(slices.Collect(n.ChildNodes()), func(d *html.Node) bool { return d.Data == "legend" })) {
		c.report("<fieldset id=%q> has no legend", attribute(n, "id"))
	}
}

// references checks that what names another element names one that exists.
func (c *checker) references(n *html.Node) {
	for _, key := range []string{"for", "aria-describedby", "aria-labelledby", "aria-controls", "data-open", "data-reveal", "data-copy-from", "list", "form"} {
		for id := range strings.FieldsSeq(attribute(n, key)) {
			if c.ids[id] == 0 {
				c.report("<%s %s=%q> points to nothing", n.Data, key, id)
			}
		}
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

func inside(n *html.Node, tag string) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == tag {
			return true
		}
	}
	return false
}

// hidden reports whether a screen reader leaves n out.
func hidden(n *html.Node) bool {
	for p := n; p != nil; p = p.Parent {
		if attribute(p, "aria-hidden") == "true" || has(p, "hidden") {
			return true
		}
	}
	return false
}

// name is what n is called: its label, or the text and titles inside of it.
func name(n *html.Node) string {
	if label := attribute(n, "aria-label"); label != "" {
		return label
	}
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && !hidden(d.Parent) {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}
