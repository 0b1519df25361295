package connections

import (
	"time"

	"switchgear/web/templates/ui"
)

func whatIfResult() *WhatIfResult {
	until := now()
	from := until.Add(-7 * 24 * time.Hour)
	return &WhatIfResult{
		Now: until, From: from, Until: until, Calls: 48210, Unknown: 31,
		Summary: "The edited settings would have opened 2 times for 41 s, saved 630 failing calls, rejected 12 good ones. Those in force would never have opened.",
		Rows: []WhatIfRow{
			{"Opened", "0", "2"},
			{"Opened again after a failed probe", "0", "0"},
			{"Open for", "0 s", "41 s"},
			{"Failing calls saved", "0", "630"},
			{"Good calls rejected", "0", "12"},
			{"Refused then as well", "0", "0"},
			{"Attempts delayed by limits", "4", "4"},
			{"Longest wait", "120 ms", "120 ms"},
		},
		Edited: []WhatIfOpening{
			{At: from.Add(30 * time.Hour), For: 30 * time.Second, Reason: "10 of 20 calls failed: 50 %, trips at 30 %"},
			{At: from.Add(101 * time.Hour), For: 11 * time.Second, Operation: "create-charge", Reason: "7 of 20 calls failed: 35 %, trips at 30 %"},
		},
		Caveats: []string{
			"Nobody knows what the callers of refused calls would have done instead, nor whether the upstream would have recovered sooner with fewer calls.",
			"31 of these calls were refused at the time and never sent; nobody knows how that would have ended, so none of them counts as saved or as good.",
		},
	}
}

func whatIfStates() []ui.State {
	const group = "Connection form"
	with := func(w WhatIf) FormView {
		v := editForm()
		w.Slug = "stripe"
		v.WhatIf = w
		return v
	}
	never, long := whatIfResult(), whatIfResult()
	never.Summary, never.Edited, never.Caveats = "The edit changes neither breakers nor limits: both would never have opened.", nil, never.Caveats[:1]
	never.Calls = 1
	for range 30 {
		long.Edited = append(long.Edited, WhatIfOpening{At: long.From.Add(time.Duration(len(long.Edited)) * time.Hour), For: time.Hour, Operation: longSlug(), Reason: longText})
	}
	long.Summary, long.Caveats = longText, append(long.Caveats, longText)
	return []ui.State{
		whole(group, "what if, two openings", Form(with(WhatIf{Result: whatIfResult()}))),
		whole(group, "what if, nothing changed", Form(with(WhatIf{Result: never}))),
		whole(group, "what if, no calls", Form(with(WhatIf{Result: &WhatIfResult{Now: now(), Empty: true}}))),
		whole(group, "what if, under way", Form(with(WhatIf{Job: "JOB", Step: 3, Done: 420_000, Of: 1_000_000}))),
		whole(group, "what if, waiting", Form(with(WhatIf{Job: "JOB"}))),
		whole(group, "what if, error", Form(with(WhatIf{Problem: "Others replay calls right now. Try again in a moment."}))),
		whole(group, "what if, long text", Form(with(WhatIf{Result: long}))),
	}
}
