package connections

import (
	"slices"
	"time"

	"switchgear/web/templates/alerts"
	"switchgear/web/templates/health"
	"switchgear/web/templates/ui"
)

func sampleDetail() DetailView {
	return DetailView{
		Page: frame("Stripe live", "connections", "calls"), Now: now(), Head: sampleHead(), ID: "con_01j9zk4q7t8w2m5x6c3v000001", Provider: "Stripe", Kind: "rest",
		Environment: "production", BaseURL: "https://api.stripe.com", Auth: "Bearer token", LogBodies: true, LastKnownGood: 17,
		CreatedAt: ago(90 * day), UpdatedAt: ago(5 * time.Hour), ProxyURL: "https://switchgear.example.com/proxy/stripe/",
		Example: "curl -H \"Authorization: Bearer $API_KEY\" \\\n  https://switchgear.example.com/proxy/stripe/v1/balance",
		Calls:   911, Failed: 37, Points: course(80), FailedPoints: course(4), LastSuccess: ago(3 * time.Second),
		LastFailure: ago(8 * time.Minute), LastError: "Timed out", P95: 412 * time.Millisecond, Latency: course(200),
		Policy: []Fact{
			{"Timeout", "10 s", "set here"}, {"Attempts", "3", "default"}, {"Rate limit", "90 per 1 s", "from the provider"}, {"At once", "100", "default"},
		},
		Credential: Credential{Account: "default", Auth: "Bearer token", State: "active", Fields: []string{"token"}, UpdatedAt: ago(12 * day), LastUsedAt: ago(3 * time.Second), LastKey: KeyUse{"key_1", "billing-worker", ago(3 * time.Second)}},
		Course:     sampleCourse(15),
		Health:     HealthStatus{State: health.StateDegraded, Why: "37 of 911 calls in the last 5 minutes failed. The last one, at 09:18:53 UTC: Timed out."},
	}
}

// sampleCourse has a change in the middle, and calls that fail after it.
func sampleCourse(points int) Course {
	out := Course{Slug: "stripe", Range: "15m", Operation: "createCharge", Operations: []string{"(other)", "createCharge", "refund"}}
	for i := range points {
		p := CoursePoint{At: ago(time.Duration(points-i) * time.Minute), Answered: int64(60 + i*7%5), Rejected: int64(i % 3), P50: 96 * time.Millisecond, P95: 412 * time.Millisecond, P99: 1800 * time.Millisecond}
		switch {
		case i == 3: // nothing was called
			p = CoursePoint{At: p.At, Unknown: true}
		case i == points/2:
			p.Notes = []string{"v18 (edit) by ops@example.com", "breaker of createCharge Closed → Open"}
		case i > points/2:
			p.Failed, p.Held, p.P95 = 31, 12, 8100*time.Millisecond
			p.Waits, p.Waited, p.Limited, p.Full, p.Stopped, p.Throttled = 14, 340*time.Millisecond, 2, 1, 9, 3
			p.Open, p.HalfOpen = 0.62, 0.0004
		}
		out.Points = append(out.Points, p)
	}
	return out
}

