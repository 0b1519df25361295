package console

import (
	"net/url"
	"strings"
	"unicode"

	"switchgear/internal/telemetry"
)

// command is a request that is written as a curl command through the gateway.
type command struct {
	base, slug, account string
	method              string
	// path is below the connection, escaped, with its leading slash; query is raw.
	path, query string
	headers     [][2]string
	body        string
}

// curl writes the command. Whatever its parts hold, a POSIX shell reads each of them as one plain word, and
// curl takes none of them for an option, a file name or a pattern. The key is left to the environment.
func (c command) curl() string {
	words := []string{`curl -H "Authorization: Bearer $API_KEY"`}
	target := c.base + "/proxy/" + url.PathEscape(c.slug) + plainURL(c.path)
	if c.query != "" {
		target += "?" + plainURL(c.query)
	}
	if strings.ContainsAny(target, "[]{}") {
		words[0] = strings.Replace(words[0], "curl", "curl --globoff", 1)
	}
	if strings.Contains(target, "/.") {
		words[0] = strings.Replace(words[0], "curl", "curl --path-as-is", 1)
	}
	switch c.method {
	case "GET":
		if c.body != "" {
			words = append(words, "-X GET")
		}
	case "HEAD":
		words = append(words, "--head")
	default:
		words = append(words, "-X "+shellQuote(c.method))
	}
	if c.account != "" && c.account != "default" {
		words = append(words, "-H "+shellQuote("Switchgear-Account: "+c.account))
	}
	typed := false
	for _, h := range c.headers {
		typed = typed || strings.EqualFold(h[0], "Content-Type")
		line := h[0] + ": " + h[1]
		if h[1] == "" {
			line = h[0] + ";" // An empty value would take the header away.
		}
		words = append(words, "-H "+shellQuote(line))
	}
	if c.body != "" && c.method != "HEAD" {
		if !typed {
			words = append(words, "-H 'Content-Type:'") // Otherwise curl says that it is a form.
		}
		if pasteable(c.body) {
			words = append(words, "--data-raw "+shellQuote(c.body))
		} else {
			words = append(words, "--data-binary @body.bin")
		}
	}
	return strings.Join(append(words, shellQuote(target)), " \\\n  ")
}

// shellQuote makes one word of a text for any POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// pasteable reports whether a terminal that gets the text pasted only sees text: a control character may
// mean something to it, quoted or not.
func pasteable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
	})
}

// plainURL escapes what somebody may enter in a path or query and a URL must not hold: spaces, control
// characters, quotes, a percent sign that begins no escape. What is escaped already stays.
func plainURL(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '%' && !isEscape(s[i:]), c <= ' ' || c >= 0x7f || strings.IndexByte("\"'`<>\\^|#", c) >= 0:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isEscape(s string) bool {
	_, err := url.PathUnescape(s[:min(len(s), 3)])
	return err == nil
}

// withoutRedacted drops the parameters of a recorded query whose value is not known.
func withoutRedacted(raw string) (query string, dropped bool) {
	if raw == "" {
		return "", false
	}
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		if strings.Contains(pair, telemetry.Redacted) {
			dropped = true
			continue
		}
		kept = append(kept, pair)
	}
	return strings.Join(kept, "&"), dropped
}
