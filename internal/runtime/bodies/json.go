package bodies

import (
	"encoding/json"
	"strings"

	"switchgear/internal/telemetry"
)

const redactedJSON = `"` + telemetry.Redacted + `"`

// state is what comes next in an object.
type state int

const (
	wantKey state = iota
	wantColon
	wantValue
	wantComma
)

// frame is an object or array that the reader is in.
type frame struct {
	from   int
	object bool
	hide   bool // as a whole: it belongs to a secret name
	state  state
	secret bool   // the name of the value that comes is secret
	name   string // that name
	// A pair {"name": "password", "value": "…"} says in one field what another one holds; in an array,
	// ["password", "…"] does.
	named, nameSecret bool
	values            []edit
}

// reader redacts JSON by its tokens, so that it needs no end and forgives what is not quite JSON.
type reader struct {
	*redactor

	text  string
	stack []frame
	edits []edit
	clean bool
	depth int
}

// json redacts a JSON text, the beginning of one, or several in a row. clean is false when it is none.
func (r *redactor) json(text string, depth int) (out string, clean bool) {
	p := reader{redactor: r, text: text, clean: true, depth: depth}
	p.read()
	for len(p.stack) > 0 { // Cut: the name that goes with a value may be in what is missing.
		f := p.top()
		if f.object && !f.named {
			p.edits = append(p.edits, f.values...)
		}
		p.shut(len(text))
	}
	return apply(text, p.edits), p.clean
}

func (p *reader) read() {
	for i := 0; i < len(p.text); {
		end := i + 1
		switch c := p.text[i]; c {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			if len(p.stack) >= maxDepth {
				p.edits = append(p.edits, edit{i, len(p.text), redactedJSON})
				return
			}
			p.stack = append(p.stack, frame{from: i, object: c == '{', hide: p.valueIsSecret()})
		case '}', ']':
			f := p.top()
			p.clean = p.clean && f != nil && f.object == (c == '}')
			p.shut(end)
		case ',':
			if f := p.top(); f != nil {
				if f.object {
					p.clean = p.clean && f.state == wantComma
					f.secret, f.name = false, ""
				}
				f.state = wantKey
			}
		case ':':
			f := p.top()
			if f != nil && f.object && f.state == wantColon {
				f.state = wantValue
			} else {
				p.clean = false
			}
		case '"':
			end = stringEnd(p.text, i)
			p.quoted(i, end)
		default:
			for end < len(p.text) && strings.IndexByte(" \t\r\n{}[],:\"", p.text[end]) < 0 {
				end++
			}
			p.literal(i, end)
		}
		i = end
	}
}

func (p *reader) top() *frame {
	if len(p.stack) == 0 {
		return nil
	}
	return &p.stack[len(p.stack)-1]
}

func (p *reader) valueIsSecret() bool {
	f := p.top()
	return f != nil && f.object && f.state == wantValue && f.secret
}

// shut ends the innermost object or array before end.
func (p *reader) shut(end int) {
	f := p.top()
	if f == nil {
		return
	}
	if f.nameSecret {
		p.edits = append(p.edits, f.values...)
	}
	if f.hide {
		p.edits = append(p.edits, edit{f.from, end, redactedJSON})
	}
	from := f.from
	p.stack = p.stack[:len(p.stack)-1]
	p.ended(from, end, false)
}

// ended notes that a value is complete. scalar is false for objects and arrays.
func (p *reader) ended(from, end int, scalar bool) {
	f := p.top()
	if f == nil {
		return
	}
	if f.object && f.state != wantValue {
		p.clean = false
	}
	if f.object && isValueField(f.name) && (scalar || f.nameSecret || f.named) {
		f.values = append(f.values, edit{from, end, redactedJSON})
	}
	f.state = wantComma
}

func isNameField(key string) bool {
	switch strings.ToLower(key) {
	case "name", "key", "field", "header", "param", "parameter":
		return true
	}
	return false
}

func isValueField(key string) bool {
	switch strings.ToLower(key) {
	case "value", "values", "val":
		return true
	}
	return false
}

// quoted reads a string: a key, or a value.
func (p *reader) quoted(from, end int) {
	f := p.top()
	text := unquote(p.text[from:end])
	if f != nil && f.object && f.state == wantKey {
		f.name, f.secret, f.state = text, p.secret(text), wantColon
		return
	}
	hide := p.valueIsSecret()
	switch {
	case f == nil:
	case f.object && isNameField(f.name):
		// One that is cut may have been any.
		f.named, f.nameSecret = f.named || end < len(p.text), f.nameSecret || p.secret(lastPart(text))
	case !f.object:
		hide = hide || f.secret
		f.secret = p.secret(text)
	}
	if inner, changed := p.inner(text, p.depth); hide {
		p.edits = append(p.edits, edit{from, end, redactedJSON})
	} else if changed {
		p.edits = append(p.edits, edit{from, end, quote(inner)})
	}
	p.ended(from, end, true)
}

// literal reads a number, true, false, null, or what is none of them. Only that something is not set is
// told about a secret; a number under a plural name counts, as in completion_tokens.
func (p *reader) literal(from, end int) {
	word := p.text[from:end]
	number := strings.Trim(word, "+-0123456789.eE") == ""
	constant := word == "true" || word == "false" || word == "null"
	if !number && !constant {
		cut := end == len(p.text)
		p.clean = p.clean && cut && len(word) < 5
	}
	if f := p.top(); p.valueIsSecret() && !constant && (!number || !strings.HasSuffix(strings.ToLower(f.name), "s")) {
		p.edits = append(p.edits, edit{from, end, redactedJSON})
	}
	if f := p.top(); f != nil && f.object && f.state == wantKey {
		f.name, f.secret, f.state = word, p.secret(word), wantColon // {token: …}, which is not JSON
		p.clean = false
		return
	}
	p.ended(from, end, true)
}

// stringEnd is behind the quote that ends the string at from, or the end of the text.
func stringEnd(text string, from int) int {
	for i := from + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// unquote reads a JSON string that may be cut or have escapes that JSON does not know.
func unquote(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return strings.Trim(quoted, `"`)
	}
	var out string
	body := strings.TrimPrefix(quoted, `"`)
	if json.Unmarshal([]byte(quoted), &out) == nil {
		return out
	}
	// Up to the last whole escape, at most six bytes from the end.
	for n := len(body); n >= 0 && n >= len(body)-6; n-- {
		if json.Unmarshal([]byte(`"`+body[:n]+`"`), &out) == nil {
			return out
		}
	}
	return body
}

// quote writes a JSON string without escaping what only matters in HTML.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return redactedJSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}
