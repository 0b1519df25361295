package connections

import (
	"time"

	"switchgear/web/templates/ui"
)

func checklistSample() ChecklistItem {
	return ChecklistItem{
		ID: "retry", Number: 8, Title: "Retry logic works", About: "There is a second attempt, time for it, and a budget.", Verdict: "stale",
		Message: "Stale: proven by a drill on 2026-03-12 for another configuration (1f3a, now 88c0).", ConfigHash: "88c0ffee88c0ffee",
		Stages: []ChecklistStage{
			{"Configured", "pass", "3 attempts of 4s each, budget 20 %.", "3 attempts", "2 attempts"},
			{"Proven", "stale", "Stale: proven by a drill on 2026-03-12 for another configuration (1f3a, now 88c0).", "3 sends", "3 sends"},
			{"Observed", "pass", "1,030 attempts for 1,000 calls: 1.03 each.", "1.03", "at most 1.2"},
		},
		By: "drill by switchgear", At: ago(2 * day),
	}
}

func checklistTab() ChecklistView {
	head := sampleHead()
	head.Checklist = "2/6"
	fails := ChecklistItem{
		ID: "circuit_breaker", Number: 7, Title: "Circuit breaker implemented", Verdict: "fail",
		Message: "min_calls 20 in 1m is never reached at 3 calls/min, the most that was seen: the breaker cannot open.",
		Stages:  []ChecklistStage{{Name: "Configured", Verdict: "pass"}, {Name: "Proven", Verdict: "unknown"}, {Name: "Observed", Verdict: "fail"}},
		Fix:     Link{"Edit", "/connections/stripe/edit"},
	}
	unknown := ChecklistItem{
		ID: "documentation", Number: 11, Title: "Documentation complete", Verdict: "unknown", Message: "4 of 4: runbook of 1,204 characters, 2 contacts, status page and reference. Not proven yet: nobody attests it.",
		Stages: []ChecklistStage{{Name: "Configured", Verdict: "pass"}, {Name: "Proven", Verdict: "unknown"}, {Name: "Observed"}},
		Fix:    Link{"Attest", "/connections/stripe/checklist/documentation#attest"},
	}
	drill := ChecklistItem{
		ID: "rate_limiting", Number: 5, Title: "Rate limiting configured", Verdict: "unknown", Message: "Limited to 90 per 1s. Not proven yet: this version runs no drills.",
		Stages: []ChecklistStage{{Name: "Configured", Verdict: "pass"}, {Name: "Proven", Verdict: "unknown"}, {Name: "Observed", Verdict: "pass"}},
	}
	pass := ChecklistItem{
		ID: "monitoring", Number: 9, Title: "Monitoring active", Verdict: "pass", Message: "1,204 calls were measured; the last good call was at 2026-03-14 09:26 UTC.",
		Stages: []ChecklistStage{{Name: "Configured", Verdict: "pass"}, {Name: "Proven", Verdict: "pass"}, {Name: "Observed", Verdict: "pass"}},
		By:     "attested by ada@example.com", At: ago(12 * day), Until: now().Add(18 * day),
	}
	exempt := ChecklistItem{
		ID: "webhooks", Number: 6, Title: "Webhooks tested", Verdict: "exempt", Message: "Exempt until 2026-04-01, approved by ada@example.com: the vendor sends none.",
		Stages: []ChecklistStage{{Name: "Configured", Verdict: "exempt"}, {Name: "Proven", Verdict: "unknown"}, {Name: "Observed"}},
		By:     "attested by ada@example.com", At: ago(day), Until: now().Add(18 * day),
	}
	return ChecklistView{
		Page: frame("Stripe live", "checklist", "connections"), Now: now(), Head: head, Done: 2, Configured: 5, Proven: 1, Observed: 1,
		Items: []ChecklistItem{fails, checklistSample(), unknown, drill, pass, exempt},
	}
}

func checklistItemPage() ChecklistItemView {
	return ChecklistItemView{
		Page: frame("Retry logic works of Stripe live"), Now: now(), Head: sampleHead(), Item: checklistSample(), ExemptDays: 180,
		ProofHint: "Nobody can attest this item: only a drill can prove it, and this version runs no drills.",
		Evidence: []ChecklistEvidence{
			{Method: "static", Verdict: "pass", Message: "3 attempts of 4s each, budget 20 %.", Actor: "switchgear", Current: true, At: ago(time.Hour)},
			{Method: "drill", Verdict: "pass", Message: "3 sends seen by the server.", Actor: "switchgear", At: ago(2 * day), Artifacts: []string{"req_1", "req_2"}},
			{Method: "attested", Verdict: "exempt", Message: "The vendor retries.", Actor: "ada@example.com", At: ago(40 * day), Until: ago(10 * day)},
		},
	}
}

func checklistStates() []ui.State {
	const tab, page = "Connection page, checklist", "Checklist item page"
	done, quiet, reader, long := checklistTab(), checklistTab(), checklistTab(), checklistTab()
	required := checklistTab()
	required.Required, required.Head.State = true, "paused"
	done.Items, done.Done = done.Items[4:], 2
	quiet.Items = quiet.Items[2:3]
	reader.Head.CanConfigure, reader.Head.CanOperate = false, false
	reader.Items[0].Fix = Link{}
	long.Head, long.Items[0].Message, long.Items[1].By = longHead(), longText, longName
	attest, exempt, wrong, viewer, empty := checklistItemPage(), checklistItemPage(), checklistItemPage(), checklistItemPage(), checklistItemPage()
	attest.AttestDays, attest.Item = 30, checklistTab().Items[2]
	exempt.Item, exempt.CanWithdraw = checklistTab().Items[5], true
	wrong.AttestDays, wrong.Form, wrong.Reason, wrong.Days = 30, "exempt", "Because.", "900"
	wrong.Errors = Errors{"days": "Say for how many days, from 1 to 180."}
	viewer.Head.CanConfigure, viewer.Head.CanOperate = false, false
	empty.Evidence = nil
	return []ui.State{
		whole(tab, "some missing", Checklist(checklistTab())), whole(tab, "required", Checklist(required)), whole(tab, "nothing missing", Checklist(done)), whole(tab, "one not proven", Checklist(quiet)),
		whole(tab, "read-only", Checklist(reader)), whole(tab, "long text", Checklist(long)),
		{Group: tab, Name: "the part that refreshes", View: ChecklistTable(checklistTab())},
		whole(page, "stale", ChecklistItemPage(checklistItemPage())), whole(page, "to attest", ChecklistItemPage(attest)), whole(page, "exempt", ChecklistItemPage(exempt)),
		whole(page, "errors", ChecklistItemPage(wrong)), whole(page, "read-only", ChecklistItemPage(viewer)), whole(page, "no evidence", ChecklistItemPage(empty)),
	}
}
