package authtype

import (
	"cmp"
	"net/url"
	"strings"
)

// parameter is one of a query or form, encoded as signatures want it.
type parameter struct{ name, value string }

func compareParameters(a, b parameter) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
}

// parseParameters reads a query or a form. What is not escaped properly counts as it stands.
func parseParameters(raw string) []parameter {
	out := make([]parameter, 0, strings.Count(raw, "&")+1)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		out = append(out, parameter{escapeUnreserved(unescape(name), false), escapeUnreserved(unescape(value), false)})
	}
	return out
}

func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// escapeUnreserved escapes everything but the unreserved characters of RFC 3986 2.3, and slashes if they
// separate.
func escapeUnreserved(text string, slashes bool) string {
	keep := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || slashes && c == '/'
	}
	n := 0
	for i := range len(text) {
		if !keep(text[i]) {
			n++
		}
	}
	if n == 0 {
		return text
	}
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(text)+2*n)
	for i := range len(text) {
		if c := text[i]; keep(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}