func detailStates() []ui.State {
	const group = "Connection page"
	quiet := sampleDetail()
	quiet.Calls, quiet.Failed, quiet.Points, quiet.FailedPoints, quiet.LastSuccess, quiet.LastKnownGood, quiet.LogBodies = 0, 0, nil, nil, time.Time{}, 0, false
	quiet.Health = HealthStatus{State: health.StateIdle, Why: "No call in the last 15 minutes. Nothing is known about it."}
	quiet.Course = Course{Slug: "stripe", Range: "1h"}
	quiet.LastFailure, quiet.LastError, quiet.P95, quiet.Latency = time.Time{}, "", 0, nil
	paused := sampleDetail()
	paused.Head.State, paused.PausedBy, paused.PausedWhy = "paused", "ada@example.com", "maintenance of the vendor"
	reader := paused
	reader.Head.CanConfigure, reader.Head.CanOperate, reader.Head.CanMakeKeys, reader.Credential.State = false, false, false, "needs_reauth"
	operator := sampleDetail()
	operator.Head.CanConfigure = false
	missing := quiet
	missing.Credential = Credential{Account: "default", Auth: "Bearer token", State: "missing"}
	fresh := missing
	fresh.Health = HealthStatus{State: health.StateNotSetUp, Why: "It is not set up yet. Account default: The connection has no credential yet. Enter one on its accounts page."}
	revoked, corrupt, odd := sampleDetail(), sampleDetail(), sampleDetail()
	revoked.Credential.State, corrupt.Credential.State, odd.Credential.State = "revoked", "corrupt", "of-a-later-version"
	moved := sampleDetail()
	moved.Credential.State, moved.Credential.EnteredFor, moved.Credential.GoesTo = stateOtherOrigin, "https://api.stripe.com", "https://eu.api.stripe.com"
	failing := sampleDetail()
	failing.Failed, failing.Refused = 600, 4
	mute := alerts.Mute{ID: "amu_1", Slug: "stripe", Reason: "their maintenance", By: "ada@example.com", Since: ago(time.Minute), Until: now().Add(time.Hour)}
	alerting := failing
	alerting.Alerts = []alerts.Row{
		{ID: "alr_1", RuleID: "arl_1", Rule: "Breaker opened", Severity: alerts.SeverityCritical, Status: alerts.StatusFiring, Slug: "stripe", Connection: "Stripe live", Operation: "createCharge", Why: "38 of 60 calls failed in 60 s.", OpenedAt: ago(14 * time.Minute), FiredAt: ago(14 * time.Minute), Lasted: 14 * time.Minute},
		{ID: "alr_2", RuleID: "arl_2", Rule: "Error budget", Severity: alerts.SeverityWarning, Status: alerts.StatusFiring, Slug: "stripe", Connection: "Stripe live", Why: "7 % of 1,200 calls failed in 1 h.", OpenedAt: ago(2 * time.Hour), FiredAt: ago(2 * time.Hour), Lasted: 2 * time.Hour, Muted: &mute},
	}
	long := sampleDetail()
	long.Head, long.BaseURL, long.Provider = longHead(), "https://"+longHost()+"/v1", longName
	long.ProxyURL, long.Example = "https://"+longHost()+"/proxy/"+longSlug()+"/", "curl https://"+longHost()+"/proxy/"+longSlug()+"/v1/balance"
	long.Policy = append(long.Policy, Fact{"Cache", longText, longText})
	return []ui.State{
		whole(group, "in use", Detail(sampleDetail())),
		whole(group, "no traffic yet", Detail(quiet)),
		whole(group, "most calls fail", Detail(failing)),
		whole(group, "alerts fire", Detail(alerting)),
		whole(group, "paused", Detail(paused)),
		whole(group, "read-only, paused", Detail(reader)),
		whole(group, "operator", Detail(operator)),
		whole(group, "credential missing", Detail(missing)),
		whole(group, "not set up", Detail(fresh)),
		whole(group, "credential revoked", Detail(revoked)),
		whole(group, "credential unreadable", Detail(corrupt)),
		whole(group, "credential in an unknown state", Detail(odd)),
		whole(group, "credential for another address", Detail(moved)),
		whole(group, "long text", Detail(long)),
		{Group: group, Name: "the part that refreshes", View: Overview(sampleDetail())},
		{Group: group, Name: "traffic, the part that refreshes", View: Traffic(sampleCourse(15))},
		{Group: group, Name: "traffic, one point", View: Traffic(sampleCourse(1))},
	}
}

