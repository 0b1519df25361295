package authtype

import (
	"slices"
	"strings"
)

// template is a text with placeholders.
type template []templatePart

// templatePart is a placeholder, or literal text when it has no name.
type templatePart struct{ name, literal string }

func (p templatePart) text(values map[string]string) string {
	if p.name == "" {
		return p.literal
	}
	return values[p.name]
}

// placeholders are those that a template may have.
type placeholders struct {
	known func(name string) bool
	list  string // for a message
}

func oneOf(names ...string) placeholders {
	return placeholders{known: func(name string) bool { return slices.Contains(names, name) }, list: "{" + strings.Join(names, "}, {") + "}"}
}

// parseTemplate reads a text in which {name} is a placeholder, and a brace that stands twice is a brace. With
// escapes, \n, \r, \t and \\ stand for what a field cannot hold. The error repeats nothing of the text: a
// secret could have been pasted into it.
func parseTemplate(f ref, text string, escapes bool, allowed placeholders) (template, error) {
	var (
		out     template
		literal strings.Builder
	)
	flush := func() {
		if literal.Len() > 0 {
			out = append(out, templatePart{literal: literal.String()})
			literal.Reset()
		}
	}
	for len(text) > 0 {
		c := text[0]
		if n := strings.IndexAny(text, `{}\`); n != 0 {
			if n < 0 {
				n = len(text)
			}
			literal.WriteString(text[:n])
			text = text[n:]
			continue
		}
		switch {
		case escapes && c == '\\':
			escaped, ok := "", len(text) > 1
			if ok {
				escaped, ok = escape(text[1])
			}
			if !ok {
				return nil, f.invalid(`has a backslash that is none of \n, \r, \t and \\.`)
			}
			literal.WriteString(escaped)
			text = text[2:]
		case strings.HasPrefix(text, "{{"), strings.HasPrefix(text, "}}"):
			literal.WriteByte(c)
			text = text[2:]
		case c == '{':
			name, rest, closed := strings.Cut(text[1:], "}")
			if !closed || !allowed.known(name) {
				return nil, f.invalid("has a placeholder that there is not. Use " + allowed.list + ".")
			}
			flush()
			out = append(out, templatePart{name: name})
			text = rest
		case c == '}':
			return nil, f.invalid("has a closing brace without an opening one. Write a brace twice to mean itself.")
		default:
			literal.WriteByte(c)
			text = text[1:]
		}
	}
	flush()
	return out, nil
}

func escape(c byte) (string, bool) {
	switch c {
	case 'n':
		return "\n", true
	case 'r':
		return "\r", true
	case 't':
		return "\t", true
	case '\\':
		return `\`, true
	}
	return "", false
}

func (t template) uses(name string) bool {
	return slices.ContainsFunc(t, func(p templatePart) bool { return p.name == name })
}

func (t template) fill(values map[string]string) string {
	var out strings.Builder
	for _, p := range t {
		out.WriteString(p.text(values))
	}
	return out.String()
}
