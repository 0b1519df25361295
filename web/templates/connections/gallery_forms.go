package connections

import (
	"strings"
	"time"

	"switchgear/web/templates/ui"
)

func authTypes() []Option {
	return []Option{
		{Value: "none", Label: "None"},
		{Value: "bearer", Label: "Bearer token"},
		{Value: "api_key", Label: "API key"},
		{Value: "basic", Label: "Basic"},
		{Value: "custom_headers", Label: "Custom headers"},
	}
}

func tokenField() AuthField {
	return AuthField{Name: "token", Label: "Token", Type: "secret", Required: true, Secret: true, Help: "Begins with sk_live_."}
}

// everyField has one field of every type.
func everyField() []AuthField {
	return []AuthField{
		tokenField(),
		{Name: "in", Label: "Sent in", Type: "select", Required: true, Value: "header", Options: options("header", "query", "cookie")},
		{Name: "name", Label: "Name", Type: "text", Required: true, Value: "X-API-Key"},
		{Name: "prefix", Label: "Prefix", Type: "text"},
		{Name: "username", Label: "User name", Type: "text", Secret: true, Required: true, Set: true},
		{Name: "headers", Label: "Headers", Type: "headers", Secret: true, Set: true, Help: "One a line."},
		{Name: "private_key", Label: "Private key", Type: "textarea", Secret: true, Required: true},
	}
}

// clientFields are those of an OAuth client, some of them folded away.
func clientFields() []AuthField {
	return []AuthField{
		{Name: "token_url", Label: "Token URL", Type: "text", Required: true},
		{Name: "client_id", Label: "Client ID", Type: "text", Required: true},
		{Name: "client_secret", Label: "Client secret", Type: "secret", Secret: true},
		{Name: "token_params", Label: "Extra token parameters", Type: "text", Rare: true},
		{Name: "private_key", Label: "Private key", Type: "pem", Secret: true, Rare: true},
		{Name: "algorithm", Label: "Signature algorithm", Type: "select", Value: "RS256", Options: options("RS256", "ES256"), Rare: true},
	}
}

func newForm() FormView {
	return FormView{
		Page: frame("New connection"), Mode: ModeNew, Provider: sampleProvider(), Environment: "production", Kind: "rest",
		Environments: environments(), Kinds: kinds(), BaseURL: "https://api.stripe.com", AuthType: "bearer", AuthTypes: authTypes(),
		Auth: []AuthField{tokenField()}, Expiry: &Expiry{},
		DefaultTimeout: "30s", DefaultAttemptTimeout: "10s", DefaultMaxAttempts: "3",
		Health: HealthForm{Now: now(), Defaults: map[string]HealthDefault{
			"health_check.enabled": {"true", "product"}, "health_check.path": {"/v1/balance", "provider"}, "health_check.method": {"GET", "product"},
			"health_check.every": {"5m", "product"}, "health_check.timeout": {"10s", "product"}, "health_check.expected_status": {"0", "product"},
		}},
	}
}

func editForm() FormView {
	v := newForm()
	stored := tokenField()
	stored.Set = true
	v.Page, v.Mode, v.From, v.Slug, v.Name, v.Version, v.Auth = frame("Edit stripe"), ModeEdit, "stripe", "stripe", "Stripe live", 18, []AuthField{stored}
	v.Timeout, v.AttemptTimeout, v.MaxAttempts, v.LogBodies = "10s", "4s", "2", true
	v.HedgeAfter, v.FallbackConnection = "200ms", "stripe-backup"
	v.Health.Path, v.Health.Every, v.Health.ExpectedStatus, v.Health.Enabled, v.Health.Checkable = "/v1/account", "1m", "204", "true", true
	v.Health.Check = HealthCheck{At: ago(2 * time.Minute), OK: true, Answer: "204 No Content", Took: 81 * time.Millisecond}
	v.Policy = "{\n  \"rate_limits\": [{\"requests\": 90, \"per\": \"1s\"}]\n}"
	return v
}

