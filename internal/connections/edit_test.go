package connections

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var d Draft
	must(t, json.Unmarshal([]byte(`{"name":" Stripe live ","slug":"stripe","kind":"rest","environment":"production",
		"BaseURL":"HTTPS://API.Example.com:443/v1/","auth":{"type":"bearer","fields":{"token":"sk_1"}},
		"policy":{"timeout":"10s","retry":{"max_attempts":3},"rate_limits":[{"requests":90,"per":"1s"}],
		"breaker":{"failure_ratio":0.5,"min_calls":20,"window":"60s","open_for":"30s","half_open_calls":3},
		"bulkhead":{"max_in_flight":25},"cache":{"ttl":"0s","stale_if_error":"10m"}}}`), &d))
	d.Auth.Fields["token"] = "sk_1"
	c, err := w.Create(t.Context(), w.user(access.RoleAdmin), d, "go live")
	must(t, err)
	if c.Version != 1 || c.Name != "Stripe live" || c.BaseURL != "https://api.example.com/v1" || c.State != StateActive ||
		c.Provider != GenericProvider || c.AuthType != "bearer" || words(c.AuthSecrets) != "token" || c.CreatedAt.IsZero() {
		t.Errorf("%+v", c)
	}
	found, err := w.Find(t.Context(), admin(), "stripe")
	if err != nil || !cmp.Equal(c, found) {
		t.Errorf("%v\n%s", err, cmp.Diff(c, found))
	}
	got, target, err := w.call("stripe", "")
	if err != nil || got != "Bearer sk_1" || target.BaseURL.String() != "https://api.example.com/v1" || target.Version != 1 ||
		target.Account != "default" || target.ConnectionID != c.ID || target.Policy.Timeout != runtime.Duration(10*time.Second) ||
		target.Policy.Bulkhead.MaxInFlight != 25 {
		t.Errorf("%q, %+v, %v", got, target, err)
	}
	if got := words(w.actions()); got != "connection.create credential.set" {
		t.Errorf("recorded %s", got)
	}
	if e := w.entries()[0]; e.Reason != "go live" || e.Target.Name != "stripe" || e.IP != "192.0.2.1" || e.Details["base_url"] != c.BaseURL {
		t.Errorf("%+v", e)
	}
	if got := words(w.announced()); got != "connections audit" {
		t.Errorf("announced %s", got)
	}
	versions, err := w.Versions(t.Context(), admin(), "stripe")
	if err != nil || len(versions) != 1 || versions[0].Cause != CauseCreate || versions[0].Reason != "go live" || !versions[0].Active {
		t.Errorf("%+v, %v", versions, err)
	}
}

