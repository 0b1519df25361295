package calls

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

// listPath is the address of the whole log.
const listPath = "/calls"

// usualLimit is the number of rows that an address without a limit stands for.
const usualLimit = 50

// OutcomeChip is the sign of how a call ended. An unknown outcome is shown without a judgement.
func OutcomeChip(outcome, label string) ui.Chip {
	c := ui.Chip{Label: label, Tone: ui.ToneIdle}
	if label == "" {
		c.Label = strings.ReplaceAll(outcome, "_", " ")
	}
	switch outcome {
	case "success":
		c.Tone = ui.ToneOK
	case "client_error", "not_implemented":
		c.Tone = ui.ToneWarn
	case "unauthenticated", "forbidden":
		c.Tone, c.Icon = ui.ToneBad, "lock"
	case "throttled":
		c.Tone, c.Icon = ui.ToneHeld, "clock"
	case "timeout", "timeout_status":
		c.Tone, c.Icon = ui.ToneBad, "clock"
	case "server_error", "unavailable", "connect_failed", "tls_failed", "reset":
		c.Tone = ui.ToneBad
	case "rejected_local":
		c.Tone, c.Icon = ui.ToneWarn, "ban"
	}
	return c
}

// statusBadge is the number that the caller was answered; there is none when the caller was gone before.
func statusBadge(status int) templ.Component {
	if status == 0 {
		return ui.Text("")
	}
	b := ui.Badge{Label: strconv.Itoa(status), Mono: true}
	switch {
	case status >= http.StatusInternalServerError:
		b.Tone = ui.ToneBad
	case status >= http.StatusBadRequest:
		b.Tone = ui.ToneWarn
	}
	return b
}

// Took writes a duration as short as it stays meaningful: "840 µs", "12.4 ms", "183 ms", "8.1 s", "2 min 5 s".
func Took(d time.Duration) string {
	switch {
	case d < 0:
		return "—"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < time.Second:
		return digits(float64(d.Microseconds())/1000) + " ms"
	case d < time.Minute:
		return digits(d.Seconds()) + " s"
	}
	seconds := int64(d.Round(time.Second) / time.Second)
	return strconv.FormatInt(seconds/60, 10) + " min " + strconv.FormatInt(seconds%60, 10) + " s"
}

// TookParts is [Took] with the unit on its own; a duration of minutes has none.
func TookParts(d time.Duration) (value, unit string) {
	text := Took(d)
	if value, unit, ok := strings.Cut(text, " "); ok && !strings.Contains(unit, " ") {
		return value, unit
	}
	return text, ""
}

// digits writes one decimal below 100 and none from there on.
func digits(f float64) string {
	if f >= 99.95 {
		return strconv.FormatFloat(math.Floor(f), 'f', 0, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

// Size writes a number of bytes: "0 B", "1.2 kB", "104 MB".
func Size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(max(n, 0), 10) + " B"
	}
	f, unit := float64(n), ""
	for _, u := range []string{" kB", " MB", " GB", " TB"} {
		f, unit = f/1000, u
		if f < 999.5 {
			break
		}
	}
	return digits(f) + unit
}

// text is a header block as it goes over the wire.
func text(headers []Header) string {
	var b strings.Builder
	for _, h := range headers {
		b.WriteString(h.Name + ": " + h.Value + "\n")
	}
	return b.String()
}

// FailedPath is where a log has the calls that count as failed within the last 15 minutes, the one under way included.
func FailedPath(log string, now time.Time) string {
	return ui.URL(log, "outcome", "failed", "from", now.UTC().Add(-14*time.Minute).Format("2006-01-02T15:04"))
}
