package ui

import (
	"strconv"
	"time"
)

// absolute writes t in UTC to the second.
func absolute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// relative writes the distance from now to t in the largest unit that fits: whole units that have passed, and the
// nearest one ahead. Beyond 60 days the date says more. app.js repeats these rules for the ticking in the browser.
func relative(t, now time.Time) string {
	d, before, after := now.Sub(t), "", " ago"
	whole := time.Duration.Truncate
	if d < 0 {
		d, before, after, whole = -d, "in ", "", time.Duration.Round
	}
	count := func(unit time.Duration) int { return int(whole(d, unit) / unit) }
	var text string
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		text = strconv.Itoa(int(d/time.Second)) + " s"
	case count(time.Minute) < 60:
		text = strconv.Itoa(count(time.Minute)) + " min"
	case count(time.Hour) < 48:
		text = strconv.Itoa(count(time.Hour)) + " h"
	case count(24*time.Hour) < 60:
		text = strconv.Itoa(count(24*time.Hour)) + " d"
	default:
		return t.UTC().Format("2006-01-02")
	}
	return before + text + after
}

// age writes how long ago t was, in its largest whole unit, to the second below a minute. app.js repeats these rules
// for the ticking in the browser.
func age(t, now time.Time) string {
	d := max(0, now.Sub(t))
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + " days"
}

// clockTime writes the time of day in UTC, with the date when it is of another day than now.
func clockTime(t, now time.Time) string {
	if t.UTC().YearDay() != now.UTC().YearDay() || now.Sub(t) > 24*time.Hour {
		return t.UTC().Format("2 Jan 15:04 UTC")
	}
	return t.UTC().Format("15:04 UTC")
}

// remaining writes how long it is until t, to the second below an hour, and to the nearest day above two. What is
// over is "0 s". app.js repeats these rules for the ticking in the browser.
func remaining(t, now time.Time) string {
	d := t.Sub(now)
	if d <= 0 {
		return "0 s" // It stands after "in", "for" and "another", where "now" makes no sentence.
	}
	seconds := int((d + time.Second - 1) / time.Second)
	switch {
	case seconds < 60:
		return strconv.Itoa(seconds) + " s"
	case seconds < 3600:
		return strconv.Itoa(seconds/60) + " min " + strconv.Itoa(seconds%60) + " s"
	case seconds < 48*3600:
		return strconv.Itoa(seconds/3600) + " h " + strconv.Itoa(seconds%3600/60) + " min"
	}
	return strconv.Itoa((seconds+43200)/86400) + " d"
}
