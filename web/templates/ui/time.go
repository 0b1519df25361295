package ui

import (
	"strconv"
	"time"
)

// absolute writes t in UTC to the second.
func absolute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// relative writes the distance from now to t in the largest unit that fits. Beyond 60 days the date says
// more. app.js repeats these rules for the ticking in the browser.
func relative(t, now time.Time) string {
	d := now.Sub(t)
	ahead := d < 0
	if ahead {
		d = -d
	}
	if d < 10*time.Second {
		return "just now"
	}
	var text string
	switch {
	case d < time.Minute:
		text = strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		text = strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		text = strconv.Itoa(int(d/time.Hour)) + " h"
	case d < 60*24*time.Hour:
		text = strconv.Itoa(int(d/(24*time.Hour))) + " d"
	default:
		return t.UTC().Format("2006-01-02")
	}
	if ahead {
		return "in " + text
	}
	return text + " ago"
}
