package app

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/chromedp/chromedp"

	"switchgear/db"
	"switchgear/internal/connections"
	"switchgear/internal/telemetry"
)

// The main job in a browser: a connection is made, tested, called, watched, paused, copied, brought back and
// deleted. Every page on the way is looked at in all widths and themes.
func connectionsJourney(j *journey) {
	up := newUpstream(j.T)
	p := start(j.T, map[string]string{"EGRESS_ALLOW": up.egressRule(j.T)})
	b := j.signedIn(p, p.owner(j.T)).inspector()
	key, err := Administer(j.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:orders"}})
	if err != nil {
		j.Fatal(err)
	}
	app := p.browser(j.T)
	call := func(path string, status int) {
		j.Helper()
		if got := app.get("/proxy/orders"+path, "Authorization", "Bearer "+key.Key); got.status != status {
			j.Errorf("call of %s: %d, want %d", path, got.status, status)
		}
	}

	b.open("/connections")
	b.sees("No connections yet.")
	b.follow("main a", "New connection")
	b.inspect("connection-choose")
	b.fill("input[name=q]", "generic")
	b.navigate("search", chromedp.KeyEvent("\r"), 200)
	b.follow("main a", "Generic REST")
	b.makeOrders(up)
	b.inspect("connection")
	b.follow("main button", "Test credential")
	b.sees("The credential was accepted.")

	b.watchCalls(call)
	b.pauseAndResume(call)
	b.copyAndGoBack(p)

	// Deleting says what depends on the connection, and asks for its slug.
	_, err = p.core.connections.PutAccount(j.Context(), admin(), "orders", "acme", connections.Auth{Fields: map[string]string{"token": "t"}}, "")
	if err != nil {
		j.Fatal(err)
	}
	b.open("/connections/orders/accounts")
	b.sees("acme")
	b.inspect("connection-accounts")
	b.click("main a", "Delete")
	b.sees("1 API key that names it: shop")
	b.sees("1 account with a credential of its own: acme")
	b.fill("dialog[open] textarea", "replaced")
	b.fill("dialog[open] input[name=confirm]", "order")
	b.click("dialog[open] button", "Delete connection")
	b.wait("the browser to refuse another slug", `document.querySelector("dialog[open] input:invalid")`)
	b.fill("dialog[open] input[name=confirm]", "orders")
	b.follow("dialog[open] button", "Delete connection")
	b.at("/connections")
	call("/v1/gone", http.StatusNotFound)
}

// makeOrders fills in the form of a new connection, with one mistake after the other.
func (i inspector) makeOrders(up *upstream) {
	i.t.Helper()
	const create = "Create connection"
	i.fill("#f-name", "Orders")
	i.fill("#f-slug", "Not A Slug")
	i.fill("#f-base_url", "ftp://example.com")
	i.chooseTypes()
	secret := func() { i.t.Helper(); i.fill(`[name="auth.token"]`, upstreamSecret) }
	mistake := func(field, message string) {
		i.t.Helper()
		secret()
		i.followAs("main button", create, 400)
		i.wait("the message beside "+field, `document.querySelector(`+quote(`[name="`+field+`"]`)+`).closest(".field").innerText.includes(`+quote(message)+`)`)
		i.misses(upstreamSecret)
		if got := eval[string](i.tab, `document.querySelector("#f-name").value`); got != "Orders" {
			i.fatal("the form forgot the name: %q", got)
		}
	}
	mistake("slug", "lower-case letters")
	i.inspect("connection-new-mistake")
	i.fill("#f-slug", "orders")
	mistake("base_url", "https://")
	i.fill("#f-base_url", up.URL)
	i.fill(`[name="policy.timeout"]`, "soon")
	mistake("policy.timeout", "10s")
	i.fill(`[name="policy.timeout"]`, "30s")
	secret()
	i.follow("main button", create)
	i.at("/connections/orders")
	i.misses(upstreamSecret)
}

// chooseTypes changes the auth type of the open form: the fields follow the choice at once.
func (i inspector) chooseTypes() {
	i.t.Helper()
	choose := func(kind, field string) {
		i.t.Helper()
		eval[chromedp.Void](i.tab, `(() => {
	const type = document.querySelector("#f-auth_type");
	type.focus();
	type.value = `+quote(kind)+`;
	type.dispatchEvent(new Event("change", {bubbles: true}));
})()`)
		i.wait("the fields of "+kind, `document.querySelector(`+quote(`[name="auth.`+field+`"]`)+`) && /^The fields of .+ are shown/.test(document.querySelector("#auth-part [role=status]").textContent)`)
		if got := eval[string](i.tab, `document.activeElement.id`); got != "f-auth_type" {
			i.fatal("the focus is on %q", got)
		}
	}
	choose("oauth2_client_credentials", "client_secret")
	i.wait("no button for that", `!document.querySelector("button[value=auth]")`)
	i.fill(`[name="auth.client_id"]`, "app")
	i.fill(`[name="auth.client_secret"]`, "kept")
	choose("oauth2_authorization_code", "authorize_url")
	for field, want := range map[string]string{"client_id": "app", "client_secret": "kept"} {
		if got := eval[string](i.tab, `document.querySelector(`+quote(`[name="auth.`+field+`"]`)+`).value`); got != want {
			i.fatal("%s is %q, want %q", field, got, want)
		}
	}
	if got := eval[string](i.tab, `document.querySelector("#f-name").value`); got != "Orders" {
		i.fatal("the form forgot the name: %q", got)
	}
	// An answer that is not shown leaves nothing behind: what is cleared after it stays so.
	eval[chromedp.Void](i.tab, `(() => {
	const target = document.querySelector("#auth-part");
	const xhr = {getResponseHeader: () => null};
	const requestConfig = {elt: target, path: "", formData: new FormData(target.closest("form"))};
	target.dispatchEvent(new CustomEvent("htmx:beforeSwap", {bubbles: true, detail: {shouldSwap: false, target, xhr, requestConfig}}));
	document.querySelector('[name="auth.client_secret"]').value = "";
})()`)
	choose("oauth2_client_credentials", "token_url")
	i.wait("the fields of the other grant to go", `!document.querySelector('[name="auth.authorize_url"]')`)
	if got := eval[string](i.tab, `document.querySelector('[name="auth.client_secret"]').value`); got != "" {
		i.fatal("a cleared secret is there again: %q", got)
	}
	// What is typed, or cleared, while the fields are under way stays as it is.
	eval[chromedp.Void](i.tab, `(() => {
	const type = document.querySelector("#f-auth_type");
	document.querySelector('[name="auth.scopes"]').value = "read";
	type.value = "oauth2_authorization_code";
	type.dispatchEvent(new Event("change", {bubbles: true}));
	document.querySelector('[name="auth.client_id"]').value = "typed";
	document.querySelector('[name="auth.client_secret"]').value = "secret";
	document.querySelector('[name="auth.scopes"]').value = "";
})()`)
	i.wait("the fields of the other grant", `document.querySelector('[name="auth.authorize_url"]')`)
	for field, want := range map[string]string{"client_id": "typed", "client_secret": "secret", "scopes": ""} {
		if got := eval[string](i.tab, `document.querySelector(`+quote(`[name="auth.`+field+`"]`)+`).value`); got != want {
			i.fatal("%s is %q, want %q", field, got, want)
		}
	}
	choose("bearer", "token")
	i.wait("the other fields to go", `!document.querySelector('[name="auth.client_id"]')`)
}

// watchCalls sees calls appear on the open page, and finds them with the filters.
func (i inspector) watchCalls(call func(path string, status int)) {
	i.t.Helper()
	i.open("/calls")
	i.listens()
	eval[chromedp.Void](i.tab, "void (window.sameDocument = true)")
	call("/v1/first", http.StatusOK)
	i.sees("/v1/first")
	call("/v1/second", http.StatusOK)
	i.sees("/v1/second")
	if !eval[bool](i.tab, "window.sameDocument === true") {
		i.fatal("the page was loaded anew")
	}
	i.inspect("calls")
	gone := func(path string) {
		i.t.Helper()
		i.wait(path+" to go", "!document.querySelector('main table, main .empty').innerText.includes("+quote(path)+")")
	}
	i.fill("input[name=path]", "v1/sec")
	gone("/v1/first")
	i.sees("/v1/second")
	i.fill("input[name=path]", "nothing-like-it")
	i.sees("No call matches.")
	i.open("/calls?class=5")
	i.sees("No call matches.")
	i.open("/connections/orders/calls?class=2")
	i.sees("/v1/first")
	i.inspect("connection-calls")
	i.follow("main a", "/v1/second")
	i.sees("Success")
	i.inspect("call")

	// The overview counts them, and goes on by itself.
	i.open("/")
	i.sees("Healthy")
	i.listens()
	calls := `document.querySelector("#row-orders td[data-label=Calls]").innerText.trim()`
	before := eval[string](i.tab, calls)
	call("/v1/third", http.StatusOK)
	i.wait("the next call to be counted", calls+" !== "+quote(before))
	i.inspect("overview-traffic")
	i.click("#overview-impact label", "Needs attention 0")
	i.sees("Nothing needs attention.")
}

func (i inspector) pauseAndResume(call func(path string, status int)) {
	i.t.Helper()
	for _, step := range []struct {
		button, sees string
		status       int
	}{
		{"Pause", "Calls through it are refused", http.StatusConflict},
		{"Resume", "The connection is active again.", http.StatusOK},
	} {
		i.open("/connections/orders")
		i.click("main header a", step.button)
		i.fill("dialog[open] textarea", "maintenance")
		i.follow("dialog[open] button", step.button)
		i.sees(step.sees)
		call("/v1/"+step.button, step.status)
	}
}

// copyAndGoBack duplicates the connection, compares two versions, and brings one back.
func (i inspector) copyAndGoBack(p *process) {
	i.t.Helper()
	i.open("/connections/orders")
	i.follow("main a", "Duplicate")
	i.inspect("connection-duplicate")
	i.fill("#f-slug", "orders")
	i.followAs("main button", "Make the copy", 409)
	i.sees("Another connection has this slug.")
	i.fill("#f-slug", "orders-2")
	i.follow("main button", "Make the copy")
	i.at("/connections/orders-2")

	i.follow("main a", "Edit")
	i.inspect("connection-edit")
	i.fill("#f-name", "Orders, second")
	i.fill(`[name="auth.token"]`, "another-token-canary")
	i.fill("#f-reason", "a new token")
	i.follow("main button", "Save and activate")
	i.open("/connections/orders-2/versions?a=1&b=2")
	i.sees("Orders, second")
	i.sees("changed")
	i.misses("another-token-canary")
	i.inspect("connection-versions")
	i.follow("main a", "Roll back")
	i.sees("Checked: the address, the policy and the credential can be used.")
	i.inspect("connection-rollback")
	i.fill("#f-reason", "the new token is wrong")
	i.follow("main button", "Roll back to v1")
	i.sees("rolled back to v1")
	if c, ok := p.core.connections.Peek("orders-2"); !ok || c.Version != 3 {
		i.fatal("the gateway has version %d", c.Version)
	}
}

// A list of 10,000 connections is searched, filtered and paged through.
func manyConnectionsJourney(j *journey) {
	const many = 10_000
	p := start(j.T, nil)
	owner := p.owner(j.T)
	j.crowd(p, many)
	b := j.signedIn(p, owner)
	b.open("/connections")
	b.sees("1–50 of 10,000 connections")
	b.follow(".pagination a", "200")
	b.sees("9,951–10,000 of 10,000 connections")
	b.open("/connections")
	b.fill("input[name=q]", "number 07777")
	b.sees("1 connection")
	b.wait("the one that was searched", `document.querySelectorAll("main tbody tr").length === 1`)
	b.fill("input[name=q]", "nothing is called so")
	b.sees("No connection matches.")
	b.open("/connections?sort=-name&state=paused")
	b.sees("of 99 connections")
	b.sees("Connection number 09900")
	eval[chromedp.Void](b, `void (() => { const e = document.querySelector("select[name=environment]"); e.value = "staging"; e.dispatchEvent(new Event("change", {bubbles: true})); })()`)
	b.sees("No connection matches.")
	b.open("/")
	b.sees("of 10,000 connections")
	b.wait("nothing to need attention", `document.querySelector("#overview-impact").innerText.includes("Needs attention 0")`)
	b.click("#overview-impact label", "Not set up 9,900")
	b.sees("1–50 of 9,900 connections")
	b.sees("Enter a credential")
	b.follow("#overview-impact .pagination a", "Next page")
	b.sees("51–100 of 9,900 connections")
	if menu := eval[string](b, `document.querySelector("nav a[href='/alerts']").innerText.trim()`); menu != "Alerts" {
		j.Errorf("nothing broke, and the menu says %q", menu)
	}
}

// crowd makes n connections, quickly and without credentials: the first in the usual way, the others like it.
func (j *journey) crowd(p *process, n int) {
	j.Helper()
	_, err := p.core.connections.Create(j.Context(), admin(), connections.Draft{
		Name: "Connection number 00000", Slug: "number-00000", Kind: connections.KindWebhook, Auth: connections.Auth{Type: "none"},
	}, "")
	if err != nil {
		j.Fatal(err)
	}
	err = p.core.db.InTx(j.Context(), func(tx *db.Tx) error {
		for _, statement := range []string{
			`INSERT INTO connections (id, slug, version, created_at, updated_at, name_key, kind, provider, environment, state, search_key)
				SELECT 'con_' || i, 'number-' || i, 1, created_at, updated_at, 'connection number ' || i, kind, provider, environment,
					CASE WHEN i LIKE '%00' THEN 'paused' ELSE 'active' END, 'connection number ' || i
				FROM connections JOIN crowd ON slug = 'number-00000'`,
			`INSERT INTO connection_versions (connection_id, version, definition, cause, reason, author_kind, author_id, author_name, created_at)
				SELECT 'con_' || i, 1, replace(replace(definition, '00000', i), '"active"', CASE WHEN i LIKE '%00' THEN '"paused"' ELSE '"active"' END),
					cause, reason, author_kind, author_id, author_name, v.created_at
				FROM connection_versions v JOIN connections c ON c.id = v.connection_id JOIN crowd ON c.slug = 'number-00000'`,
		} {
			_, err := tx.Exec(j.Context(), `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < `+strconv.Itoa(n)+`),
				crowd(i) AS (SELECT substr('00000' || n, -5) FROM numbers) `+statement)
			if err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err == nil {
		err = p.core.connections.Refresh(j.Context())
	}
	if err != nil {
		j.Fatal(err)
	}
}