func TestProviderPresets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.Create(t.Context(), admin(), Draft{Name: "Acme EU", Provider: "acme", Auth: Auth{Fields: map[string]string{"key": "k"}}}, "")
	must(t, err)
	want := map[string]string{"in": "header", "name": "X-Acme", "prefix": "Key"}
	if diff := cmp.Diff(want, c.AuthFields); diff != "" || c.Slug != "acme-eu" || c.BaseURL != "https://api.acme.example" || c.Environment != "development" {
		t.Errorf("%+v\n%s", c, diff)
	}
	target, err := w.Target("acme-eu", "")
	if err != nil || target.Policy.Timeout.String() != "7s" || len(target.Policy.RateLimits) != 1 {
		t.Errorf("%+v, %v", target.Policy, err)
	}
	if p, err := w.EffectivePolicy(c); err != nil || !cmp.Equal(p, target.Policy) {
		t.Errorf("%+v, %v", p, err)
	}
	// It is that of what is asked for, also where calls go by another one.
	other := c
	other.Policy = json.RawMessage(`{"timeout":"9s"}`)
	if p, err := w.EffectivePolicy(other); err != nil || p.Timeout.String() != "9s" || len(p.RateLimits) != 1 {
		t.Errorf("another policy: %+v, %v", p, err)
	}
	other = c
	other.Provider = GenericProvider
	if p, err := w.EffectivePolicy(other); err != nil || len(p.RateLimits) != 0 {
		t.Errorf("another provider: %+v, %v", p, err)
	}
	// What was cleared stays cleared.
	c = w.update("acme-eu", func(d *Draft) { d.Auth.Fields["prefix"] = "" })
	c = w.update(c.Slug, func(d *Draft) { d.Name = "Acme" })
	if diff := cmp.Diff(map[string]string{"in": "header", "name": "X-Acme"}, c.AuthFields); diff != "" {
		t.Error(diff)
	}
	// A preset also fills what is not shown, such as a fixed user name.
	c = w.update("acme-eu", func(d *Draft) { d.Auth = Auth{Type: "basic", Fields: map[string]string{"password": "p"}} })
	w.wantSent(c.Slug, "", "Basic YXBpOnA=")
	c = w.update("acme-eu", func(d *Draft) { d.Auth.Fields = map[string]string{"username": "me"} })
	w.wantSent(c.Slug, "", "Basic bWU6cA==")
	// A new account is sent the way that the default one is.
	_, err = w.PutAccount(t.Context(), admin(), "acme-eu", "zoe", Auth{Fields: map[string]string{"password": "z"}}, "")
	must(t, err)
	w.wantSent(c.Slug, "zoe", "Basic YXBpOno=")
}

// Calls go on without a provider that left the catalogue; whoever asks for the whole policy hears that it is not known.
func TestPolicyOfAProviderThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Create(t.Context(), admin(), Draft{Name: "Acme", Slug: "acme", Provider: "acme", Auth: Auth{Fields: map[string]string{"key": "k"}}}, "")
	must(t, err)
	w.exec(`UPDATE connection_versions SET definition = replace(definition, '"provider":"acme"', '"provider":"gone"')`)
	must(t, w.Refresh(t.Context()))
	c, err := w.Find(t.Context(), admin(), "acme")
	if err != nil || c.Provider != "gone" {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := w.Target("acme", ""); err != nil {
		t.Errorf("calls: %v", err)
	}
	if _, err := w.EffectivePolicy(c); fault.CodeOf(err) != "UNKNOWN_PROVIDER" {
		t.Errorf("the policy: %v", err)
	}
}