func accountStates() []ui.State {
	const group = "Connection page, accounts"
	v := AccountsView{
		Page: frame("Stripe live", "connections"), Now: now(), Head: sampleHead(),
		Rows: []Credential{
			{Account: "default", Auth: "Bearer token", State: "active", Fields: []string{"token"}, UpdatedAt: ago(12 * day), LastUsedAt: ago(3 * time.Second), ExpiresOn: now().Add(9 * day), ExpiresSetBy: "ada@example.com", Reveal: "/connections/stripe/accounts/default/reveal", LastKey: KeyUse{"key_1", "billing-worker", ago(3 * time.Second)}, Rotatable: true},
			{Account: "acme", Auth: "Basic", State: "needs_reauth", Rotatable: true, Fields: []string{"password", "username"}, UpdatedAt: ago(40 * day)},
		},
		Form: AccountForm{AuthType: "bearer", AuthTypes: authTypes(), Auth: []AuthField{tokenField()}, Expiry: &Expiry{}},
		History: CredentialHistory{Total: 4, Number: 1, Limit: 50, Rows: []CredentialEvent{
			{ID: "cev_3", Account: "acme", Kind: "needs_reauth", Code: "invalid_grant", Detail: "The service no longer accepts the refresh token: it was revoked, used or has expired.", Actor: "Switchgear", At: ago(time.Hour)},
			{ID: "cev_2", Account: "acme", Kind: "renewed", Actor: "Switchgear", At: ago(3 * time.Hour)},
			{ID: "cev_4", Account: "default", Kind: "expiry_set", Detail: "The secret expires on 23 Mar 2026.", Actor: "ada@example.com", At: ago(11 * day)},
			{ID: "cev_1", Account: "default", Kind: "stored", Actor: "ada@example.com", At: ago(12 * day)},
		}},
	}
	replace, wrong, reader, empty, long := v, v, v, v, v
	stored := tokenField()
	stored.Set = true
	replace.Form.Replace, replace.Form.Account, replace.Form.Auth = true, "acme", []AuthField{stored}
	replace.Form.Expiry = &Expiry{Day: "2026-09-30"}
	wrong.Form.Account = "Acme GmbH"
	wrong.Form.Errors = Errors{"account": "Use lower-case letters, digits and hyphens.", "auth.fields.token": "Enter the token.", "auth.expires_on": "This day has passed."}
	wrong.Form.Expiry = &Expiry{Day: "2025-09-30"}
	reader.Head.CanConfigure, reader.Head.CanOperate = false, false
	empty.Rows, empty.Head.Accounts = nil, 0
	long.Head = longHead()
	long.Rows = append(long.Rows[:1:1], Credential{Account: longSlug(), Auth: longName, State: "corrupt", Fields: []string{longSlug(), "a", "b"}, ExpiresOn: ago(day), ExpiresSetBy: longName, LastUsedAt: ago(time.Hour), LastKey: KeyUse{"key_2", longName, ago(day)}})
	tokens := v
	tokens.Rows = nil
	for _, row := range []struct {
		account, state string
		token          Token
	}{
		{"default", "active", Token{Connected: true, Renewable: true, ExpiresAt: now().Add(50 * time.Minute)}},
		{"acme", "needs_reauth", Token{Connected: true, Renewable: true, ExpiresAt: now().Add(-time.Hour)}},
		{"globex", "active", Token{}},
		{"initech", "active", Token{Connected: true, ExpiresAt: now().Add(20 * time.Hour)}},
		{"umbrella", "active", Token{Connected: true, Renewable: true, Problem: "The server does not accept the client. Check client ID and client secret."}},
	} {
		row.token.Connect = "/connections/stripe/accounts/" + row.account + "/connect"
		tokens.Rows = append(tokens.Rows, Credential{
			Account: row.account, Auth: "OAuth 2, consent in the browser", State: row.state, UpdatedAt: now().Add(-time.Hour), Token: &row.token,
		})
	}
	rotating := replace
	rotating.Form.Rotating = true
	rotating.Rows = slices.Clone(rotating.Rows)
	rotating.Rows[0].Rotation, rotating.Rows[1].Rotation = &Rotation{State: "switched", KeptUntil: now().Add(7 * day)}, &Rotation{State: "staged"}
	rotating.Rows = append(rotating.Rows, Credential{
		Account: "globex", Auth: "Basic", State: "active", Rotatable: true, Rotation: &Rotation{State: "switched"}, UpdatedAt: ago(day),
	})
	imported, refused, wordy := tokens, tokens, tokens
	tokens.Import, imported.Import = &ImportForm{Account: "default"}, &ImportForm{Account: "default", Open: true}
	refused.Import = &ImportForm{
		Account: "acme", Ends: "2026-03-01T10:00", Scopes: "read write", Open: true,
		Errors: Errors{"token.access": "This is no token: it has a space.", "token.ends": "The access token has ended, and there is no refresh token to renew it with."},
	}
	wordy.Import = &ImportForm{Account: longSlug(), Ends: "tomorrow", Scopes: longText, Type: longName, Open: true, Errors: Errors{"": longText, "token.scopes": longText}}
	moved := v
	moved.Rows = []Credential{
		{Account: "default", Auth: "Bearer token", State: "active", Fields: []string{"token"}, UpdatedAt: ago(time.Minute)},
		{Account: "acme", Auth: "Basic", State: stateOtherOrigin, Fields: []string{"password", "username"}, UpdatedAt: ago(40 * day), EnteredFor: "https://api.stripe.com", GoesTo: "https://eu.api.stripe.com"},
	}
	shared := tokens
	shared.Form = AccountForm{AuthType: "oauth2_authorization_code", AuthTypes: authTypes(), Shares: true, Auth: []AuthField{
		{Name: "client_id", Label: "Client ID", Type: "text", Shared: true}, {Name: "client_secret", Label: "Client secret", Type: "secret", Secret: true, Shared: true},
	}}
	client := tokens
	client.Form = AccountForm{Replace: true, Consented: true, Account: "default", AuthType: "oauth2_authorization_code", AuthTypes: authTypes(), Auth: clientFields()}
	return []ui.State{
		whole(group, "another address", Accounts(moved)), whole(group, "client of the default account", Accounts(shared)), whole(group, "edit client", Accounts(client)),
		whole(group, "two", Accounts(v)), whole(group, "replace", Accounts(replace)), whole(group, "being rotated", Accounts(rotating)), whole(group, "errors", Accounts(wrong)),
		whole(group, "read-only", Accounts(reader)), whole(group, "empty", Accounts(empty)), whole(group, "long text", Accounts(long)),
		whole(group, "tokens", Accounts(tokens)), whole(group, "import a token", Accounts(imported)),
		whole(group, "import with errors", Accounts(refused)), whole(group, "import with long text", Accounts(wordy)),
	}
}

