package gallery

import (
	"strconv"
	"time"

	"github.com/a-h/templ"

	"switchgear/web/templates/ui"
)

func columns() []ui.Column {
	return []ui.Column{
		{Label: "User", Sort: "email"},
		{Label: "Role", Sort: "role"},
		{Label: "State"},
		{Label: "Calls", Sort: "calls", Descending: true, Numeric: true, Desktop: true},
		{Label: "Last sign-in", Sort: "last_sign_in_at", Descending: true},
		{Label: "Actions", Action: true},
	}
}

func userRow(i int, name, sub string) ui.Row {
	t := now()
	return ui.Row{ID: "usr_" + strconv.Itoa(i), Cells: []templ.Component{
		ui.Name(name, "/x", sub),
		ui.Badge{Label: "operator"},
		ui.Chip{Label: "Active", Tone: ui.ToneOK},
		ui.Number(int64(i) * 7919),
		ui.RelTime(t.Add(-time.Duration(i*i)*time.Hour), t),
		ui.Button{Label: "Open", Small: true, Href: "/x"},
	}}
}

func tableStates() []ui.State {
	empty := ui.EmptyState{Icon: "users", Title: "No user fits these filters.", Text: "Clear the filters to see everyone.", Actions: []templ.Component{ui.Button{Label: "Clear filters", Href: "/x"}}}
	many := []ui.Row{userRow(1, "Ada Lovelace", "ada@example.com"), userRow(2, "Grace Hopper", "grace@example.com"), userRow(3, "Edsger Dijkstra", "edsger@example.com")}
	many[1].Dim = true
	many[1].Cells[2] = ui.Chip{Label: "Disabled", Tone: ui.ToneIdle, Icon: "ban"}
	many[2].Tone = ui.ToneBad
	table := func(rows ...ui.Row) ui.Table {
		return ui.Table{Caption: "Users", Columns: columns(), Rows: rows, Empty: empty, URL: "/users?q=a&page=2", Sort: "-last_sign_in_at"}
	}
	return []ui.State{
		state("Table", "empty", ui.Card{Title: "Users", Flush: true, Body: table()}),
		state("Table", "one", ui.Card{Title: "Users", Flush: true, Body: table(userRow(1, "Ada Lovelace", "ada@example.com"))}),
		state("Table", "many", ui.Card{Title: "Users", Sub: "3 of 3", Flush: true, Body: table(many...)}),
		state("Table", "long text", ui.Card{Title: "Users", Flush: true, Body: table(userRow(1, longText, longWord))}),
		state("Table", "figures and drawings", ui.Card{Title: "Connections by impact", Flush: true, Body: impact()}),
	}
}

func impact() ui.Table {
	ribbon := func(bad int) ui.Ribbon {
		r := ui.Ribbon{Label: "Last 15 minutes"}
		for i := range 15 {
			tone := ui.ToneOK
			if i >= 15-bad {
				tone = ui.ToneBad
			}
			r.Slices = append(r.Slices, ui.Slice{Tone: tone})
		}
		return r
	}
	t := now()
	return ui.Table{
		ID: "impact", Caption: "Connections", Roomy: true,
		Columns: []ui.Column{
			{Label: "Connection"},
			{Label: "State"},
			{Label: "Last 15 min"},
			{Label: "Calls", Desktop: true},
			{Label: "Errors", Numeric: true},
			{Label: "p95", Numeric: true, Desktop: true},
			{Label: "Rate of limit", Desktop: true},
			{Label: "Checklist", Desktop: true},
			{Label: "Last success", Desktop: true},
		},
		Rows: []ui.Row{
			{ID: "1", Cells: []templ.Component{
				ui.Name("Stripe live", "/x", "rest · v18 · 6 min ago"),
				ui.Chip{Label: "Open · probe in 22 s", Tone: ui.ToneBad},
				ribbon(4),
				ui.Sparkline{Points: course(3), Tone: ui.ToneBad, Small: true},
				ui.Text("63.3 %"), ui.Text("8.1 s"),
				ui.Meter{Value: 90, Max: 90, Label: "Rate", Text: "90/s"},
				ui.Ring{Done: 11, Total: 12, Label: "proven"},
				ui.RelTime(t.Add(-14*time.Minute), t),
			}},
			{ID: "2", Cells: []templ.Component{
				ui.Name("Orders bus", "/x", "broker · NATS JetStream"),
				ui.Chip{Label: "Closed", Tone: ui.ToneOK},
				ribbon(0),
				ui.Sparkline{Points: course(5), Small: true},
				ui.Text("0.0 %"), ui.Text("3 ms"),
				ui.Meter{Value: 40, Max: 100, Label: "Rate", Text: "40/s"},
				ui.Ring{Done: 12, Total: 12, Label: "proven"},
				ui.RelTime(t, t),
			}},
			{ID: "3", Cells: []templ.Component{
				ui.Name("Salesforce", "/x", "rest · jwt bearer"),
				ui.Chip{Label: "Idle · no traffic 6 h", Tone: ui.ToneIdle},
				ui.Ribbon{Label: "No calls", Slices: make([]ui.Slice, 15)},
				ui.Sparkline{Points: []float64{0, 0}, Tone: ui.ToneIdle, Small: true},
				ui.Text(""), ui.Text(""),
				ui.Meter{Value: 0, Max: 25, Label: "Rate", Text: "25/s"},
				ui.Ring{Done: 0, Total: 12, Label: "proven"},
				ui.RelTime(t.Add(-6*time.Hour), t),
			}},
		},
	}
}