func TestValidation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("taken")
	long := strings.Repeat("x", 200)
	for name, c := range map[string]struct {
		change      func(*Draft)
		code, field string
	}{
		"no name":             {func(d *Draft) { d.Name = " " }, "INVALID_NAME", "name"},
		"long name":           {func(d *Draft) { d.Name = long }, "INVALID_NAME", "name"},
		"name in two lines":   {func(d *Draft) { d.Name = "a\nb" }, "INVALID_NAME", "name"},
		"slug in capitals":    {func(d *Draft) { d.Slug = "Stripe" }, "INVALID_SLUG", "slug"},
		"slug with hyphen":    {func(d *Draft) { d.Slug = "-stripe" }, "INVALID_SLUG", "slug"},
		"slug with slash":     {func(d *Draft) { d.Slug = "a/b" }, "INVALID_SLUG", "slug"},
		"slug too long":       {func(d *Draft) { d.Slug = long }, "INVALID_SLUG", "slug"},
		"slug ends in a line": {func(d *Draft) { d.Slug = "a\n" }, "INVALID_SLUG", "slug"},
		"slug from nothing":   {func(d *Draft) { d.Slug, d.Name = "", "例え" }, "INVALID_SLUG", "slug"},
		"reserved slug":       {func(d *Draft) { d.Slug = "new" }, "RESERVED_SLUG", "slug"},
		"kind":                {func(d *Draft) { d.Kind = "soap" }, "UNKNOWN_KIND", "kind"},
		"provider":            {func(d *Draft) { d.Provider = "nobody" }, "UNKNOWN_PROVIDER", "provider"},
		"environment":         {func(d *Draft) { d.Environment = "prod" }, "UNKNOWN_ENVIRONMENT", "environment"},
		"no URL":              {func(d *Draft) { d.BaseURL = "" }, "INVALID_BASE_URL", "base_url"},
		"placeholder":         {func(d *Draft) { d.BaseURL, d.Provider = "", "shop" }, "INVALID_BASE_URL", "base_url"},
		"ftp":                 {func(d *Draft) { d.BaseURL = "ftp://x.example" }, "INVALID_BASE_URL", "base_url"},
		"no scheme":           {func(d *Draft) { d.BaseURL = "x.example/a" }, "INVALID_BASE_URL", "base_url"},
		"no host":             {func(d *Draft) { d.BaseURL = "https:///a" }, "INVALID_BASE_URL", "base_url"},
		"opaque":              {func(d *Draft) { d.BaseURL = "https:x.example" }, "INVALID_BASE_URL", "base_url"},
		"password":            {func(d *Draft) { d.BaseURL = "https://u:" + canary + "@x.example" }, "INVALID_BASE_URL", "base_url"},
		"broken, password":    {func(d *Draft) { d.BaseURL = "https://u:" + canary + "@x.example:port" }, "INVALID_BASE_URL", "base_url"},
		"query":               {func(d *Draft) { d.BaseURL = "https://x.example?key=" + canary }, "INVALID_BASE_URL", "base_url"},
		"empty query":         {func(d *Draft) { d.BaseURL = "https://x.example?" }, "INVALID_BASE_URL", "base_url"},
		"fragment":            {func(d *Draft) { d.BaseURL = "https://x.example#" + canary }, "INVALID_BASE_URL", "base_url"},
		"empty fragment":      {func(d *Draft) { d.BaseURL = "https://x.example#" }, "INVALID_BASE_URL", "base_url"},
		"dots":                {func(d *Draft) { d.BaseURL = "https://x.example/a/../b" }, "INVALID_BASE_URL", "base_url"},
		"escaped dots":        {func(d *Draft) { d.BaseURL = "https://x.example/a/%2e%2e/b" }, "INVALID_BASE_URL", "base_url"},
		"backslash":           {func(d *Draft) { d.BaseURL = `https://x.example\@evil` }, "INVALID_BASE_URL", "base_url"},
		"port, leading zero":  {func(d *Draft) { d.BaseURL = "https://x.example:08443" }, "INVALID_BASE_URL", "base_url"},
		"port 0":              {func(d *Draft) { d.BaseURL = "https://x.example:0" }, "INVALID_BASE_URL", "base_url"},
		"port, too high":      {func(d *Draft) { d.BaseURL = "https://x.example:65536" }, "INVALID_BASE_URL", "base_url"},
		"port, empty":         {func(d *Draft) { d.BaseURL = "https://x.example:/v1" }, "INVALID_BASE_URL", "base_url"},
		"port of an endpoint": {func(d *Draft) {
			d.Auth = Auth{Type: "oauth2_client_credentials", Fields: map[string]string{"token_url": "https://as.example:0443/t", "client_id": "c", "client_secret": "s"}}
		}, "INVALID_AUTH_FIELD", "auth.fields.token_url"},
		"metadata":             {func(d *Draft) { d.BaseURL = "http://169.254.169.254/" }, "EGRESS_DENIED", "base_url"},
		"private":              {func(d *Draft) { d.BaseURL = "https://10.0.0.1" }, "EGRESS_DENIED", "base_url"},
		"auth type":            {func(d *Draft) { d.Auth.Type = "magic" }, "UNKNOWN_AUTH_TYPE", "auth.type"},
		"auth field":           {func(d *Draft) { d.Auth.Fields = map[string]string{"tokn": canary} }, "UNKNOWN_AUTH_FIELD", "auth.fields.tokn"},
		"no secret":            {func(d *Draft) { d.Auth.Fields = nil }, "AUTH_FIELD_REQUIRED", "auth.fields.token"},
		"injection":            {func(d *Draft) { d.Auth.Fields = map[string]string{"token": canary + "\r\nX: 1"} }, "INVALID_AUTH_FIELD", "auth.fields.token"},
		"policy not an object": {func(d *Draft) { d.Policy = json.RawMessage(`[1]`) }, "INVALID_POLICY", "policy"},
		"policy not JSON":      {func(d *Draft) { d.Policy = json.RawMessage(`{} {}`) }, "INVALID_POLICY", "policy"},
		"policy too long":      {func(d *Draft) { d.Policy = json.RawMessage(`{"timeout":"` + strings.Repeat("1", maxPolicy) + `"}`) }, "INVALID_POLICY", "policy"},
		"policy field":         {func(d *Draft) { d.Policy = json.RawMessage(`{"timeouts":"1s"}`) }, "UNKNOWN_FIELD", "policy.timeouts"},
		"policy value":         {func(d *Draft) { d.Policy = json.RawMessage(`{"breaker":{"failure_ratio":2}}`) }, "INVALID_POLICY", "policy.breaker.failure_ratio"},
	} {
		d := draft("fine")
		c.change(&d)
		_, err := w.Create(t.Context(), admin(), d, "")
		wantField(t, err, c.code, c.field)
		if f, ok := errors.AsType[*fault.Error](err); ok && strings.Contains(err.Error()+f.Details.Value+f.Details.Suggestion, canary) {
			t.Errorf("%s: the error repeats what was typed: %v", name, err)
		}
	}
	_, err := w.Create(t.Context(), admin(), draft("taken"), "")
	wantCode(t, err, fault.Conflict, "SLUG_TAKEN")
	_, err = w.Create(t.Context(), admin(), draft("fine"), long+long+long)
	wantField(t, err, "INVALID_REASON", "reason")
	if n := w.count(`SELECT COUNT(*) FROM connections`); n != 1 {
		t.Errorf("%d connections; a refused one was stored", n)
	}
	for _, kind := range []string{KindWebhook, KindBroker} {
		c, err := w.Create(t.Context(), admin(), Draft{Name: kind, Kind: kind}, "")
		must(t, err)
		_, err = w.Target(c.Slug, "")
		wantCode(t, err, fault.Conflict, "CONNECTION_NOT_CALLABLE")
	}
}

