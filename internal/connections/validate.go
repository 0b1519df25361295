package connections

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	"switchgear/internal/webaddress"
)

const (
	maxName   = 120
	maxReason = 500
	maxURL    = 2048
	maxPolicy = 16 << 10
)

// reserved are slugs that name pages below /connections and /api/v1/connections, now or later.
func reserved() []string {
	return []string{"new", "edit", "search", "import", "export", "all", "bulk", "providers", "catalog", "versions", "accounts"}
}

// prepared is a draft that passed every check, in the form in which it is stored. The checks of the auth
// fields are the vault's, because only it knows what is kept.
type prepared struct {
	Definition
	fields map[string]string
}

// prepare checks a draft in the order of its form. old is nil for a new connection. It reads nothing but
// memory, so that a transaction need not wait for it.
func (s *Service) prepare(d Draft, old *Definition) (prepared, error) {
	p := prepared{Definition: Definition{State: StateActive, LogBodies: d.LogBodies, RequireChecklist: d.RequireChecklist}}
	if old != nil {
		p.State = old.State
	}
	var err error
	if p.Name, err = line("INVALID_NAME", "name", d.Name, maxName); err != nil {
		return p, err
	}
	if p.Name == "" {
		return p, fault.Field("INVALID_NAME", "name", "Give the connection a name.")
	}
	if p.Slug, err = checkSlug(d.Slug, p.Name, old); err != nil {
		return p, err
	}
	provider, err := s.provider(d.Provider)
	if err != nil {
		return p, err
	}
	p.Provider = provider.Slug
	if p.Kind, err = oneOf("kind", d.Kind, provider.Kind, Kinds()); err != nil {
		return p, err
	}
	if p.Environment, err = oneOf("environment", d.Environment, "development", Environments()); err != nil {
		return p, err
	}
	if p.BaseURL, err = s.checkBaseURL(d.BaseURL, p.Kind, provider); err != nil {
		return p, err
	}
	if p.Auth.Type, p.fields, err = completeAuth(d.Auth, provider, old); err != nil {
		return p, err
	}
	if p.Policy, err = checkPolicy(d.Policy, provider); err != nil {
		return p, err
	}
	if err = s.checkAlternates(p.Slug, p.Policy, provider); err != nil {
		return p, err
	}
	if p.Requirements, err = checkRequirements(d.Requirements); err != nil {
		return p, err
	}
	p.Documentation, err = checkDocumentation(d.Documentation)
	return p, err
}

// over fills in what a draft of an existing connection leaves empty.
func (d Draft) over(old Definition) Draft {
	for _, f := range []struct {
		value *string
		old   string
	}{{&d.Name, old.Name}, {&d.Kind, old.Kind}, {&d.Provider, old.Provider}, {&d.Environment, old.Environment}, {&d.BaseURL, old.BaseURL}} {
		if *f.value == "" {
			*f.value = f.old
		}
	}
	if len(d.Policy) == 0 {
		d.Policy = old.Policy
	}
	if d.Requirements == nil {
		d.Requirements = &old.Requirements
	}
	if d.Documentation == nil {
		d.Documentation = &old.Documentation
	}
	return d
}

// whole fills in a draft that says everything: settings of the auth type in use that it leaves out are
// empty now.
func (d Draft) whole(old Definition) Draft {
	if len(d.Policy) == 0 {
		d.Policy = json.RawMessage("{}")
	}
	if d.Auth.Type != old.Auth.Type {
		return d
	}
	fields := maps.Clone(d.Auth.Fields)
	if fields == nil {
		fields = map[string]string{}
	}
	for key := range old.Auth.Fields {
		if _, given := fields[key]; !given {
			fields[key] = ""
		}
	}
	d.Auth.Fields = fields
	return d
}

// recheck validates a stored definition before it becomes active again: rules may have changed since.
func (s *Service) recheck(d Definition) error {
	provider, err := s.provider(d.Provider)
	if err != nil {
		return err
	}
	if _, err := s.checkBaseURL(d.BaseURL, d.Kind, provider); err != nil {
		return err
	}
	if _, err := authtype.Lookup(d.Auth.Type); err != nil {
		return err
	}
	_, err = checkPolicy(d.Policy, provider)
	return err
}

