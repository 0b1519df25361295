package providers

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"switchgear/internal/credentials/authtype"
	"switchgear/internal/runtime"
)

func builtIn(t *testing.T) *Catalog {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCatalog is the schema test over the folder.
func TestCatalog(t *testing.T) {
	t.Parallel()
	c := builtIn(t)
	if n := len(c.All()); n < 66 {
		t.Errorf("the catalogue has %d providers, want 66 or more", n)
	}
	for _, slug := range []string{"generic-rest", "generic-oauth2", "generic-grpc", "generic-webhook"} {
		if _, err := c.Find(slug); err != nil {
			t.Errorf("%s: %v", slug, err)
		}
	}
}

// TestCatalogPolicies asks the engine what it thinks of the policies.
func TestCatalogPolicies(t *testing.T) {
	t.Parallel()
	for _, p := range builtIn(t).All() {
		if p.Policy == nil {
			continue
		}
		policy, err := runtime.MergePolicy(runtime.DefaultPolicy(), p.Policy)
		if err == nil {
			err = policy.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v", p.Slug, err)
		}
	}
}

// TestCatalogPresets asks the auth types whether they know what is preset for them.
func TestCatalogPresets(t *testing.T) {
	t.Parallel()
	fields := map[string]map[string]authtype.Field{}
	for _, a := range authtype.All() {
		known, ok := presets(a.Kind())
		if !ok {
			t.Errorf("auth type %s is missing in presets()", a.Kind())
		}
		for _, key := range known {
			f, ok := authtype.Find(a, key)
			if !ok || f.Secret {
				t.Errorf("auth type %s has no field %s that may be preset", a.Kind(), key)
			}
			if list := choices(key); list != nil && !slices.Equal(list, f.Options) {
				t.Errorf("auth type %s: the options of %s are %v", a.Kind(), key, f.Options)
			}
		}
		fields[a.Kind()] = map[string]authtype.Field{}
		for _, f := range a.Fields() {
			fields[a.Kind()][f.Key] = f
		}
	}
	for _, p := range builtIn(t).All() {
		for _, a := range p.Auth {
			known, implemented := fields[a.Type]
			if !implemented {
				t.Errorf("%s: there is no auth type %s", p.Slug, a.Type)
			}
			for key, value := range a.Fields {
				f, ok := known[key]
				if !ok || f.Secret {
					t.Errorf("%s: %s: %s is no field that may be preset", p.Slug, a.Type, key)
				}
				if len(f.Options) > 0 && !slices.Contains(f.Options, value) {
					t.Errorf("%s: %s: %s: %q is not an option", p.Slug, a.Type, key, value)
				}
			}
		}
	}
}

// TestBaseURLs checks what the console relies on: only an editable address has gaps.
func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for _, p := range builtIn(t).All() {
		if !p.BaseURLEditable && (p.BaseURL == "" || strings.Contains(p.BaseURL, "{")) {
			t.Errorf("%s: nobody can fill in %q", p.Slug, p.BaseURL)
		}
	}
}

const acme = `name: Acme
slug: acme
kind: rest
category: crm
docs: https://acme.example/docs
summary: Everything.
base_url: https://api.acme.example
auth:
  - type: api_key
    label: Key
    fields:
      in: header
      name: X-Key
  - type: oauth2_authorization_code
    label: App
    fields:
      authorize_url: https://acme.example/authorize
      token_url: https://acme.example/token
      scopes: read write
      auth_style: basic
rate_limit:
  dialect: x-ratelimit
  note: Ten a second.
pagination: cursor
webhook: stripe
health:
  method: GET
  path: /me?fields=id
policy:
  timeout: 5s
  rate_limits:
    - requests: 10
      per: 1s
  bulkhead:
    max_in_flight: 3
`

// part cuts the good file from one key to the next; an empty end is the end of the file.
func part(t *testing.T, from, to string) string {
	t.Helper()
	_, rest, ok := strings.Cut(acme, from)
	if !ok {
		t.Fatalf("%q is not in the file", from)
	}
	if to != "" {
		rest, _, _ = strings.Cut(rest, to)
	}
	return from + rest
}

