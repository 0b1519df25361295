package runtime

import (
	"net/url"
	"strings"

	"switchgear/internal/fault"
)

// JoinPath puts the rest of a gateway path, as the caller escaped it, below the base URL. Scheme and host
// of the result are always those of base, whatever rest looks like: //host, an absolute URL and @host are
// path segments here. Escaped bytes stay as they are (%2F stays %2F); bytes that a path cannot hold are
// escaped. The query is passed on as it is, after that of base.
//
// Refused as fault.Invalid: control characters, a broken escape, and dot segments that some upstream
// could read as climbing above base, in whatever disguise (%2e, ..;, encoded or backward slashes, several
// layers of escaping). Dot segments that stay below base are the upstream's to resolve.
func JoinPath(base *url.URL, rawRest, rawQuery string) (*url.URL, error) {
	rest, plain, err := escapeRest(rawRest)
	if err != nil {
		return nil, err
	}
	if strings.IndexByte(rest, '.') >= 0 || strings.IndexByte(rest, '%') >= 0 {
		if climbs(rest) {
			return nil, fault.New(fault.Invalid, CodeInvalidPath, "The path leaves the base URL of the connection.")
		}
	}
	for i := range len(rawQuery) {
		if c := rawQuery[i]; c <= ' ' || c == 0x7f || c == '#' {
			return nil, fault.New(fault.Invalid, CodeInvalidPath, "The query contains a character that must be escaped.")
		}
	}
	u := &url.URL{Scheme: base.Scheme, Host: base.Host, RawQuery: joinQuery(base.RawQuery, rawQuery)}
	prefix := base.EscapedPath()
	escaped := prefix
	if rest != "" || prefix == "" {
		escaped = strings.TrimSuffix(prefix, "/") + "/" + rest
	}
	if plain && prefix == base.Path {
		u.Path = escaped
		return u, nil
	}
	if u.Path, err = url.PathUnescape(escaped); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, CodeInvalidPath, "The path contains an escape that cannot be read.")
	}
	u.RawPath = escaped
	if u.EscapedPath() != escaped {
		return nil, fault.New(fault.Invalid, CodeInvalidPath, "The path cannot be passed on as it is.")
	}
	return u, nil
}

// CheckPath reports why a path with its query, as a person enters it, cannot be put below a base URL: as an error
// of [JoinPath]; nil when it can.
func CheckPath(pathAndQuery string) error {
	path, query, _ := strings.Cut(strings.TrimPrefix(pathAndQuery, "/"), "?")
	_, err := JoinPath(&url.URL{Scheme: "https", Host: "any.example"}, path, query)
	return err
}

func joinQuery(base, query string) string {
	if base == "" || query == "" {
		return base + query
	}
	return base + "&" + query
}

// escapeRest makes a valid escaped path out of s. plain says that it has no byte that net/url would write
// in another way.
func escapeRest(s string) (escaped string, plain bool, err error) {
	plain = true
	var b strings.Builder // Stays empty while nothing had to be escaped.
	kept := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case unreserved(c) || c == '/':
		case strings.IndexByte("!$&'()*+,;=:@[]", c) >= 0:
			plain = false
		case c == '%':
			plain = false
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", false, fault.New(fault.Invalid, CodeInvalidPath, "The path contains a % that begins no escape; write %25.")
			}
		case c < ' ' || c == 0x7f:
			return "", false, fault.New(fault.Invalid, CodeInvalidPath, "The path contains a control character.")
		default:
			plain = false
			const digits = "0123456789ABCDEF"
			b.WriteString(s[kept:i])
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			kept = i + 1
		}
	}
	if b.Len() == 0 {
		return s, plain, nil
	}
	b.WriteString(s[kept:])
	return b.String(), plain, nil
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// climbs reports whether some reading of an escaped path climbs above its start. Upstreams disagree on
// what separates segments and on how often to unescape, so every reading has to stay inside.
func climbs(path string) bool {
	const layers = 4 // Deeper escaping is nobody's habit; each layer costs a pass.
	for range layers {
		if descends(path, "/") || descends(path, `/\`) {
			return true
		}
		next := unescapeOnce(path)
		if next == path {
			return false
		}
		path = next
	}
	return true // Still escaped after all that; nobody can say what it means in the end.
}

// descends walks the segments of a path that is read literally and reports whether it ever steps above
// the start. Segments that some servers drop (empty ones, lone dots) give no depth.
func descends(path, separators string) bool {
	depth := 0
	for len(path) > 0 {
		segment := path
		if i := strings.IndexAny(path, separators); i >= 0 {
			segment, path = path[:i], path[i+1:]
		} else {
			path = ""
		}
		// Matrix parameters, white space, and what follows a NUL do not count to some servers.
		if i := strings.IndexAny(segment, ";\x00"); i >= 0 {
			segment = segment[:i]
		}
		switch strings.Trim(segment, " \t\r\n") {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

func unescapeOnce(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	text := string(b)
	if strings.IndexByte(text, 0xc0) >= 0 || strings.IndexByte(text, 0xc1) >= 0 {
		// Overlong UTF-8 for dot, slash and backslash: an old disguise that lenient decoders still see through.
		text = strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`).Replace(text)
	}
	return text
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
