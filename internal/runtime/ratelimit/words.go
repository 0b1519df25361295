package ratelimit

import (
	"math"
	"strconv"
	"time"
)

// String writes the limit as people do: 50/s, 1000/min, 100 per 10 s.
func (l Limit) String() string {
	n := strconv.Itoa(l.Requests)
	if l.Per == 0 {
		return "no limit"
	}
	for _, u := range [...]struct {
		per  time.Duration
		text string
	}{{time.Second, "/s"}, {time.Minute, "/min"}, {time.Hour, "/h"}, {day, "/day"}} {
		if l.Per == u.per {
			return n + u.text
		}
	}
	return n + " per " + words(l.Per)
}

// words writes a duration to about two digits: 300 ms, 20 s, 3 min 20 s, 2 h, 3 days.
func words(d time.Duration) string {
	n := func(v float64, unit string) string { return strconv.FormatFloat(v, 'f', -1, 64) + " " + unit }
	two := func(big int64, bigUnit string, small int64, smallUnit string) string {
		s := strconv.FormatInt(big, 10) + " " + bigUnit
		if small > 0 {
			s += " " + strconv.FormatInt(small, 10) + " " + smallUnit
		}
		return s
	}
	switch {
	case d < time.Second:
		return n(math.Ceil(max(0, d.Seconds())*1e3), "ms")
	case d < 10*time.Second:
		return n(math.Ceil(d.Seconds()*10)/10, "s")
	case d <= 2*time.Minute:
		return n(math.Ceil(d.Seconds()), "s")
	case d < time.Hour:
		s := int64(math.Ceil(d.Seconds()))
		return two(s/60, "min", s%60, "s")
	case d < 2*day:
		m := int64(math.Ceil(d.Minutes()))
		return two(m/60, "h", m%60, "min")
	}
	h := int64(math.Ceil(d.Hours()))
	return two(h/24, "days", h%24, "h")
}

// perTime writes a rate so that the number is easy to read: 12/s, 1.4/s, 30/min, 5/h.
func perTime(rate float64) string {
	for _, u := range []struct {
		seconds float64
		unit    string
	}{{1, "/s"}, {60, "/min"}, {3600, "/h"}} {
		if v := rate * u.seconds; v >= 1 {
			return digits(v) + u.unit
		}
	}
	return digits(rate*86400) + "/day"
}

// digits keeps one digit behind the point of a small number.
func digits(v float64) string {
	if v >= 10 {
		return strconv.FormatFloat(math.Floor(v+1e-9), 'f', 0, 64)
	}
	return strconv.FormatFloat(math.Floor(v*10+1e-9)/10, 'f', -1, 64)
}

// why says what the effective rate of a scope is and what it comes from, as one clause.
func (s *scope) why(c *Config, now int64, wall func(int64) time.Time) string {
	configured := "no limit configured"
	if s.base.Per > 0 {
		configured = "configured " + s.base.String()
	}
	if s.hold.on && now < s.hold.until {
		return configured + ", nothing for " + words(time.Duration(s.hold.until-now)) + " because " + s.hold.reason
	}
	var said *quota
	for i := range s.quotas {
		q := &s.quotas[i]
		if q.over(now) {
			continue
		}
		if said == nil {
			said = q
		}
		if q.earliest(now, 0) > now {
			return configured + ", nothing for " + words(time.Duration(q.earliest(now, 0)-now)) + " because the vendor says " + q.words(now)
		}
	}
	rate, q := s.rate(c, now)
	switch {
	case math.IsInf(rate, 1) && said != nil:
		return configured + ", not slowed down; the vendor says " + said.words(now)
	case math.IsInf(rate, 1):
		return configured + ", not slowed down"
	case q != nil:
		return configured + ", effective " + perTime(rate) + " because the vendor says " + q.words(now)
	}
	back := max(time.Duration(s.cut.recovered()-now), 0)
	return configured + ", effective " + perTime(rate) + " because the vendor refused at " + wall(s.cut.at).UTC().Format("15:04:05") +
		"; the full rate is back in " + words(back)
}

// words says what is left, and for how long.
func (q *quota) words(now int64) string {
	text := strconv.FormatInt(int64(max(0, math.Floor(q.leftAt(now)+1e-9))), 10)
	if q.Limit > 0 && q.reset == 0 {
		text += " of " + strconv.FormatInt(q.Limit, 10)
	}
	if q.Unit != UnitRequests {
		text += " " + q.Unit
	}
	text += " left"
	switch {
	case q.Refill > 0:
		return text + ", refilled with " + perTime(q.Refill)
	case q.reset > now:
		return text + " for " + words(time.Duration(q.reset-now))
	case q.Window > 0:
		return text + " of a window of " + words(q.Window)
	}
	return text
}
