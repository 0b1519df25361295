package app

// Requirements are filled in and an item passes; a person attests another, an edit makes it stale.
func checklistJourney(j *journey) {
	up := newUpstream(j.T)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	owner := p.owner(j.T)
	makeOrders(j, owner, up.Server)
	b := j.signedIn(p, owner).inspector()

	b.open("/connections/orders/checklist")
	b.sees("of 12 done for v1.")
	b.sees("0 of 7 are filled in")
	b.sees("this version runs no drills")
	b.inspect("checklist-fresh")

	b.follow("#row-requirements a", "Fill in")
	b.at("/connections/orders/requirements/edit")
	b.inspect("requirements-form")
	for field, text := range map[string]string{
		"requirements.owner": "Orders team", "requirements.purpose": "Places orders.", "requirements.data_class": "personal", "requirements.criticality": "high",
		"requirements.slo.availability": "99.5", "requirements.slo.p95": "800ms", "requirements.expected_volume.calls": "60", "requirements.expected_volume.per": "1m",
		"documentation.runbook":  "# When it fails\n\n1. Look at the [status page](https://status.example.com)\n2. **Trip** the breaker\n\n<img src=x>\n\n```\nconsole call orders GET /v1/orders\n```\n",
		"documentation.contacts": "On call: ops@example.com", "documentation.docs_url": "https://docs.example.com",
	} {
		b.fill(`[name="`+field+`"]`, text)
	}
	b.fill(`[name="documentation.status_url"]`, "https://user:secret@status.example.com")
	b.followAs("main form button", "Save and activate", 400)
	b.sees("must not hold a user name")
	b.fill(`[name="documentation.status_url"]`, "https://status.example.com")
	b.follow("main form button", "Save and activate")
	b.at("/connections/orders/requirements")
	b.sees("Orders team")
	b.sees("When it fails")
	b.misses("<img")
	b.inspect("requirements-page")

	b.open("/connections/orders/checklist")
	b.sees("7 of 7: owner Orders team")
	// Operations are declared, and somebody attests that they are the right ones.
	edit := func(policy string) {
		b.open("/connections/orders/edit")
		b.fill(`[name="policy"]`, policy)
		b.follow("main form button", "Save and activate")
	}
	edit(`{"operations": [{"id": "orders", "path": "/v1/orders"}]}`)
	b.open("/connections/orders/checklist")
	b.follow("#row-api_design a", "Attest")
	b.at("/connections/orders/checklist/api_design#attest")
	b.fill(`#attest [name="reason"]`, "Compared with the vendor's reference.")
	b.inspect("checklist-item")
	b.follow("#attest button", "Attest")
	b.sees("Attested by " + ownerEmail)
	b.sees("Compared with the vendor's reference.")
	b.inspect("checklist-item-attested")

	// An edit of something else leaves it, an edit of the operations makes it stale.
	edit(`{"timeout": "20s", "operations": [{"id": "orders", "path": "/v1/orders"}]}`)
	b.open("/connections/orders/checklist/api_design")
	b.misses("another configuration")
	edit(`{"timeout": "20s", "operations": [{"id": "orders", "path": "/v2/orders"}]}`)
	b.open("/connections/orders/checklist/api_design")
	b.sees("Stale")
	b.sees("for another configuration")
	b.open("/connections/orders/checklist")
	b.inspect("checklist-stale")

	b.open("/checklist")
	b.sees("The orders")
	b.inspect("checklist-matrix")
	b.open("/connections")
	b.inspect("checklist-badge")
}