// What is stored must be stored the same again: otherwise saving a form unchanged would make a version.
func TestBaseURLIsStable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for in, want := range map[string]string{
		"https://x.example": "https://x.example", "HTTPS://X.example/": "https://x.example", "http://x.example:80/a//": "http://x.example/a",
		"https://x.example/a%2Fb": "https://x.example/a%2Fb", "http://127.0.0.1:9000/x": "http://127.0.0.1:9000/x",
		"https://[2606:4700::1]:443": "https://[2606:4700::1]", "https://x.example/ü": "https://x.example/%C3%BC",
	} {
		got, err := w.checkBaseURL(in, KindREST, mustProvider(t, w))
		if err != nil || got != want {
			t.Errorf("%q became %q, %v", in, got, err)
		}
		if again, err := w.checkBaseURL(got, KindREST, mustProvider(t, w)); err != nil || again != got {
			t.Errorf("%q, then %q, %v", got, again, err)
		}
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	c := w.update("stripe", func(d *Draft) {
		d.BaseURL, d.Policy = "https://api.example.com/eu", json.RawMessage(`{"retry":{"max_attempts":1},"cache":null}`)
	})
	if c.Version != 2 || string(c.Policy) != `{"retry":{"max_attempts":1}}` {
		t.Errorf("%+v", c)
	}
	got, target, err := w.call("stripe", "")
	if err != nil || got != "Bearer first" || target.BaseURL.Path != "/eu" || target.Policy.Retry.MaxAttempts != 1 || target.Version != 2 {
		t.Errorf("%q, %+v, %v", got, target, err)
	}
	w.announced()
	recorded := len(w.actions())
	if same := w.update("stripe", func(*Draft) {}); same.Version != 2 || !cmp.Equal(same, c) {
		t.Errorf("saving it unchanged: %+v", same)
	}
	if len(w.actions()) != recorded || len(w.announced()) != 0 {
		t.Error("nothing changed, but it was recorded or announced")
	}
	c = w.update("stripe", func(d *Draft) { d.Auth.Fields = map[string]string{"token": "second"} })
	w.wantSent("stripe", "", "Bearer second")
	if got := words(w.actions()); got != "connection.create credential.set connection.update connection.update credential.set" {
		t.Errorf("recorded %s", got)
	}
	e := w.entries()[2]
	want := map[string]string{"base_url": "https://api.example.com → https://api.example.com/eu", "policy.retry.max_attempts": " → 1", "version": "2"}
	if diff := cmp.Diff(want, e.Details); diff != "" {
		t.Error(diff)
	}

	_, err = w.Update(t.Context(), admin(), "stripe", c.Draft(), "", 2)
	wantCode(t, err, fault.PreconditionFailed, "VERSION_CHANGED")
	d := c.Draft()
	d.Slug = "other"
	_, err = w.Update(t.Context(), admin(), "stripe", d, "", 0)
	wantField(t, err, "SLUG_FIXED", "slug")
	_, err = w.Update(t.Context(), admin(), "nobody", d, "", 0)
	wantCode(t, err, fault.NotFound, "CONNECTION_NOT_FOUND")
	// An edit that names only one thing leaves the others.
	c2, err := w.Update(t.Context(), admin(), "stripe", Draft{Name: "New name"}, "", 0)
	if c.Name, c.Version, c.UpdatedAt = "New name", 4, c2.UpdatedAt; err != nil || !cmp.Equal(c, c2) {
		t.Errorf("%v\n%s", err, cmp.Diff(c, c2))
	}
}

func TestPauseResumeDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	operator := w.user(access.RoleOperator)
	for range 2 {
		c, err := w.Pause(t.Context(), operator, "stripe", "maintenance", 0)
		if err != nil || c.State != StatePaused || c.Version != 2 {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	_, err := w.Target("stripe", "")
	wantCode(t, err, fault.Conflict, "CONNECTION_PAUSED")
	if c, ok := w.Peek("stripe"); !ok || c.State != StatePaused {
		t.Errorf("%+v, %v", c, ok)
	}
	// An edit does not resume it.
	w.update("stripe", func(d *Draft) { d.Name = "x" })
	_, err = w.Target("stripe", "")
	wantCode(t, err, fault.Conflict, "CONNECTION_PAUSED")
	_, err = w.Resume(t.Context(), operator, "stripe", "", 0)
	must(t, err)
	w.wantSent("stripe", "", "Bearer first")

	wantField(t, only(w.Delete(t.Context(), admin(), "stripe", "strip", "", 0)), "CONFIRMATION_MISMATCH", "confirm")
	must(t, only(w.Delete(t.Context(), admin(), "stripe", "stripe", "gone", 0)))
	_, err = w.Target("stripe", "")
	wantCode(t, err, fault.NotFound, "CONNECTION_NOT_FOUND")
	_, err = w.Find(t.Context(), admin(), "stripe")
	wantCode(t, err, fault.NotFound, "CONNECTION_NOT_FOUND")
	wantCode(t, only(w.Delete(t.Context(), admin(), "stripe", "stripe", "", 0)), fault.NotFound, "CONNECTION_NOT_FOUND")
	for _, table := range []string{"connections", "connection_versions", "credentials", "credential_versions"} {
		if n := w.count(`SELECT COUNT(*) FROM ` + table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if got := words(w.actions()); got != "connection.create credential.set connection.pause connection.update connection.resume connection.delete" {
		t.Errorf("recorded %s", got)
	}
	if c := w.create("stripe"); c.Version != 1 {
		t.Errorf("the slug is free again: %+v", c)
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	_, err := w.PutAccount(t.Context(), admin(), "stripe", "zoe", Auth{Fields: map[string]string{"token": "z"}}, "")
	must(t, err)
	_, err = w.Pause(t.Context(), admin(), "stripe", "", 0)
	must(t, err)
	c, err := w.Duplicate(t.Context(), admin(), "stripe", "stripe-2", "")
	must(t, err)
	if c.Name != "Stripe live (copy)" || c.Version != 1 || c.State != StateActive || c.Environment != "production" {
		t.Errorf("%+v", c)
	}
	w.wantSent("stripe-2", "", "Bearer first")
	_, err = w.Target("stripe-2", "zoe")
	wantCode(t, err, fault.NotFound, "ACCOUNT_NOT_FOUND")
	w.update("stripe-2", func(d *Draft) { d.Auth.Fields = map[string]string{"token": "own"} })
	_, err = w.Resume(t.Context(), admin(), "stripe", "", 0)
	must(t, err)
	w.wantSent("stripe", "", "Bearer first")
	_, err = w.Duplicate(t.Context(), admin(), "stripe", "stripe-2", "x")
	wantCode(t, err, fault.Conflict, "SLUG_TAKEN")
	_, err = w.Duplicate(t.Context(), admin(), "nobody", "x", "x")
	wantCode(t, err, fault.NotFound, "CONNECTION_NOT_FOUND")
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.update("stripe", func(d *Draft) { d.Name = "x" })
	uses := []struct {
		name string
		may  []access.Role
		use  func(a access.Actor) error
	}{
		{"find", access.Roles(), func(a access.Actor) error { _, err := w.Find(t.Context(), a, "stripe"); return err }},
		{"list", access.Roles(), func(a access.Actor) error { _, err := w.List(t.Context(), a, Query{}); return err }},
		{"versions", access.Roles(), func(a access.Actor) error { _, err := w.Versions(t.Context(), a, "stripe"); return err }},
		{"version", access.Roles(), func(a access.Actor) error { _, err := w.Version(t.Context(), a, "stripe", 1); return err }},
		{"diff", access.Roles(), func(a access.Actor) error { _, err := w.Diff(t.Context(), a, "stripe", 1, 2); return err }},
		{"accounts", access.Roles(), func(a access.Actor) error { _, err := w.Accounts(t.Context(), a, "stripe"); return err }},
		{"pause", []access.Role{access.RoleOwner, access.RoleAdmin, access.RoleOperator}, func(a access.Actor) error { _, err := w.Pause(t.Context(), a, "stripe", "", 0); return err }},
		{"resume", []access.Role{access.RoleOwner, access.RoleAdmin, access.RoleOperator}, func(a access.Actor) error { _, err := w.Resume(t.Context(), a, "stripe", "", 0); return err }},
		{"activate", []access.Role{access.RoleOwner, access.RoleAdmin, access.RoleOperator}, func(a access.Actor) error { _, err := w.Activate(t.Context(), a, "stripe", 1, "", 0); return err }},
		{"update", []access.Role{access.RoleOwner, access.RoleAdmin}, func(a access.Actor) error {
			_, err := w.Update(t.Context(), a, "stripe", Draft{Name: a.ID}, "", 0)
			return err
		}},
		{"put account", []access.Role{access.RoleOwner, access.RoleAdmin}, func(a access.Actor) error {
			_, err := w.PutAccount(t.Context(), a, "stripe", a.ID, Auth{Fields: map[string]string{"token": "t"}}, "")
			return err
		}},
		{"delete account", []access.Role{access.RoleOwner, access.RoleAdmin}, func(a access.Actor) error { return only(w.DeleteAccount(t.Context(), a, "stripe", a.ID, "")) }},
		{"duplicate", []access.Role{access.RoleOwner, access.RoleAdmin}, func(a access.Actor) error {
			_, err := w.Duplicate(t.Context(), a, "stripe", "copy-"+string(a.Role), "")
			return err
		}},
		{"create", []access.Role{access.RoleOwner, access.RoleAdmin}, func(a access.Actor) error {
			_, err := w.Create(t.Context(), a, draft("new-"+string(a.Role)), "")
			return err
		}},
		{"delete", []access.Role{access.RoleOwner, access.RoleAdmin}, func(a access.Actor) error {
			return only(w.Delete(t.Context(), a, "new-"+string(a.Role), "new-"+string(a.Role), "", 0))
		}},
	}
	for _, role := range access.Roles() {
		a := w.user(role)
		demoted, gone := w.user(access.RoleOwner), w.user(access.RoleOwner)
		w.exec(`UPDATE users SET role = 'viewer' WHERE id = $1`, demoted.ID)
		w.exec(`UPDATE users SET disabled_at = 1 WHERE id = $1`, gone.ID)
		for _, u := range uses {
			allowed := false
			for _, r := range u.may {
				allowed = allowed || r == role
			}
			if err := u.use(a); allowed && err != nil || !allowed && !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s as %s: %v", u.name, role, err)
			}
			// What counts is the role at the moment of the change.
			if len(u.may) < len(access.Roles()) {
				if err := u.use(demoted); !fault.Is(err, fault.Forbidden) {
					t.Errorf("%s as a former owner: %v", u.name, err)
				}
				if err := u.use(gone); !fault.Is(err, fault.Unauthenticated) {
					t.Errorf("%s with a disabled account: %v", u.name, err)
				}
			}
		}
	}
}

// Printing or encoding a draft, as a log line or an error might, shows no secret.
func TestDraftHidesSecrets(t *testing.T) {
	t.Parallel()
	d := draft("x")
	d.Auth.Fields["token"] = canary
	encoded, err := json.Marshal(d)
	must(t, err)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", d, d, d, d.Auth, d.Auth), fmt.Sprint(&d, []Draft{d}), string(encoded)} {
		if strings.Contains(text, canary) || !strings.Contains(text, "token") {
			t.Errorf("it prints as %s", text)
		}
	}
}

// Replace takes what is left out from the defaults; secrets alone stay.
func TestReplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := draft("acme")
	d.Provider, d.BaseURL, d.LogBodies, d.Policy = "acme", "", true, json.RawMessage(`{"timeout":"3s"}`)
	d.Auth = Auth{Type: "api_key", Fields: map[string]string{"key": "first", "prefix": "Mine"}}
	_, err := w.Create(t.Context(), admin(), d, "")
	must(t, err)
	c, err := w.Replace(t.Context(), admin(), "acme", Draft{Name: "Acme", Provider: "acme", Auth: Auth{Type: "api_key"}}, "", 1)
	must(t, err)
	if c.Version != 2 || c.Environment != "development" || c.LogBodies || string(c.Policy) != "{}" || c.BaseURL != "https://api.acme.example" {
		t.Errorf("%+v", c)
	}
	if c.AuthFields["prefix"] != "" || len(c.AuthSecrets) != 1 {
		t.Errorf("auth %v %v", c.AuthFields, c.AuthSecrets)
	}
	_, err = w.Replace(t.Context(), admin(), "acme", Draft{Name: "Acme", Auth: Auth{Type: "none"}}, "", 1)
	wantCode(t, err, fault.PreconditionFailed, "VERSION_CHANGED")
	_, err = w.Replace(t.Context(), admin(), "acme", Draft{Name: "Acme"}, "", 0)
	wantField(t, err, "INVALID_AUTH", "auth.type")
	if c, err = w.Replace(t.Context(), admin(), "acme", Draft{Name: "Acme", BaseURL: "https://other.example.com", Auth: Auth{Type: "none"}}, "", 2); err != nil || c.Provider != GenericProvider {
		t.Errorf("%+v, %v", c, err)
	}
}

// A change that is meant for another version than the active one does not happen.
func TestIfVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.update("stripe", func(d *Draft) { d.Name = "second" })
	for name, change := range map[string]func(ifVersion int) error{
		"pause":    func(n int) error { _, err := w.Pause(t.Context(), admin(), "stripe", "", n); return err },
		"resume":   func(n int) error { _, err := w.Resume(t.Context(), admin(), "stripe", "", n); return err },
		"activate": func(n int) error { _, err := w.Activate(t.Context(), admin(), "stripe", 1, "", n); return err },
		"delete":   func(n int) error { return only(w.Delete(t.Context(), admin(), "stripe", "stripe", "", n)) },
	} {
		wantCode(t, change(1), fault.PreconditionFailed, "VERSION_CHANGED")
		if c, err := w.Find(t.Context(), admin(), "stripe"); err != nil || c.Version != 2 {
			t.Errorf("%s: version %d, %v", name, c.Version, err)
		}
	}
	must(t, only(w.Delete(t.Context(), admin(), "stripe", "stripe", "", 2)))
}

