package ui

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Tone is the meaning of a colour. It never stands alone: an icon and a word go with it.
type Tone string

// The tones.
const (
	// ToneNone has no colour.
	ToneNone Tone = ""
	// ToneOK is for what works.
	ToneOK Tone = "ok"
	// ToneWarn is for what soon needs someone.
	ToneWarn Tone = "warn"
	// ToneBad is for what is broken or refused.
	ToneBad Tone = "bad"
	// ToneHeld is for what waits on purpose.
	ToneHeld Tone = "held"
	// ToneIdle is for what does nothing at the moment.
	ToneIdle Tone = "idle"
	// ToneAccent is for what is chosen or new.
	ToneAccent Tone = "accent"
)

// icon is the sign that goes with a tone.
func (t Tone) icon() string {
	switch t {
	case ToneOK:
		return "check"
	case ToneWarn:
		return "alert"
	case ToneBad:
		return "x"
	case ToneHeld:
		return "pause"
	case ToneIdle:
		return "minus"
	case ToneAccent, ToneNone:
		return "info"
	}
	return "info"
}

// URL builds an address from a path and pairs of query key and value, leaving empty values out:
//
//	ui.URL("/users", "q", v.Search, "role", v.Role, "sort", v.Sort)
func URL(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// change is the address with some query values replaced; an empty value takes the key out.
func change(address string, pairs ...string) string {
	path, raw, _ := strings.Cut(address, "?")
	q, err := url.ParseQuery(raw)
	if err != nil {
		q = url.Values{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Del(pairs[i])
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// query is the query of an address; what cannot be parsed is empty.
func query(address string) url.Values {
	_, raw, _ := strings.Cut(address, "?")
	q, err := url.ParseQuery(raw)
	if err != nil {
		return url.Values{}
	}
	return q
}

// classes joins the names that are not empty.
func classes(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		if n == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(n)
	}
	return b.String()
}

// when is s if the condition holds.
func when(condition bool, s string) string {
	if condition {
		return s
	}
	return ""
}

// Thousands writes n with a comma between groups of three digits.
func Thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// coordinate writes a number for an SVG attribute: two decimals at most.
func coordinate(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// sortedKeys makes the order of a map's entries in a page certain.
func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// summaryTitle heads a list of n problems.
func summaryTitle(n int) string {
	if n == 1 {
		return "One thing needs to be corrected."
	}
	return strconv.Itoa(n) + " things need to be corrected."
}
