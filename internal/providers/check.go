package providers

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check records everything that is wrong with p.
func (f *file) check(p Provider) {
	if want := strings.TrimSuffix(path.Base(f.name), ".yaml"); p.Slug != want {
		f.addf("slug", "%q is not the name of the file", p.Slug)
	}
	if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(p.Slug) {
		f.addf("slug", "only lower-case letters and digits, in words joined by hyphens")
	}
	f.text("name", p.Name)
	f.text("summary", p.Summary)
	f.oneOf("kind", p.Kind, kinds())
	f.oneOf("category", p.Category, categories())

	// A generic provider stands for any system: it has no vendor, and only the user knows its address.
	generic := p.Category == "generic"
	if p.Docs != "" || !generic {
		f.link("docs", p.Docs, false)
	}
	switch {
	case p.BaseURL != "":
		f.link("base_url", p.BaseURL, p.BaseURLEditable)
		if strings.ContainsAny(p.BaseURL, "?#") || strings.HasSuffix(p.BaseURL, "/") {
			f.addf("base_url", "no query, no fragment, no slash at the end: paths are appended")
		}
	case !generic:
		f.addf("base_url", "is missing")
	case !p.BaseURLEditable:
		f.addf("base_url_editable", "must be true: there is no base_url")
	}

	f.checkAuth(p)
	f.optional("rate_limit.dialect", p.RateLimit.Dialect, Dialects())
	f.optional("pagination", p.Pagination, paginations())
	f.optional("webhook", p.Webhook, WebhookSchemes())
	f.checkHealth(p.Health)
	f.checkPolicy()
}

func (f *file) checkAuth(p Provider) {
	if len(p.Auth) == 0 {
		f.addf("auth", "is missing; a system that wants no credential says type: none")
	}
	for i, a := range p.Auth {
		at := fmt.Sprintf("auth[%d]", i)
		known, ok := presets(a.Type)
		if !ok {
			f.addf(at+".type", "%q is no auth type", a.Type)
			continue
		}
		f.text(at+".label", a.Label)
		same := func(b Auth) bool { return a.Type == b.Type && a.Label == b.Label }
		if slices.ContainsFunc(p.Auth[:i], same) {
			f.addf(at, "repeats an entry above")
		}
		for _, key := range slices.Sorted(maps.Keys(a.Fields)) {
			if !slices.Contains(known, key) {
				f.addf(at+".fields."+key, "%s has no field of that name to preset", a.Type)
				continue
			}
			f.checkPreset(at+".fields."+key, key, a.Fields[key])
		}
		// The generic providers leave to the user what others preset.
		for _, key := range required(a.Type) {
			if a.Fields[key] == "" && p.Category != "generic" {
				f.addf(at+".fields", "%s is missing", key)
			}
		}
	}
}

func (f *file) checkPreset(at, key, value string) {
	switch {
	case value == "" || value != strings.TrimSpace(value):
		f.addf(at, "is empty or has spaces around it")
	case choices(key) != nil:
		f.oneOf(at, value, choices(key))
	case key == "issuer" || strings.HasSuffix(key, "_url"):
		// An endpoint may have placeholders of its own, such as the tenant.
		f.link(at, value, true)
	case key == "token_lifetime":
		if n, err := strconv.Atoi(value); err != nil || n < 60 || strconv.Itoa(n) != value {
			f.addf(at, "is not a number of seconds, 60 at least")
		}
	case key == "token_path":
		if slices.Contains(strings.Split(value, "."), "") || strings.ContainsAny(value, " /$[]") {
			f.addf(at, "is not names joined by dots")
		}
	case key == "scopes":
		if strings.Contains(value, ",") || strings.Join(strings.Fields(value), " ") != value {
			f.addf(at, "scopes are separated by single spaces")
		}
	}
}

func (f *file) checkHealth(h Health) {
	if h == (Health{}) {
		return
	}
	if h.Method != http.MethodGet && h.Method != http.MethodHead {
		f.addf("health.method", "%q is neither GET nor HEAD: looking must change nothing", h.Method)
	}
	u, err := url.Parse(h.Path)
	if err != nil || u.Host != "" || u.Fragment != "" || !strings.HasPrefix(h.Path, "/") || strings.ContainsAny(h.Path, "{} ") {
		f.addf("health.path", "%q is not a path that starts with one slash and needs nothing filled in", h.Path)
	}
}

// checkPolicy looks at what a provider file gets wrong easily; the engine's own validation is complete.
func (f *file) checkPolicy() {
	for _, key := range slices.Sorted(maps.Keys(f.policy)) {
		at, value := "policy."+key, f.policy[key]
		switch key {
		case "timeout", "attempt_timeout", "rate_limit_wait":
			f.duration(at, value)
		case "rate_limit_max_hold":
			f.duration(at, value)
		case "rate_limit_reserve":
			if n, ok := value.(uint64); !ok || n == 0 {
				f.addf(at, "is not a positive number")
			}
		case "rate_limit_hold":
			text, _ := value.(string)
			f.oneOf(at, text, []string{"connection", "credential"})
		case "outcomes", "operations":
			if _, ok := value.([]any); !ok {
				f.addf(at, "is not a list")
			}
		case "retry", "breaker", "bulkhead", "cache":
			if _, ok := value.(map[string]any); !ok {
				f.addf(at, "is not a mapping")
			}
		case "rate_limits":
			list, ok := value.([]any)
			if !ok {
				f.addf(at, "is not a list")
			}
			for i, item := range list {
				f.rateLimit(fmt.Sprintf("%s[%d]", at, i), item)
			}
		default:
			f.addf(at, "is no part of a policy")
		}
	}
}

func (f *file) rateLimit(at string, item any) {
	limit, _ := item.(map[string]any)
	if n, ok := limit["requests"].(uint64); !ok || n == 0 {
		f.addf(at+".requests", "is not a positive number")
	}
	f.duration(at+".per", limit["per"])
	if scope, ok := limit["scope"]; ok {
		text, _ := scope.(string)
		f.oneOf(at+".scope", text, []string{"connection", "operation", "credential"})
	}
}

func (f *file) duration(at string, value any) {
	text, _ := value.(string)
	if d, err := time.ParseDuration(text); err != nil || d <= 0 {
		f.addf(at, "is not a positive duration such as 10s")
	}
}

// text checks a line that people read.
func (f *file) text(at, value string) {
	if value == "" || value != strings.TrimSpace(value) || strings.ContainsAny(value, "\n\t") {
		f.addf(at, "is missing, or not one trimmed line")
	}
}

func (f *file) oneOf(at, value string, known []string) {
	if !slices.Contains(known, value) {
		f.addf(at, "%q is not one of %s", value, strings.Join(known, ", "))
	}
}

func (f *file) optional(at, value string, known []string) {
	if value != "" {
		f.oneOf(at, value, known)
	}
}

// link checks an https address. Placeholders stand for a part of the host or a segment of the path.
func (f *file) link(at, value string, placeholders bool) {
	filled := regexp.MustCompile(`\{[a-z][a-z0-9_]*\}`).ReplaceAllString(value, "x")
	if filled != value && !placeholders {
		f.addf(at, "%q has placeholders; base_url_editable must be true", value)
	}
	u, err := url.Parse(filled)
	switch {
	case err != nil || strings.ContainsAny(filled, "{} "):
		f.addf(at, "%q is not an address", value)
	case u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		f.addf(at, "%q is not an https address without user and fragment", value)
	}
}