func sampleVersions() VersionsView {
	return VersionsView{
		Page: frame("Stripe live"), Now: now(), Head: sampleHead(),
		Rows: []Version{
			{Number: 18, Active: true, Author: "ada@example.com", Reason: "The old host goes away.", Cause: "edit", CreatedAt: ago(5 * time.Hour)},
			{Number: 17, LastKnownGood: true, Author: "billing-deploy", Cause: "rollback", CopiedFrom: 15, Reason: "Too many timeouts.", CreatedAt: ago(2 * day)},
			{Number: 16, Author: "grace@example.com", Cause: "credential", CreatedAt: ago(3 * day)},
			{Number: 15, Author: "grace@example.com", Cause: "rotation_rollback", Reason: "The vendor refuses it.", CreatedAt: ago(4 * day)},
			{Number: 14, Author: "grace@example.com", Cause: "rotation_switch", Reason: "Yearly.", CreatedAt: ago(4 * day)},
			{Number: 4, Author: "grace@example.com", Cause: "resume", CreatedAt: ago(30 * day)},
			{Number: 3, Author: "grace@example.com", Cause: "pause", CreatedAt: ago(31 * day)},
			{Number: 2, Author: "system", Cause: "rollback", CreatedAt: ago(80 * day)},
			{Number: 1, Author: "ada@example.com", Cause: "create", CreatedAt: ago(90 * day)},
		},
	}
}

