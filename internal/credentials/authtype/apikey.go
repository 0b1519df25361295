package authtype

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// The places that an API key travels in.
const (
	inHeader = "header"
	inQuery  = "query"
	inCookie = "cookie"
)

// apiKey sends a key under a name of the service's choice.
type apiKey struct{}

// Kind implements Type.
func (apiKey) Kind() string { return "api_key" }

// Label implements Type.
func (apiKey) Label() string { return "API key" }

// Fields implements Type.
func (apiKey) Fields() []Field {
	return []Field{
		{Key: "key", Label: "Key", Type: FieldSecret, Required: true, Secret: true},
		{
			Key: "in", Label: "Sent in", Type: FieldSelect, Required: true,
			Options: []string{inHeader, inQuery, inCookie}, Default: inHeader,
		},
		{
			Key: "name", Label: "Name", Type: FieldText, Required: true, Default: "X-API-Key",
			Help: "Of the header, query parameter or cookie.",
		},
		{
			Key: "prefix", Label: "Prefix", Type: FieldText,
			Help: "Put before the key, such as Token. In a header a space follows when it ends in a letter or digit.",
		},
	}
}

func (t apiKey) check(values map[string]string) error {
	name, text := field(t, "name"), t.text(values)
	switch values["in"] {
	case inHeader:
		if err := checkHeaderName(name, values["name"]); err != nil {
			return err
		}
		if err := checkHeaderValue(field(t, "key"), values["key"]); err != nil {
			return err
		}
		return checkHeaderValue(field(t, "prefix"), strings.TrimRight(values["prefix"], " "))
	case inQuery:
		return nil // every text can be escaped
	case inCookie:
		if !isToken(values["name"]) {
			return name.invalid("is not the name of a cookie.")
		}
		// The bytes that RFC 6265 allows in a value: others end it, and what follows would be other cookies.
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`",;\`, r) }) {
			return field(t, "key").invalid("contains a character that a cookie cannot carry.")
		}
		return nil
	}
	return field(t, "in").invalid("must be one of header, query, cookie.")
}

// text is the key with its prefix.
func (apiKey) text(values map[string]string) string {
	prefix := values["prefix"]
	if values["in"] == inHeader && prefix != "" {
		last := rune(prefix[len(prefix)-1])
		if last < unicode.MaxASCII && (unicode.IsLetter(last) || unicode.IsDigit(last)) {
			prefix += " "
		}
	}
	return prefix + values["key"]
}

// Apply implements Type.
func (t apiKey) Apply(r *http.Request, use Use) error {
	values := use.Values
	if err := begin(t, r, values); err != nil {
		return err
	}
	name, text := values["name"], t.text(values)
	switch values["in"] {
	case inHeader:
		set(r.Header, name, text)
	case inQuery:
		// The URL may be shared with the next attempt.
		u := *r.URL
		u.RawQuery = replaceParameter(u.RawQuery, name, text)
		r.URL = &u
	case inCookie:
		replaceCookie(r.Header, name, text)
	}
	return nil
}

// replaceParameter removes the parameters of that name, however they are escaped, and appends ours. The
// others keep their bytes and order, which signatures and caches may depend on.
func replaceParameter(query, name, value string) string {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
		if part != "" && key != name {
			kept = append(kept, part)
		}
	}
	return strings.Join(append(kept, url.QueryEscape(name)+"="+url.QueryEscape(value)), "&")
}

// replaceCookie does the same for the cookies of a request.
func replaceCookie(h http.Header, name, value string) {
	var kept []string
	for _, line := range h.Values("Cookie") {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			key, _, _ := strings.Cut(part, "=")
			if part != "" && strings.TrimSpace(key) != name {
				kept = append(kept, part)
			}
		}
	}
	set(h, "Cookie", strings.Join(append(kept, name+"="+value), "; "))
}