// course is a made-up line that is the same each time.
func course(seed int) []float64 {
	out := make([]float64, 40)
	for i := range out {
		out[i] = float64((i*i*seed+i*7)%11) + float64(i%5)
	}
	return out
}

func filterStates() []ui.State {
	filters := func(url string) ui.Filters {
		return ui.Filters{
			URL: url, Search: "q", Placeholder: "Name or e-mail",
			Pills: []ui.Pills{{Name: "status", Label: "State", Options: []ui.Option{{Value: "", Label: "All", Count: "14"}, {Value: "active", Label: "Active", Count: "12"}, {Value: "disabled", Label: "Disabled", Count: "2"}}}},
			Fields: []ui.FilterField{
				{Name: "role", Label: "Role", Options: []ui.Option{{Value: "", Label: "Any"}, {Value: "owner", Label: "Owner"}, {Value: "admin", Label: "Admin"}}},
				{Name: "from", Label: "From", Type: ui.FieldDate},
			},
		}
	}
	wrong := filters("/users?q=x&from=yesterday")
	wrong.Fields[1].Error = "Write the date as 2026-03-14."
	many := filters("/users?to=2026-03-01")
	many.Fields = append(many.Fields, ui.FilterField{Name: "to", Label: "To", Type: ui.FieldDate}, ui.FilterField{Name: "by", Label: "Invited by", Placeholder: "name or id"})
	few := many
	few.URL = "/users"
	return []ui.State{
		state("Filters", "many, folded", few),
		state("Filters", "many, one in use", many),
		state("Filters", "nothing chosen", filters("/users")),
		state("Filters", "chosen", filters("/users?q=ada&status=active&role=admin&sort=-email&from=2026-01-01")),
		state("Filters", "wrong", wrong),
	}
}

func paginationStates() []ui.State {
	page := func(number, total int) ui.Pagination {
		return ui.Pagination{URL: "/users?q=a", Number: number, Limit: 50, Total: total, Noun: "users"}
	}
	return []ui.State{
		state("Pagination", "one page", page(1, 14)), state("Pagination", "first of three", page(1, 130)), state("Pagination", "in the middle of many", page(40, 12481)),
		state("Pagination", "last", page(3, 130)), state("Pagination", "beyond the end", page(9, 130)), state("Pagination", "empty", page(1, 0)),
	}
}

