package ratelimit

import (
	"strconv"
	"strings"
)

// maxInteger is the largest integer of a structured field (RFC 9651, section 3.3.1).
const maxInteger = 999_999_999_999_999

type itemKind uint8

const (
	kindInteger itemKind = iota
	kindString
	kindToken
	kindPair // key=value, a member of a dictionary
)

// item is a member of a structured list with its parameters. It holds as much of RFC 9651 as the
// RateLimit fields use.
type item struct {
	kind   itemKind
	value  string
	params map[string]string // the values as text; "" for a parameter without a value
}

func (it item) has(name string) bool { _, ok := it.params[name]; return ok }

// param is a parameter that is a whole number and not negative.
func (it item) param(name string) (int64, bool) {
	n, err := strconv.ParseInt(it.params[name], 10, 64)
	return n, err == nil && n >= 0 && n <= maxInteger
}

// parseList reads a list. It reports false when any of it is malformed: then the field does not count.
func parseList(text string) ([]item, bool) {
	const mostText, mostItems = 4096, 32
	if len(text) > mostText {
		return nil, false
	}
	p := fieldParser{rest: text}
	var items []item
	for {
		p.space()
		it, ok := p.item()
		if !ok || len(items) == mostItems {
			return nil, false
		}
		items = append(items, it)
		p.space()
		if p.rest == "" {
			return items, true
		}
		if !p.accept(',') {
			return nil, false
		}
	}
}

type fieldParser struct{ rest string }

func (p *fieldParser) space() { p.rest = strings.TrimLeft(p.rest, " \t") }

func (p *fieldParser) accept(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *fieldParser) item() (item, bool) {
	kind, value, ok := p.bare()
	if !ok {
		return item{}, false
	}
	if kind == kindToken && p.accept('=') {
		_, pair, ok := p.bare()
		if !ok {
			return item{}, false
		}
		kind, value = kindPair, value+"="+pair
	}
	it := item{kind: kind, value: value}
	for {
		p.space()
		if !p.accept(';') {
			return it, true
		}
		p.space()
		name := p.word(isKeyChar)
		if name == "" {
			return item{}, false
		}
		v := ""
		if p.accept('=') {
			if _, v, ok = p.bare(); !ok {
				return item{}, false
			}
		}
		if it.params == nil {
			it.params = map[string]string{}
		}
		it.params[name] = v
	}
}

// bare reads a string, a number, a token, a byte sequence or a boolean.
func (p *fieldParser) bare() (itemKind, string, bool) {
	if p.rest == "" {
		return 0, "", false
	}
	switch c := p.rest[0]; {
	case c == '"':
		s, ok := p.quoted()
		return kindString, s, ok
	case c == ':':
		end := strings.IndexByte(p.rest[1:], ':')
		if end < 0 {
			return 0, "", false
		}
		p.rest = p.rest[1:]
		s := p.word(isBase64)
		return kindString, s, len(s) == end && p.accept(':')
	case c == '?':
		if len(p.rest) < 2 || p.rest[1] != '0' && p.rest[1] != '1' {
			return 0, "", false
		}
		s := p.rest[:2]
		p.rest = p.rest[2:]
		return kindToken, s, true
	case c >= '0' && c <= '9' || c == '-':
		s := p.word(func(c byte) bool { return c >= '0' && c <= '9' || c == '-' || c == '.' })
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return 0, "", false
		}
		return kindInteger, s, true
	case isAlpha(c) || c == '*':
		return kindToken, p.word(isTokenChar), true
	}
	return 0, "", false
}

func (p *fieldParser) quoted() (string, bool) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return b.String(), true
		case c == '\\':
			if i++; i == len(p.rest) || p.rest[i] != '"' && p.rest[i] != '\\' {
				return "", false
			}
			b.WriteByte(p.rest[i])
		case c < 0x20 || c > 0x7e:
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func (p *fieldParser) word(in func(byte) bool) string {
	n := 0
	for n < len(p.rest) && in(p.rest[n]) {
		n++
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isAlnum(c byte) bool { return isAlpha(c) || c >= '0' && c <= '9' }

func isBase64(c byte) bool { return isAlnum(c) || c == '+' || c == '/' || c == '=' }

func isKeyChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("_-.*", c) >= 0
}

func isTokenChar(c byte) bool { return isAlnum(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0 }
