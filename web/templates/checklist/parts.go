package checklist

import (
	"strconv"

	"switchgear/web/templates/ui"
)

// VerdictChip is the sign of a verdict; title explains it on hover.
func VerdictChip(verdict, title string) ui.Chip {
	switch verdict {
	case "pass":
		return ui.Chip{Label: "Pass", Tone: ui.ToneOK, Title: title}
	case "fail":
		return ui.Chip{Label: "Fail", Tone: ui.ToneBad, Title: title}
	case "stale":
		return ui.Chip{Label: "Stale", Tone: ui.ToneWarn, Icon: "clock", Title: title}
	case "exempt":
		return ui.Chip{Label: "Exempt", Tone: ui.ToneHeld, Icon: "flag", Title: title}
	case "unknown":
		return ui.Chip{Label: "Unknown", Tone: ui.ToneIdle, Title: title}
	}
	return ui.Chip{Label: verdict, Tone: ui.ToneIdle, Title: title}
}

// Badge is how many items are done, as a ring.
func Badge(done, total int) ui.Ring {
	tone := ui.ToneAccent
	if done == total {
		tone = ui.ToneOK
	}
	return ui.Ring{Done: done, Total: total, Label: "Checklist", Tone: tone}
}

// verdicts are the choices of the filter, the most urgent first.
func verdicts() []ui.Option {
	return []ui.Option{
		{Label: "All"}, {Value: "fail", Label: "Fail"}, {Value: "stale", Label: "Stale"}, {Value: "unknown", Label: "Unknown"}, {Value: "exempt", Label: "Exempt"},
	}
}

// counted says how many items of a row have which verdict, the most urgent first.
func (r Row) counted() []ui.Chip {
	var out []ui.Chip
	for _, verdict := range []string{"fail", "stale", "unknown"} {
		n := 0
		for _, v := range r.Verdicts {
			if v == verdict {
				n++
			}
		}
		if n > 0 {
			chip := VerdictChip(verdict, "")
			chip.Label = strconv.Itoa(n) + " " + verdict
			out = append(out, chip)
		}
	}
	if len(out) == 0 && len(r.Verdicts) > 0 {
		out = append(out, ui.Chip{Label: "Ready", Tone: ui.ToneOK})
	}
	return out
}