func figureStates() []ui.State {
	return []ui.State{
		state("Figures", "row of figures", ui.Stats{Tiles: []ui.StatTile{
			{ID: "calls", Label: "Calls / min", Value: "12,481", Points: course(5), Href: "/x"},
			{ID: "failed", Label: "Failed", Value: "1.42", Unit: "%", Points: course(3), Tone: ui.ToneBad},
			{Label: "p95 latency", Value: "183", Unit: "ms", Points: course(2)},
			{Label: "Breakers not closed", Value: "2", Unit: "of 31", Points: []float64{0, 0, 0, 1, 1, 2}, Tone: ui.ToneBad},
			{Label: "Delivery backlog", Value: "1,207", Points: []float64{1, 1, 1, 2, 4, 9}, Tone: ui.ToneWarn},
			{Label: "Checklist proven", Value: "79", Unit: "%", Points: []float64{70, 74, 79}, Tone: ui.ToneOK},
		}}),
		state("Figures", "three without lines", ui.Stats{Tiles: []ui.StatTile{{Label: "Users", Value: "14", Href: "/x"}, {Label: "API keys", Value: "3"}, {Label: "Audit entries", Value: "1,204,221"}}}),
		state("Figures", "meters", ui.Lines(
			ui.Meter{Value: 20, Max: 100, Label: "Per second", Text: "20 / 100"}, ui.Meter{Value: 85, Max: 100, Label: "Per minute", Text: "85 / 100"},
			ui.Meter{Value: 140, Max: 100, Label: "In flight", Text: "100 / 100"}, ui.Meter{Value: 0, Max: 0, Label: "No limit", Text: "no limit"},
		)),
		state("Figures", "limits and thresholds", ui.Meters{Items: []ui.MeterLine{
			{Label: "90 per 1 s", Value: 90, Max: 90, Text: "90 / 90"},
			{Label: "Judged calls", Value: 18, Max: 25, Mark: 20, Tone: ui.ToneAccent, Text: "18 of 20 minimum"},
			{Label: "Failures", Value: .44, Max: 1, Mark: .5, Text: "44 % of 50 %"},
			{Label: "Slow calls", Value: .9, Max: 1, Mark: .8, Text: "90 % of 80 %"},
			{Label: "Vendor quota", Text: "240 left", Plain: true},
			{Label: longWord, Value: 1, Max: 3, Text: longText},
		}}),
		state("Figures", "three states", ui.Machine{
			Nodes: [3]ui.MachineNode{
				{Title: "Closed", Text: "calls pass"},
				{Title: "Open", Text: "next probe in ", Until: now().Add(22 * time.Second), Now: now(), After: " of 30 s", Tone: ui.ToneBad, Current: true},
				{Title: "Half-open", Text: "3 probes"},
			},
			Forward: [2]string{"≥ 50 % fail", "after 30 s"}, Back: "any failure", Return: "3 successes", Label: "It is open.",
		}),
		state("Figures", "three states, what would be", ui.Machine{
			Nodes:   [3]ui.MachineNode{{Title: "Closed"}, {Title: "Open", Tone: ui.ToneBad, Would: true}, {Title: "Half-open"}},
			Forward: [2]string{"≥ 50 % fail", "after 30 s"}, Back: "any failure", Return: "3 successes", Label: "It would be open.",
		}),
		state("Figures", "rings", row(ui.Ring{Done: 0, Total: 12, Label: "proven"}, ui.Ring{Done: 7, Total: 12, Label: "proven"}, ui.Ring{Done: 12, Total: 12, Label: "proven"}, ui.Ring{})),
		state("Figures", "ribbon", ui.Ribbon{Label: "Open for 2 of 6 minutes", Slices: []ui.Slice{{}, {Tone: ui.ToneOK}, {Tone: ui.ToneOK}, {Tone: ui.ToneWarn, Title: "half-open"}, {Tone: ui.ToneBad, Title: "open"}, {Tone: ui.ToneHeld}}}),
		state("Figures", "lines", row(ui.Sparkline{Points: course(4), Label: "Calls of the last hour"}, ui.Sparkline{Points: []float64{5}, Small: true}, ui.Sparkline{})),
	}
}

func codeStates() []ui.State {
	return []ui.State{
		state("Code", "command", ui.CodeView{ID: "curl", Title: "Try it", Text: "curl -H 'Authorization: Bearer sg_…' \\\n  https://console.example.com/api/v1/connections"}),
		state("Code", "wrapped", ui.CodeView{Text: longWord + " " + longText, Wrap: true}),
		state("Code", "hostile text", ui.CodeView{ID: "hostile", Text: `<script>alert(1)</script> "quotes" & 'more'`}),
		state("JSON", "nested", ui.JSONView{ID: "json", Title: "Answer", Source: `{"id":"ch_1","amount":1250,"paid":true,"card":{"brand":"visa","last4":"4242","checks":{"cvc":null,"zip":"<pass>"}},"items":[{"sku":"a"},{"sku":"b"}],"empty":{},"none":[]}`}),
		state("JSON", "with the raw text", ui.JSONView{ID: "json", Title: "Answer", Source: `{"id": "ch_1",  "paid":true}`, Raw: true}),
		state("JSON", "a single value", ui.JSONView{Source: `"just text"`}),
		state("JSON", "not JSON", ui.JSONView{ID: "broken", Title: "Answer", Source: `{"id": oops`}),
		state("Diff", "a change", ui.DiffView{Title: "v17 → v18", Lines: []ui.DiffLine{
			{Kind: ui.DiffGap, Text: "12 equal lines"},
			{Kind: ui.DiffSame, Old: 13, New: 13, Text: "retry:"},
			{Kind: ui.DiffRemoved, Old: 14, Text: "  max_attempts: 3"},
			{Kind: ui.DiffAdded, New: 14, Text: "  max_attempts: 5"},
			{Kind: ui.DiffSame, Old: 15, New: 15, Text: "  backoff: 200ms"},
		}}),
	}
}

func timelineStates() []ui.State {
	t := now()
	return []ui.State{state("Timeline", "some events", ui.Timeline{Now: t, Entries: []ui.TimelineEntry{
		{At: t.Add(-3 * time.Minute), Title: "ada@example.com disabled grace@example.com", Href: "/x", Text: "“Left the company.”", Icon: "ban", Tone: ui.ToneBad},
		{At: t.Add(-2 * time.Hour), Title: "ada@example.com made API key ci", Tone: ui.ToneAccent, Icon: "key", Extra: ui.Group(ui.Badge{Label: "call:*", Mono: true}, ui.Badge{Label: "api:read", Mono: true})},
		{At: t.Add(-26 * time.Hour), Title: "grace@example.com signed in", Icon: "user"},
	}})}
}
