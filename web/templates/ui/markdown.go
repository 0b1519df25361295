package ui

import (
	"bytes"
	"context"
	"io"
	"regexp"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// The page has a title and its cards have theirs: what the author calls a first heading comes below.
const (
	headingsBelow = 2
	lowestHeading = 6
)

// Markdown is text that a person wrote in Markdown: headings, lists, tables, code, links. It takes the
// source and nothing else, so that what it writes has always been sanitised: no HTML of the author's, no
// style, no script, no image; links open without telling the other side where they come from.
type Markdown struct{ Source string }

// Render implements templ.Component.
func (m Markdown) Render(_ context.Context, w io.Writer) error {
	var out bytes.Buffer
	// Raw HTML in the source is left out by goldmark already; bluemonday decides what may be in the page.
	converter := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(lowerHeadings{}, 0))),
	)
	if err := converter.Convert([]byte(m.Source), &out); err != nil {
		return err
	}
	if _, err := io.WriteString(w, `<div class="markdown">`); err != nil {
		return err
	}
	if err := markdownPolicy().SanitizeReaderToWriter(&out, w); err != nil {
		return err
	}
	_, err := io.WriteString(w, `</div>`)
	return err
}

// lowerHeadings makes the headings of a text fit under those of the page.
type lowerHeadings struct{}

// Transform implements parser.ASTTransformer.
func (lowerHeadings) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
	// The walk only fails if its function does.
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering {
			h.Level = min(h.Level+headingsBelow, lowestHeading)
		}
		return ast.WalkContinue, nil
	})
}

// markdownPolicy lists what the text may consist of.
func markdownPolicy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(
		"p", "br", "hr", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li",
		"h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td",
	)
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,9}$`)).OnElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("https", "http", "mailto", "tel")
	p.AllowRelativeURLs(true)
	p.RequireParseableURLs(true)
	p.RequireNoReferrerOnLinks(true)
	// A window that it opens cannot reach back.
	p.AllowAttrs("rel").Matching(regexp.MustCompile(`^(nofollow|noreferrer|noopener| )+$`)).OnElements("a")
	p.AddTargetBlankToFullyQualifiedLinks(true)
	return p
}
