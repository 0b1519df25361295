package credentials

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// parseValues reads values in the form in which they are sealed, a JSON object of strings. Every call does it,
// so what has no escapes is read here, and the rest by the decoder.
func parseValues(plaintext []byte) (map[string]string, error) {
	if values, ok := plainValues(plaintext); ok {
		return values, nil
	}
	var values map[string]string
	if json.Unmarshal(plaintext, &values) != nil {
		// The decoder's text could quote the plaintext: it stays out.
		return nil, corrupt(errors.New("credentials: not the form that was sealed"))
	}
	return values, nil
}

// plainValues reads an object of strings without escapes and spaces between its parts. false means only that
// it is not one.
func plainValues(text []byte) (map[string]string, bool) {
	rest, ok := bytes.CutPrefix(text, []byte{'{'})
	if !ok || !utf8.Valid(text) {
		return nil, false
	}
	values := make(map[string]string, 4)
	for {
		var key, value string
		if key, rest, ok = plainString(rest); !ok || len(rest) == 0 || rest[0] != ':' {
			return nil, false
		}
		if value, rest, ok = plainString(rest[1:]); !ok || len(rest) == 0 {
			return nil, false
		}
		values[key] = value
		switch {
		case rest[0] == '}' && len(rest) == 1:
			return values, true
		case rest[0] != ',':
			return nil, false
		}
		rest = rest[1:]
	}
}

// plainString takes a string in quotes off the beginning of text.
func plainString(text []byte) (s string, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return "", nil, false
	}
	for i, c := range text[1:] {
		switch {
		case c == '"':
			return string(text[1 : 1+i]), text[2+i:], true
		case c < ' ' || c == '\\':
			return "", nil, false
		}
	}
	return "", nil, false
}