func formStates() []ui.State {
	const group = "Connection form"
	types, none, nameless := newForm(), newForm(), newForm()
	types.Auth, types.AuthType = everyField(), "api_key"
	none.Auth, none.AuthType, none.AuthTypes = nil, "none", authTypes()[:1]
	none.Provider = Provider{Slug: generic}
	nameless.BaseURL, nameless.BaseURLHint = "https://{shop}.example.com", "Put the name of your shop for {shop}."
	wrong := newForm()
	wrong.Slug, wrong.BaseURL, wrong.Policy = "Stripe!", "api.stripe.com", "{\n  \"retry\": 3,\n}"
	wrong.Errors = Errors{
		"slug": "Use lower-case letters, digits and hyphens.", "base_url": "Begin with https://.", "auth.fields.token": "Enter the token.",
		"policy": "Line 3, column 1: a key is expected, or remove the comma before.", "policy.breaker.window": "Write a duration such as 60s.",
		"policy.timeout": "Write a duration such as 10s.", "auth.type": "Choose a type.", "provider": "This provider is not in the catalogue.",
	}
	conflict := editForm()
	conflict.Reason = "Raise the limit."
	conflict.Errors = Errors{"": "Somebody else saved v19 in the meantime. Look at what changed, then edit again."}
	reasonless := editForm()
	reasonless.Errors = Errors{"reason": "Use at most 500 characters."}
	unwell := editForm()
	unwell.Health.Problem = "The health check did not succeed: 503 Service Unavailable, where 204 is expected."
	unwell.Health.Check = HealthCheck{At: ago(time.Second), Answer: "503 Service Unavailable, where 204 is expected", Took: time.Second}
	unwell.Errors = Errors{"policy.health_check.expected_status": "Write a status such as 204.", "policy.health_check.path": "It must be a path below the base URL."}
	moves := editForm()
	moves.BaseURL, moves.BoundTo = "https://eu.api.stripe.com", "https://api.stripe.com"
	moves.Move = Move{From: "https://api.stripe.com", To: "https://eu.api.stripe.com", Refused: []string{"default", "acme"}}
	duplicate := FormView{Page: frame("Duplicate stripe"), Mode: ModeDuplicate, From: "stripe", Name: "Stripe live (copy)", Slug: "stripe-copy"}
	taken := duplicate
	taken.CopiesCredentials = true
	taken.Errors = Errors{"slug": "stripe-copy is taken. Choose another slug.", "base_url": "Begin with https://."}
	long := editForm()
	long.From, long.Slug, long.Name, long.BaseURL, long.Reason = longSlug(), longSlug(), longName, "https://"+longHost(), longText
	long.Policy = "{\"rate_limits\": [" + strings.Repeat(`{"requests": 90, "per": "1s"}, `, 30) + "]}"
	consent := newForm()
	consent.AuthType, consent.Auth = "oauth2_authorization_code", clientFields()
	consent.OAuth = &OAuthForm{RedirectURI: "https://console.example.com/oauth/callback/connection-", RedirectOpen: true, CanRegister: true}
	found := consent
	found.Auth = clientFields()
	found.Auth[0].Value, found.Auth[1].Value, found.Auth[2].Set = "https://login.example.com/token", "switchgear-4711", true
	found.OAuth = &OAuthForm{
		Server: "https://login.example.com", RedirectURI: "https://console.example.com/oauth/callback/stripe", CanRegister: true, Registered: "v1.sealed",
		Found: "Filled in from https://login.example.com/.well-known/openid-configuration.", Warning: "The server does not publish: Authorization URL.",
	}
	absent := consent
	absent.OAuth = &OAuthForm{Server: "https://login.example.com", RedirectURI: "https://console.example.com/oauth/callback/stripe"}
	absent.Errors = Errors{"server": "There is no metadata of an authorization server at this address.", "auth.fields.private_key": "Private key is not in PEM form."}
	consented := editForm()
	consented.AuthType, consented.Auth = consent.AuthType, clientFields()
	consented.OAuth = &OAuthForm{RedirectURI: "https://console.example.com/oauth/callback/stripe", CanRegister: true, Consented: true}
	return []ui.State{
		whole(group, "new, OAuth client", Form(consent)),
		whole(group, "edit, OAuth client", Form(consented)),
		whole(group, "new, OAuth client filled in", Form(found)),
		whole(group, "new, OAuth server not found", Form(absent)),
		whole(group, "new", Form(newForm())),
		whole(group, "new, every type of field", Form(types)),
		whole(group, "new, no authentication", Form(none)),
		whole(group, "new, placeholders in the base URL", Form(nameless)),
		whole(group, "new, errors", Form(wrong)),
		whole(group, "edit", Form(editForm())),
		whole(group, "edit, conflict", Form(conflict)),
		whole(group, "edit, error in the reason", Form(reasonless)),
		whole(group, "edit, health check", Form(unwell)),
		whole(group, "edit, another address", Form(moves)),
		whole(group, "edit, long text", Form(long)),
		whole(group, "duplicate", Form(duplicate)),
		whole(group, "duplicate, errors", Form(taken)),
	}
}
