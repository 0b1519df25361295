package checklist

import (
	"math"
	"strconv"
	"strings"

	"switchgear/internal/runtime"
)

// count is a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// number writes a figure with at most two decimals.
func number(f float64) string {
	if f >= 1000 {
		return thousands(int64(math.Round(f)))
	}
	return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64)
}

func percent(f float64) string { return number(f) + " %" }

// limit is a rate limit in words.
func limit(l runtime.RateLimit) string {
	return thousands(int64(l.Requests)) + " per " + l.Per.String()
}

func perMinute(l runtime.RateLimit) float64 {
	if l.Per <= 0 {
		return math.Inf(1)
	}
	return float64(l.Requests) / l.Per.Std().Minutes()
}

// tightest is the limit that lets the least through over time; false when there is none.
func tightest(limits []runtime.RateLimit) (runtime.RateLimit, bool) {
	if len(limits) == 0 {
		return runtime.RateLimit{}, false
	}
	least := limits[0]
	for _, l := range limits[1:] {
		if perMinute(l) < perMinute(least) {
			least = l
		}
	}
	return least, true
}

// list joins words as people do.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// sentence begins with a capital letter.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