func sampleDiff() []Change {
	return []Change{
		{Field: "auth.fields.token", Before: "set", After: "changed", Secret: true},
		{Field: "base_url", Before: "https://api-old.stripe.com", After: "https://api.stripe.com"},
		{Field: "policy.retry.max_attempts", After: "2"},
		{Field: "policy.rate_limits", Before: `[{"requests":90,"per":"1s"}]`},
		{Field: "auth.fields.headers", After: "set", Secret: true},
	}
}

func versionStates() []ui.State {
	const group = "Connection page, versions"
	first := sampleVersions()
	first.Rows = first.Rows[6:]
	first.Rows[0].Active = true
	compared, same, problem, reader, empty, long := sampleVersions(), sampleVersions(), sampleVersions(), sampleVersions(), sampleVersions(), sampleVersions()
	compared.A, compared.B, compared.Diff = 17, 18, sampleDiff()
	same.A, same.B = 17, 17
	problem.A, problem.B, problem.Problem = 99, 18, "There is no version 99."
	reader.Head.CanConfigure, reader.Head.CanOperate = false, false
	empty.Rows = nil
	long.Head = longHead()
	long.Rows = []Version{{Number: 12345, Active: true, LastKnownGood: true, Author: longName, Reason: longText, Cause: "of-a-later-version"}, {Number: 2, Cause: "duplicate"}}
	long.A, long.B, long.Diff = 2, 12345, []Change{{Field: "policy." + longSlug(), Before: longText, After: longText}}
	return []ui.State{
		whole(group, "many", Versions(sampleVersions())), whole(group, "one", Versions(first)), whole(group, "compared", Versions(compared)),
		whole(group, "compared, no difference", Versions(same)), whole(group, "error in the comparison", Versions(problem)),
		whole(group, "read-only", Versions(reader)), whole(group, "empty", Versions(empty)), whole(group, "long text", Versions(long)),
	}
}

func rollbackStates() []ui.State {
	const group = "Rollback page"
	refused := RollbackView{
		Page: frame("Roll back to v17"), Now: now(), Head: sampleHead(), Version: sampleVersions().Rows[1], Changes: sampleDiff(),
		Problem: "The credential of that version is no longer stored. Edit the connection instead and enter the credential.",
	}
	v := RollbackView{Page: frame("Roll back to v17"), Now: now(), Head: sampleHead(), Version: sampleVersions().Rows[1], Changes: sampleDiff()}
	same, wrong, long, moves, back := v, v, v, v, v
	offered := v
	offered.CanTry = true
	tried := offered
	tried.WhatIf = WhatIf{Slug: "stripe", Result: whatIfResult()}
	tried.WhatIf.Result.Version, tried.WhatIf.Result.Summary = 17, "The settings of v17 would have opened once for 10 s, saved 6 failing calls. Those in force would never have opened."
	moves.Move = Move{From: "https://api.stripe.com", To: "https://old.stripe.com", Refused: []string{"default"}}
	back.Move = Move{From: "https://old.stripe.com", To: "https://api.stripe.com", Back: []string{"default", "acme"}}
	same.Changes = nil
	gone := same
	gone.CredentialGone = true
	wrong.Errors = Errors{"": "v17 is not valid any more.", "base_url": "The host is not allowed.", "reason": "Say why, for whoever asks later."}
	long.Head, long.Version.Reason, long.Reason = longHead(), longText, longText
	return []ui.State{
		whole(group, "preview", Rollback(v)), whole(group, "no difference", Rollback(same)), whole(group, "its credential was destroyed", Rollback(gone)),
		whole(group, "its policy can be tried", Rollback(offered)), whole(group, "its policy was tried", Rollback(tried)),
		whole(group, "refused", Rollback(refused)),
		whole(group, "errors", Rollback(wrong)), whole(group, "long text", Rollback(long)),
		whole(group, "another address", Rollback(moves)), whole(group, "back at the old address", Rollback(back)),
	}
}