// API keys are stored too: what counts is the key at the moment of the change.
func TestChangesByAPIKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, columns := range map[string]string{"good": "NULL, NULL", "revoked": "NULL, 1", "expired": "1, NULL"} {
		w.exec(`INSERT INTO api_keys (id, name, mac, scopes, created_by, created_at, search, expires_at, revoked_at) VALUES ($1, $1, $1, '[]', '', 0, '', `+columns+`)`, id)
	}
	for id, want := range map[string]fault.Kind{"good": 0, "revoked": fault.Unauthenticated, "expired": fault.Unauthenticated, "unknown": fault.Unauthenticated} {
		key := access.Key{ID: id, Name: id, Scopes: []access.Scope{access.ScopeAPIWrite}}
		c, err := w.Create(t.Context(), key.Actor("192.0.2.1"), draft(id), "")
		if want == 0 && (err != nil || c.Version != 1) || want != 0 && !fault.Is(err, want) {
			t.Errorf("%s: %v", id, err)
		}
		key.Scopes = []access.Scope{access.ScopeAPIRead, access.ScopeCallAll}
		if _, err = w.Create(t.Context(), key.Actor(""), draft("other-"+id), ""); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s without the scope: %v", id, err)
		}
	}
}

// A connection stands in for another one that exists, and not for one that stands in for it.
func TestFallbackCircles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, slug := range []string{"a", "b", "c"} {
		w.create(slug)
	}
	to := func(slug, policy string) error {
		c, err := w.Find(t.Context(), admin(), slug)
		must(t, err)
		d := c.Draft()
		d.Policy = json.RawMessage(policy)
		_, err = w.Update(t.Context(), admin(), slug, d, "", c.Version)
		return err
	}
	refused := func(slug, policy, field string) {
		t.Helper()
		f, ok := errors.AsType[*fault.Error](to(slug, policy))
		if !ok || f.Code != "INVALID_FALLBACK" || f.Details.Field != field {
			t.Errorf("%s with %s: %+v", slug, policy, f)
		}
	}
	const field = "policy.fallback.connection"
	refused("a", `{"fallback":{"connection":"nothing"}}`, field)
	refused("a", `{"fallback":{"connection":"a"}}`, field)
	must(t, to("a", `{"fallback":{"connection":"b"}}`))
	refused("b", `{"fallback":{"connection":"a"}}`, field)
	must(t, to("b", `{"operations":[{"id":"x","path":"/x"},{"id":"list","path":"/list","policy":{"fallback":{"connection":"c"}}}]}`))
	refused("c", `{"fallback":{"connection":"a"}}`, field)
	refused("c", `{"operations":[{"id":"list","path":"/list","policy":{"fallback":{"connection":"b"}}}]}`, "policy.operations[0].policy.fallback.connection")
	must(t, to("b", `{}`))
	must(t, to("c", `{"fallback":{"connection":"a"}}`))
}