// checkSlug returns the slug of a draft. That of an existing connection is fixed.
func checkSlug(slug, name string, old *Definition) (string, error) {
	if old != nil {
		if slug != "" && slug != old.Slug {
			return "", fault.Field("SLUG_FIXED", "slug", "The slug cannot change: applications call it and API keys name it.").
				WithSuggestion("Duplicate the connection under the new slug.")
		}
		return old.Slug, nil
	}
	if slug == "" {
		slug = SlugOf(name)
	}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`).MatchString(slug) {
		return "", fault.Field("INVALID_SLUG", "slug", "Use 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen.").
			WithSuggestion(try(SlugOf(slug)))
	}
	if slices.Contains(reserved(), slug) {
		return "", fault.Field("RESERVED_SLUG", "slug", "Switchgear uses this word itself. Choose another slug.").
			WithSuggestion(try(slug + "-1"))
	}
	return slug, nil
}

func try(slug string) string {
	if slug == "" {
		return ""
	}
	return "Try " + slug + "."
}

// SlugOf makes a slug of a name; it is empty when the name has nothing to make one of.
func SlugOf(name string) string {
	var out strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			out.WriteRune(r)
		case out.Len() > 0 && !strings.HasSuffix(out.String(), "-"):
			out.WriteByte('-')
		}
	}
	slug := out.String()
	return strings.Trim(slug[:min(len(slug), 63)], "-")
}

func (s *Service) provider(slug string) (providers.Provider, error) {
	if slug == "" {
		slug = GenericProvider
	}
	p, err := s.providers.Find(slug)
	switch {
	case err == nil:
		return p, nil
	case !fault.Is(err, fault.NotFound):
		return p, err
	case slug == GenericProvider:
		return providers.Provider{Slug: GenericProvider, Kind: KindREST}, nil
	}
	return p, fault.Field("UNKNOWN_PROVIDER", "provider", "The catalogue has no such provider.").
		WithSuggestion("Pick one of the catalogue, or " + GenericProvider + ".")
}

func oneOf(field, value, standard string, known []string) (string, error) {
	if value == "" {
		value = standard
	}
	if slices.Contains(known, value) {
		return value, nil
	}
	return "", fault.Field("UNKNOWN_"+strings.ToUpper(field), field, "There is no such "+field+".").
		WithSuggestion("Use one of " + strings.Join(known, ", ") + ".")
}

// checkBaseURL returns the base URL in its stored form: host in lower case, no default port, no slash at
// the end. Messages do not repeat it: people paste addresses that hold a password.
func (s *Service) checkBaseURL(text, kind string, provider providers.Provider) (string, error) {
	bad := func(message string) error { return fault.Field("INVALID_BASE_URL", "base_url", message) }
	text = strings.TrimSpace(text)
	if text == "" {
		text = provider.BaseURL
	}
	switch {
	case text == "" && (kind == KindWebhook || kind == KindBroker):
		return "", nil
	case text == "":
		return "", bad("Enter the address that calls go to, such as https://api.example.com.")
	case strings.ContainsAny(text, "{}"):
		return "", bad("Replace what is in braces with your own value.")
	case len(text) > maxURL:
		return "", bad(fmt.Sprintf("Use at most %d characters.", maxURL))
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '\\' || unicode.IsControl(r) }):
		return "", bad("It contains a space or a character that an address does not have.")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", bad("This is not a web address. It looks like https://api.example.com.")
	case !strings.EqualFold(u.Scheme, "https") && !strings.EqualFold(u.Scheme, "http"):
		return "", bad("It must begin with https:// (or http://).")
	case u.User != nil:
		return "", bad("It must not hold a user name or password. Enter them as the credential.")
	case u.RawQuery != "" || u.ForceQuery:
		return "", bad("It must not have a query (what follows the question mark).")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return "", bad("It must not have a fragment (what follows the # sign).")
	case u.Opaque != "" || u.Hostname() == "":
		return "", bad("It names no host.")
	case !webaddress.ValidPort(u):
		return "", bad("Its port is a number from 1 to 65535 without leading zeros, or left out with its colon.")
	case slices.ContainsFunc(strings.Split(u.Path, "/"), func(part string) bool { return part == "." || part == ".." }):
		return "", bad("Its path must not contain . or .. parts.")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); port != "" && port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if err := s.egress.CheckURL(u); err != nil {
		return "", err
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// completeAuth fills in what a draft leaves out: for a new way to authenticate what the provider presets,
// otherwise what is not secret as it is. The vault knows the rest.
func completeAuth(a Auth, provider providers.Provider, old *Definition) (kind string, fields map[string]string, err error) {
	kind = a.Type
	if kind == "" && old != nil {
		kind = old.Auth.Type
	}
	if kind == "" && len(provider.Auth) > 0 {
		kind = provider.Auth[0].Type
	}
	if kind == "" {
		kind = "none"
	}
	t, err := authtype.Lookup(kind)
	if err != nil {
		return "", nil, err
	}
	fields = maps.Clone(a.Fields)
	if fields == nil {
		fields = map[string]string{}
	}
	if old != nil && old.Auth.Type == kind {
		for _, f := range t.Fields() {
			if _, given := fields[f.Key]; !given && !f.Secret {
				fields[f.Key] = old.Auth.Fields[f.Key]
			}
		}
		return kind, fields, nil
	}
	preset := slices.IndexFunc(provider.Auth, func(p providers.Auth) bool { return p.Type == kind })
	if preset < 0 {
		return kind, fields, nil
	}
	for key, value := range provider.Auth[preset].Fields {
		if _, known := authtype.Find(t, key); known && fields[key] == "" {
			fields[key] = value
		}
	}
	return kind, fields, nil
}

// checkPolicy returns the policy of a draft in canonical form: compact, keys sorted, an object.
func checkPolicy(policy json.RawMessage, provider providers.Provider) (json.RawMessage, error) {
	if len(policy) > maxPolicy {
		return nil, fault.Field("INVALID_POLICY", "policy", "The policy is too long.")
	}
	canonical, err := canonicalObject(policy)
	if err != nil {
		return nil, err
	}
	if _, err := effectivePolicy(canonical, provider); err != nil {
		return nil, err
	}
	return canonical, nil
}

// checkAlternates refuses a fallback to a connection that does not exist, and one that leads back to where it
// came from: two connections that stand in for each other would take each other's outage. A call follows one
// step only, so what arises in another way (two changes at once, a rollback) makes no circle either.
func (s *Service) checkAlternates(slug string, own json.RawMessage, provider providers.Provider) error {
	policy, err := effectivePolicy(own, provider)
	if err != nil {
		return err
	}
	known := &s.snapshot.Load().entries
	for _, a := range alternates(policy) {
		const code = "INVALID_FALLBACK"
		next := known.get(a.slug)
		switch {
		case a.slug == slug:
			return fault.Field(code, a.field, "A connection cannot stand in for itself.").WithValue(a.slug)
		case next == nil:
			return fault.Field(code, a.field, "There is no such connection.").WithValue(a.slug)
		}
		seen := map[string]bool{}
		for queue := []*entry{next}; len(queue) > 0; queue = queue[1:] {
			for _, b := range alternates(queue[0].policy) {
				if b.slug == slug {
					return fault.Field(code, a.field, "This connection stands in for "+slug+" itself, directly or over others.").WithValue(a.slug)
				}
				if e := known.get(b.slug); e != nil && !seen[b.slug] {
					seen[b.slug] = true
					queue = append(queue, e)
				}
			}
		}
	}
	return nil
}

// alternative is a connection that a policy falls back to, and where it says so.
type alternative struct{ slug, field string }

func alternates(p runtime.Policy) []alternative {
	var out []alternative
	if p.Fallback.Connection != "" {
		out = append(out, alternative{p.Fallback.Connection, "policy.fallback.connection"})
	}
	operations, err := p.Resolve()
	if err != nil {
		return out
	}
	for i := range operations {
		if to := operations[i].Effective.Fallback.Connection; to != "" && to != p.Fallback.Connection {
			out = append(out, alternative{to, fmt.Sprintf("policy.operations[%d].policy.fallback.connection", i)})
		}
	}
	return out
}

func canonicalObject(raw json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(raw)) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		return json.RawMessage("{}"), nil
	}
	bad := fault.Field("INVALID_POLICY", "policy", "The policy must be a JSON object.")
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || decoder.More() {
		return nil, bad
	}
	canonical, err := json.Marshal(withoutNulls(object))
	if err != nil {
		return nil, bad
	}
	return canonical, nil
}

// withoutNulls drops members that are null: they say "as the provider has it", which is what leaving them
// out says.
func withoutNulls(object map[string]any) map[string]any {
	for key, value := range object {
		switch value := value.(type) {
		case nil:
			delete(object, key)
		case map[string]any:
			object[key] = withoutNulls(value)
		}
	}
	return object
}

// effectivePolicy is the product's policy under the provider's under the connection's.
func effectivePolicy(own json.RawMessage, provider providers.Provider) (runtime.Policy, error) {
	base, err := ProviderPolicy(provider)
	if err != nil {
		return runtime.Policy{}, err
	}
	return runtime.MergePolicy(base, own)
}

// ProviderPolicy is what a connection of a provider has when it says nothing itself.
func ProviderPolicy(provider providers.Provider) (runtime.Policy, error) {
	policy := runtime.DefaultPolicy()
	var err error
	for _, l := range ProviderLayers(provider) {
		if policy, err = runtime.MergePolicy(policy, l.Patch); err != nil {
			return runtime.Policy{}, fmt.Errorf("connections: the policy of provider %s: %w", provider.Slug, err)
		}
	}
	return policy, nil
}

// HealthRequest is what shows whether a credential works: the request of the policy's health check, else that of the
// provider's, which a policy may have switched off, else one for the base URL.
func HealthRequest(policy runtime.Policy, provider providers.Provider) (method, path string) {
	switch {
	case policy.HealthCheck.Path != "":
		return policy.HealthCheck.Method, policy.HealthCheck.Path
	case provider.Health.Path != "":
		return provider.Health.Method, provider.Health.Path
	}
	return http.MethodGet, "/"
}

// ProviderLayers are what a provider lays over the product's policy: what its facts say about one (its health
// path, how it tells its limits), then its policy.
func ProviderLayers(provider providers.Provider) []runtime.Layer {
	const name = "provider"
	layers := []runtime.Layer{{Name: name, Patch: provider.Policy}}
	facts := map[string]any{}
	if provider.RateLimit.Dialect != "" {
		facts["rate_limit_dialect"] = provider.RateLimit.Dialect
	}
	if h := provider.Health; h.Path != "" {
		check := map[string]string{"path": h.Path}
		if h.Method != "" {
			check["method"] = h.Method
		}
		facts["health_check"] = check
	}
	if len(facts) == 0 {
		return layers
	}
	patch, err := json.Marshal(facts)
	if err != nil {
		return layers
	}
	return append([]runtime.Layer{{Name: name, Patch: patch}}, layers...)
}

// line makes text of a person fit for one line: trimmed, without control characters and without the
// characters that reverse the direction of what follows.
func line(code, field, text string, limit int) (string, error) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029'
	}) {
		return "", fault.Field(code, field, "Use letters, digits and signs only: it contains a character that cannot be shown.")
	}
	if utf8.RuneCountInString(text) > limit {
		return "", fault.Field(code, field, fmt.Sprintf("Use at most %d characters.", limit))
	}
	return text, nil
}

// reasonLine checks the reason of a change. There may be none: forms ask for one, programs may not have it.
func reasonLine(reason string) (string, error) {
	return line("INVALID_REASON", "reason", reason, maxReason)
}

// checkAccount checks the name of an account; empty is the default one.
func checkAccount(name string) (string, error) {
	if name == "" {
		name = "default"
	}
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$`).MatchString(name) {
		return "", fault.Field("INVALID_ACCOUNT", "account", "Use 1 to 128 letters, digits and the signs . _ : @ - for the name of an account.")
	}
	return name, nil
}