func catalogue(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["catalog/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestLoadReads(t *testing.T) {
	t.Parallel()
	c, err := load(catalogue(map[string]string{"acme.yaml": acme}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Find("acme")
	if err != nil {
		t.Fatal(err)
	}
	var policy map[string]any
	if err := json.Unmarshal(p.Policy, &policy); err != nil {
		t.Fatal(err)
	}
	switch {
	case p.Name != "Acme" || p.Kind != KindREST || p.Category != "crm" || p.BaseURL != "https://api.acme.example" || p.BaseURLEditable:
		t.Errorf("head: %+v", p)
	case len(p.Auth) != 2 || p.Auth[0].Fields["name"] != "X-Key" || p.Auth[1].Fields["scopes"] != "read write":
		t.Errorf("auth: %+v", p.Auth)
	case p.RateLimit != RateLimit{Dialect: DialectXRateLimit, Note: "Ten a second."} || p.Pagination != "cursor" || p.Webhook != "stripe":
		t.Errorf("limits: %+v", p)
	case p.Health != Health{Method: "GET", Path: "/me?fields=id"}:
		t.Errorf("health: %+v", p.Health)
	case policy["timeout"] != "5s":
		t.Errorf("policy: %s", p.Policy)
	}
}

// TestLoadCatches changes one thing in a good file at a time.
func TestLoadCatches(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"slug is not the file":       {"slug: acme", "slug: other", `acme.yaml:2: slug: "other" is not the name of the file`},
		"slug with capitals":         {"slug: acme", "slug: Acme", "acme.yaml:2: slug: only lower-case"},
		"no name":                    {"name: Acme\n", "", "name: is missing"},
		"unknown field":              {"pagination: cursor", "paging: cursor", `acme.yaml:24: unknown field "paging"`},
		"unknown field inside":       {"    label: Key", "    title: Key", `acme.yaml:10: unknown field "title"`},
		"repeated field":             {"kind: rest", "kind: rest\nkind: rest", "acme.yaml:4: mapping key \"kind\" already defined"},
		"wrong type":                 {"docs: https://acme.example/docs", "docs: [a]", "acme.yaml:5: "},
		"broken syntax":              {"auth:\n", "auth: [\n", "acme.yaml:"},
		"second document":            {"kind: rest", "kind: rest\n---\na: b", "acme.yaml:1: holds 2 documents"},
		"kind":                       {"kind: rest", "kind: soap", `acme.yaml:3: kind: "soap" is not one of rest, grpc`},
		"category":                   {"category: crm", "category: misc", `acme.yaml:4: category: "misc"`},
		"no docs":                    {"docs: https://acme.example/docs\n", "", "docs: "},
		"docs over http":             {"docs: https:", "docs: http:", `acme.yaml:5: docs: "http://acme.example/docs" is not an https address`},
		"docs with a placeholder":    {"acme.example/docs", "acme.example/{x}", "acme.yaml:5: docs: "},
		"no base URL":                {"base_url: https://api.acme.example\n", "", "base_url: is missing"},
		"base URL over http":         {"base_url: https:", "base_url: http:", "acme.yaml:7: base_url: "},
		"base URL with a user":       {"https://api.acme", "https://me:pw@api.acme", "acme.yaml:7: base_url: "},
		"base URL with a slash":      {"https://api.acme.example", "https://api.acme.example/", "acme.yaml:7: base_url: no query"},
		"base URL with a query":      {"https://api.acme.example", "https://api.acme.example?a=b", "acme.yaml:7: base_url: no query"},
		"base URL, placeholder":      {"https://api.acme", "https://{team}.acme", "acme.yaml:7: base_url: \"https://{team}.acme.example\" has placeholders"},
		"base URL, odd placeholder":  {"https://api.acme.example", "https://{Team.acme.example\nbase_url_editable: true", "acme.yaml:7: base_url: "},
		"no auth":                    {part(t, "auth:", "rate_limit:"), "", "auth: is missing"},
		"auth type":                  {"type: api_key", "type: magic", `acme.yaml:9: auth[0].type: "magic" is no auth type`},
		"auth without label":         {"    label: Key\n", "", "acme.yaml:9: auth[0].label: is missing"},
		"auth twice":                 {"  - type: oauth2_auth", "  - {type: api_key, label: Key, fields: {in: query, name: k}}\n  - type: oauth2_auth", "acme.yaml:14: auth[1]: repeats"},
		"preset key":                 {"      name: X-Key", "      name: X-Key\n      where: there", "acme.yaml:14: auth[0].fields.where: api_key has no field"},
		"preset of a secret":         {"      name: X-Key", "      name: X-Key\n      key: hunter2", "acme.yaml:14: auth[0].fields.key: api_key has no field"},
		"preset missing":             {"      name: X-Key\n", "", "auth[0].fields: name is missing"},
		"preset with spaces":         {"name: X-Key", "name: 'X-Key '", "acme.yaml:13: auth[0].fields.name: is empty or has spaces"},
		"in":                         {"in: header", "in: body", `acme.yaml:12: auth[0].fields.in: "body"`},
		"auth style":                 {"auth_style: basic", "auth_style: guess", `acme.yaml:20: auth[1].fields.auth_style: "guess"`},
		"token URL over http":        {"token_url: https:", "token_url: http:", "acme.yaml:18: auth[1].fields.token_url: "},
		"authorize URL missing":      {"      authorize_url: https://acme.example/authorize\n", "", "auth[1].fields: authorize_url is missing"},
		"scopes with commas":         {"scopes: read write", "scopes: read,write", "acme.yaml:19: auth[1].fields.scopes: scopes are separated"},
		"scopes with double spaces":  {"scopes: read write", "scopes: read  write", "acme.yaml:19: auth[1].fields.scopes: scopes are separated"},
		"dialect":                    {"dialect: x-ratelimit", "dialect: klingon", `acme.yaml:22: rate_limit.dialect: "klingon"`},
		"pagination":                 {"pagination: cursor", "pagination: scroll", `acme.yaml:24: pagination: "scroll"`},
		"webhook":                    {"webhook: stripe", "webhook: md5", `acme.yaml:25: webhook: "md5"`},
		"health method":              {"method: GET", "method: POST", `acme.yaml:27: health.method: "POST"`},
		"health path":                {"path: /me?fields=id", "path: me", `acme.yaml:28: health.path: "me"`},
		"health path, other host":    {"path: /me?fields=id", "path: //evil.example/", "acme.yaml:28: health.path: "},
		"health path, placeholder":   {"path: /me?fields=id", "path: '/{id}'", "acme.yaml:28: health.path: "},
		"health without path":        {"  path: /me?fields=id\n", "", "health.path: "},
		"policy is a list":           {part(t, "policy:", ""), "policy: [a]\n", "acme.yaml:29: "},
		"policy key":                 {"  bulkhead:", "  bulkheads:", "acme.yaml:34: policy.bulkheads: is no part of a policy"},
		"policy part":                {"  bulkhead:\n    max_in_flight: 3", "  bulkhead: 3", "acme.yaml:34: policy.bulkhead: is not a mapping"},
		"policy duration":            {"timeout: 5s", "timeout: 5", "acme.yaml:30: policy.timeout: is not a positive duration"},
		"policy limit":               {"requests: 10", "requests: -1", "acme.yaml:32: policy.rate_limits[0].requests: is not a positive number"},
		"policy limit scope":         {"      per: 1s\n", "      per: 1s\n      scope: planet\n", "policy.rate_limits[0].scope: \"planet\" is not one of connection, operation, credential"},
		"policy hold":                {"  rate_limits:", "  rate_limit_hold: planet\n  rate_limits:", "policy.rate_limit_hold: \"planet\" is not one of connection, credential"},
		"policy limit without per":   {"      per: 1s\n", "", "policy.rate_limits[0].per: is not a positive duration"},
		"policy limits are a number": {part(t, "  rate_limits:", "  bulkhead:"), "  rate_limits: 3\n", "acme.yaml:31: policy.rate_limits: is not a list"},
		"empty":                      {acme, "", "acme.yaml:1: "},
		"only a comment":             {acme, "# later\n", "acme.yaml:1: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(acme, c.old) == 0 {
				t.Fatalf("%q is not in the file", c.old)
			}
			text := strings.Replace(acme, c.old, c.new, 1)
			_, err := load(catalogue(map[string]string{"acme.yaml": text}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestLoadCatchesBetweenFiles(t *testing.T) {
	t.Parallel()
	twin := strings.NewReplacer("slug: acme", "slug: twin", "name: Acme", "name: ACME").Replace(acme)
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing":            {map[string]string{}, []string{"catalog"}},
		"same name":          {map[string]string{"acme.yaml": acme, "twin.yaml": twin}, []string{`catalog/twin.yaml:1: name: "ACME" is the name in catalog/acme.yaml already`}},
		"foreign file":       {map[string]string{"acme.yaml": acme, "notes.txt": "hi"}, []string{"catalog/notes.txt:1: only <slug>.yaml"}},
		"folder":             {map[string]string{"acme.yaml": acme, "more/b.yaml": acme}, []string{"catalog/more:1: only <slug>.yaml"}},
		"several are listed": {map[string]string{"acme.yaml": acme + "x: y\n", "b.yaml": acme}, []string{"catalog/acme.yaml:36: ", "catalog/b.yaml:2: slug"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(catalogue(c.files))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
}

// TestGenericLeavesOut: what a vendor must state, a generic provider may leave to the user.
func TestGenericLeavesOut(t *testing.T) {
	t.Parallel()
	const text = "name: Any\nslug: any\nkind: rest\ncategory: generic\nsummary: Any.\nbase_url_editable: true\nauth:\n  - {type: api_key, label: Key}\n"
	if _, err := load(catalogue(map[string]string{"any.yaml": text})); err != nil {
		t.Error(err)
	}
	_, err := load(catalogue(map[string]string{"any.yaml": strings.Replace(text, "true", "false", 1)}))
	if err == nil || !strings.Contains(err.Error(), "any.yaml:6: base_url_editable: must be true") {
		t.Errorf("error %v", err)
	}
}

// TestVocabulary: every auth type of the design has its row, and required presets are known ones.
func TestVocabulary(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{
		"none", "api_key", "basic", "bearer", "oauth2_authorization_code", "oauth2_client_credentials",
		"oauth2_jwt_bearer", "oauth2_device_code", "signed_jwt", "hmac_signature", "aws_sigv4", "mutual_tls", "oauth1",
		"custom_headers",
	} {
		known, ok := presets(kind)
		if !ok {
			t.Errorf("%s is unknown", kind)
		}
		for _, key := range required(kind) {
			if !slices.Contains(known, key) {
				t.Errorf("%s: %s is required but unknown", kind, key)
			}
		}
	}
	for name, list := range map[string][]string{"dialects": Dialects(), "schemes": WebhookSchemes()} {
		once := map[string]bool{}
		for _, s := range list {
			once[s] = true
		}
		if len(slices.Collect(maps.Keys(once))) != len(list) {
			t.Errorf("%s: a name is listed twice", name)
		}
	}
}
