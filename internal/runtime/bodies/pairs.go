package bodies

import (
	"strings"

	"switchgear/internal/telemetry"
)

// pairs redacts what follows a secret name and a colon or equals sign, in text of any kind:
//
//	token=abc  password: two words  Authorization: Bearer x  'api_key' => "x"  \"secret\": \"x\"
//
// It is the net below the readers of formats. A line ends an unquoted value after a colon.
func (r *redactor) pairs(text string) string {
	var edits []edit
	for at := 0; at < len(text); {
		i := strings.IndexAny(text[at:], "=:")
		if i < 0 {
			break
		}
		i += at
		at = i + 1
		name := nameBefore(text, i)
		if name == "" || !r.secret(lastPart(name)) {
			continue
		}
		from, end := valueAfter(text, i)
		if from < end && text[from:end] != telemetry.Redacted {
			edits = append(edits, edit{from, end, telemetry.Redacted})
		}
		at = max(at, end)
	}
	return apply(text, edits)
}

const space = " \t"

// nameBefore is the name that ends before the sign at i.
func nameBefore(text string, i int) string {
	end := len(strings.TrimRight(text[:i], space))
	end = len(strings.TrimRight(text[:end], `"'`+"`"+`\`))
	from := end
	for from > 0 && end-from <= 128 && isName(text[from-1]) {
		from--
	}
	return text[from:end]
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-.[]", c) >= 0 || c >= 0x80
}

// valueAfter is where the value after the sign at i begins and ends.
func valueAfter(text string, i int) (from, end int) {
	sign := text[i]
	from = i + 1
	for from < len(text) && strings.IndexByte(space+">=:", text[from]) >= 0 {
		from++
	}
	if strings.HasPrefix(text[from:], telemetry.Redacted) {
		return from, from + len(telemetry.Redacted)
	}
	open := from
	for open < len(text) && text[open] == '\\' {
		open++
	}
	if open < len(text) && strings.IndexByte("\"'`", text[open]) >= 0 {
		quote, slashes := text[open], open-from
		return open + 1, quoteEnd(text, open+1, quote, slashes)
	}
	stop := " \t\r\n&;,\"'<>)}]"
	if sign == ':' {
		stop = "\r\n&\"'<>}]"
	}
	if n := strings.IndexAny(text[from:], stop); n >= 0 {
		return from, from + n
	}
	return from, len(text)
}

// quoteEnd is where the text that was opened by a quote with so many backslashes ends: at the same quote
// with no more of them, or where the whole ends.
func quoteEnd(text string, from int, quote byte, slashes int) int {
	run := 0
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '\\':
			run++
			continue
		case quote:
			if run <= slashes {
				return i - run
			}
		}
		run = 0
	}
	return len(text)
}
