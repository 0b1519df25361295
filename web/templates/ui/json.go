package ui

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// jsonNode is one value of a JSON text, in the order of the text.
type jsonNode struct {
	name   string
	hasKey bool
	// kind is string, number, bool, null, object or array.
	kind string
	// text is the value as written, for everything without children.
	text     string
	children []jsonNode
}

const (
	maxJSONNodes = 2000
	maxJSONDepth = 64
)

// parseJSON reads exactly one value. ok is false for anything else and for more than can be shown.
func parseJSON(source string) (root jsonNode, ok bool) {
	p := jsonParser{dec: json.NewDecoder(strings.NewReader(source)), left: maxJSONNodes}
	p.dec.UseNumber()
	root, ok = p.value(0)
	if !ok {
		return jsonNode{}, false
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return jsonNode{}, false
	}
	return root, true
}

type jsonParser struct {
	dec  *json.Decoder
	left int
}

func (p *jsonParser) value(depth int) (jsonNode, bool) {
	p.left--
	if p.left < 0 || depth > maxJSONDepth {
		return jsonNode{}, false
	}
	token, err := p.dec.Token()
	if err != nil {
		return jsonNode{}, false
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return p.object(depth)
		}
		return p.array(depth)
	case string:
		return jsonNode{kind: "string", text: quoteJSON(v)}, true
	case json.Number:
		return jsonNode{kind: "number", text: v.String()}, true
	case bool:
		return jsonNode{kind: "bool", text: strconv.FormatBool(v)}, true
	case nil:
		return jsonNode{kind: "null", text: "null"}, true
	}
	return jsonNode{}, false
}

func (p *jsonParser) object(depth int) (jsonNode, bool) {
	n := jsonNode{kind: "object", text: "{}"}
	for p.dec.More() {
		token, err := p.dec.Token()
		key, isString := token.(string)
		if err != nil || !isString {
			return jsonNode{}, false
		}
		child, ok := p.value(depth + 1)
		if !ok {
			return jsonNode{}, false
		}
		child.name, child.hasKey = key, true
		n.children = append(n.children, child)
	}
	return n, p.end()
}

func (p *jsonParser) array(depth int) (jsonNode, bool) {
	n := jsonNode{kind: "array", text: "[]"}
	for p.dec.More() {
		child, ok := p.value(depth + 1)
		if !ok {
			return jsonNode{}, false
		}
		n.children = append(n.children, child)
	}
	return n, p.end()
}

// end reads the closing bracket.
func (p *jsonParser) end() bool {
	_, err := p.dec.Token()
	return err == nil
}

func (n jsonNode) opening() string { return n.text[:1] }
func (n jsonNode) closing() string { return n.text[1:] }

// summary stands for the children of a folded value.
func (n jsonNode) summary() string {
	noun := " items "
	if n.kind == "object" {
		noun = " keys "
	}
	if len(n.children) == 1 {
		noun = strings.Replace(noun, "s ", " ", 1)
	}
	return " " + strconv.Itoa(len(n.children)) + noun + n.closing()
}

func comma(last bool) string { return when(!last, ",") }

// quoteJSON writes a string as JSON does, without escaping what only matters inside of HTML: templ does
// that.
func quoteJSON(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
