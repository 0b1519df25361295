package connections

import (
	"strings"

	"switchgear/web/templates/ui"
)

func sampleRequirements() RequirementsView {
	return RequirementsView{
		Page: frame("Stripe live", "connections"), Now: now(), Head: sampleHead(), UpdatedAt: ago(12 * day),
		Requirements: []Fact{
			{Key: "Owner", Value: "Payments team"},
			{Key: "Purpose", Value: "Charges cards at checkout."},
			{Key: "Data", Value: "personal"},
			{Key: "Criticality", Value: "critical"},
			{Key: "Availability", Value: "99.9 %"},
			{Key: "Latency", Value: "800 ms", Hint: "95 of 100 calls"},
			{Key: "Expected volume", Value: "2,400 calls in 1 min"},
		},
		Runbook:  "# When charges fail\n\n1. Look at the [status page](https://status.stripe.com).\n2. Trip the breaker when *most* calls fail:\n\n```\nconsole call stripe GET /v1/balance\n```\n\n| sign | do |\n|---|---|\n| 401 | store a new key |\n",
		Notes:    "The key belongs to the **EU** account.",
		Contacts: []Contact{{"Payments on call", "payments@example.com"}, {"Stripe support", "https://support.stripe.com"}},
		Links: []Link{
			{"Vendor's status page", "https://status.stripe.com"}, {"Vendor's documentation", "https://docs.stripe.com"}, {"OpenAPI document", ""},
		},
	}
}

func sampleRequirementsForm() RequirementsForm {
	return RequirementsForm{
		Page: frame("Requirements of Stripe live"), Head: sampleHead(), Version: 18, Owner: "Payments team", Purpose: "Charges cards at checkout.",
		DataClass: "personal", Criticality: "critical", Availability: "99.9", P95: "800ms", VolumeCalls: "2400", VolumePer: "1m",
		DataClasses: options("public", "internal", "confidential", "personal"), Criticalities: options("low", "medium", "high", "critical"),
		Runbook: "# When charges fail\n\n1. Look at the status page.", Contacts: "Payments on call: payments@example.com", StatusURL: "https://status.stripe.com",
	}
}

func requirementStates() []ui.State {
	const page, form = "Connection page, requirements", "Requirements form"
	empty, reader, long := sampleRequirements(), sampleRequirements(), sampleRequirements()
	empty.Runbook, empty.Notes, empty.Contacts = "", "", nil
	for i := range empty.Requirements {
		empty.Requirements[i].Value = ""
	}
	empty.Links = []Link{{Label: "Vendor's status page"}, {Label: "Vendor's documentation"}, {Label: "OpenAPI document"}}
	reader.Head.CanConfigure, reader.Head.CanOperate, reader.Runbook = false, false, ""
	long.Head, long.Runbook = longHead(), "# "+longText+"\n\n`"+strings.Repeat("x", 300)+"`\n"
	long.Contacts = append(long.Contacts, Contact{longName, longText})
	blank, wrong := sampleRequirementsForm(), sampleRequirementsForm()
	blank = RequirementsForm{Page: blank.Page, Head: blank.Head, Version: 1, DataClasses: blank.DataClasses, Criticalities: blank.Criticalities}
	wrong.Errors = Errors{
		"requirements.slo.availability":    "Write a number, such as 99.9.",
		"documentation.contacts[1].reach":  "Say how to reach Ada: an address, a channel, a number.",
		"documentation.status_url":         "This is not a web address. It looks like https://status.example.com.",
		"requirements.expected_volume.per": "Say in which time, such as 1m.",
	}
	return []ui.State{
		whole(page, "everything", Requirements(sampleRequirements())), whole(page, "empty", Requirements(empty)), whole(page, "read-only", Requirements(reader)),
		whole(page, "long text", Requirements(long)),
		whole(form, "filled in", EditRequirements(sampleRequirementsForm())), whole(form, "empty", EditRequirements(blank)), whole(form, "errors", EditRequirements(wrong)),
	}
}
