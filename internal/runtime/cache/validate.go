package cache

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// condition replaces the caller's validators by those of a kept answer (4.3.1).
func condition(out, kept http.Header) {
	delete(out, "If-None-Match")
	delete(out, "If-Modified-Since")
	if etag := kept.Get("Etag"); etag != "" {
		out["If-None-Match"] = []string{etag}
	}
	if modified := kept.Get("Last-Modified"); modified != "" {
		out["If-Modified-Since"] = []string{modified}
	}
}

// confirms reports whether a 304 is about the kept answer (4.3.4): it names the same ETag, or none.
func confirms(kept, notModified http.Header) bool {
	got := notModified.Get("Etag")
	return got == "" || weak(got) == weak(kept.Get("Etag"))
}

// merge is the kept header brought up to date by a 304 (3.2). What describes the body that was kept stays.
func merge(kept, notModified http.Header) http.Header {
	out := maps.Clone(kept)
	for name, values := range storedHeader(notModified) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Content-Type":
			continue
		}
		out[name] = values
	}
	return out
}

// notModified reports whether the caller already has the answer (RFC 9110, 13.1.2 and 13.1.3).
func notModified(request, kept http.Header) bool {
	if values, ok := request["If-None-Match"]; ok {
		etag := kept.Get("Etag")
		return etag != "" && matchesETag(values, etag)
	}
	since := request.Get("If-Modified-Since")
	if since == "" {
		return false
	}
	asked, err := http.ParseTime(since)
	if err != nil {
		return false
	}
	modified, err := http.ParseTime(kept.Get("Last-Modified"))
	return err == nil && !modified.After(asked)
}

// matchesETag compares weakly with a list, in which a comma may be inside quotes.
func matchesETag(values []string, etag string) bool {
	for _, rest := range values {
		for rest != "" {
			var item string
			item, rest = cutETag(rest)
			if item == "*" || item != "" && weak(item) == weak(etag) {
				return true
			}
		}
	}
	return false
}

// cutETag splits at the first comma that is not quoted. There are no escapes in an ETag.
func cutETag(s string) (item, rest string) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return strings.TrimSpace(s[:i]), s[i+1:]
		}
	}
	return strings.TrimSpace(s), ""
}

func weak(etag string) string { return strings.TrimPrefix(etag, "W/") }

// bypassed lists request headers whose meaning is between the caller and the upstream.
func bypassed(h http.Header) bool {
	for _, name := range []string{"Range", "If-Match", "If-Unmodified-Since", "If-Range"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// about304 is what a 304 repeats of the answer (RFC 9110, 15.4.5).
func about304(kept http.Header) http.Header {
	out := make(http.Header, 8)
	for _, name := range []string{"Cache-Control", "Content-Location", "Date", "Etag", "Expires", "Last-Modified", "Vary"} {
		if values, ok := kept[name]; ok {
			out[name] = slices.Clone(values)
		}
	}
	return out
}
