package connections

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"switchgear/web/templates/health"
	"switchgear/web/templates/ui"
)

// elements are those of a page as a browser without scripts has it, which has the most of them.
func elements(t *testing.T, s ui.State) []*html.Node {
	t.Helper()
	var b bytes.Buffer
	if err := s.View.Render(t.Context(), &b); err != nil {
		t.Fatalf("%s: %s: %v", s.Group, s.Name, err)
	}
	root, err := html.ParseWithOptions(&b, html.ParseOptionEnableScripting(false))
	if err != nil {
		t.Fatal(err)
	}
	var out []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

func find(t *testing.T, group, name string) []*html.Node {
	t.Helper()
	for _, s := range Gallery() {
		if s.Group == group && s.Name == name {
			return elements(t, s)
		}
	}
	t.Fatalf("the gallery has no state %q of %q", name, group)
	return nil
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func within(n *html.Node, tag string) *html.Node {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == tag {
			return p
		}
	}
	return nil
}

// controls lists the names that the form with an action sends, sorted, once each.
func controls(all []*html.Node, action string) []string {
	var names []string
	for _, n := range all {
		if form := within(n, "form"); form != nil && attribute(form, "action") == action && attribute(n, "name") != "" {
			names = append(names, attribute(n, "name"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestFormsSendWhatTheServerReads(t *testing.T) {
	t.Parallel()
	definition := []string{
		"auth.token", "auth_type", "base_url", "change", "environment", "expires_on", "kind", "log_bodies", "name", "policy", "policy.attempt_timeout",
		"policy.fallback.connection", "policy.health_check.enabled", "policy.health_check.every", "policy.health_check.expected_status", "policy.health_check.method",
		"policy.health_check.path", "policy.health_check.timeout", "policy.hedge.after", "policy.retry.max_attempts", "policy.timeout", "provider", "require_checklist",
	}
	for action, tt := range map[string]struct {
		page []*html.Node
		want []string
	}{
		"/connections/new":                         {find(t, "Connection form", "new"), append(slices.Clone(definition), "slug")},
		"/connections/stripe/edit":                 {find(t, "Connection form", "edit"), append(slices.Clone(definition[:len(definition)-1]), "reason", "require_checklist", "slug", "version")},
		"/connections/stripe/duplicate":            {find(t, "Connection form", "duplicate"), []string{"name", "slug"}},
		"/connections/stripe/accounts":             {find(t, "Connection page, accounts", "two"), []string{"account", "auth.token", "auth_type", "change", "expires_on", "reason"}},
		"/connections/stripe/accounts/acme/delete": {find(t, "Connection page, accounts", "two"), []string{"reason"}},
		"/connections/stripe/pause":                {find(t, "Connection page", "in use"), []string{"reason"}},
		"/connections/stripe/resume":               {find(t, "Connection page", "paused"), []string{"reason"}},
		"/connections/stripe/delete":               {find(t, "Connection page", "in use"), []string{"confirm", "reason"}},
		"/connections/stripe/versions/17/activate": {find(t, "Rollback page", "preview"), []string{"reason", "version"}},
		"/connections/stripe/versions":             {find(t, "Connection page, versions", "many"), []string{"a", "b"}},
	} {
		if diff := cmp.Diff(tt.want, controls(tt.page, action)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action, diff)
		}
	}
}

// The Enter key saves: the first button of a form with several is the one that does what the form is for.
func TestEnterSaves(t *testing.T) {
	t.Parallel()
	for _, s := range Gallery() {
		seen := map[*html.Node]bool{}
		for _, n := range elements(t, s) {
			form := within(n, "form")
			if form == nil || seen[form] || n.Data != "button" || attribute(n, "type") != "submit" || attribute(n, "formmethod") == "dialog" {
				continue
			}
			seen[form] = true
			if attribute(n, "name") != "" {
				t.Errorf("%s, %s: Enter in the form to %s presses %q", s.Group, s.Name, attribute(form, "action"), attribute(n, "name"))
			}
		}
	}
}

// No field of a secret holds a value, whatever the view says.
func TestSecretsHaveNoValue(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"text", "secret", "textarea", "headers"} {
		f := AuthField{Name: "x", Type: kind, Secret: true, Set: true, Required: true, Value: "hunter2"}.field("")
		if f.Value != "" || f.Required || f.Placeholder != "stored; leave empty to keep" {
			t.Errorf("%s: value %q, required %v, placeholder %q", kind, f.Value, f.Required, f.Placeholder)
		}
	}
}

func TestErrorsFindTheirControl(t *testing.T) {
	t.Parallel()
	v := editForm()
	v.Auth = append(v.Auth, AuthField{Name: "headers"})
	v.Errors = Errors{
		"": "whole", "name": "n", "auth.token": "t", "auth.fields.headers.X-A": "h", "auth.fields.unknown": "u", "auth.type": "y",
		"policy": "p", "policy.timeout": "o", "policy.breaker.window": "w", "provider": "r",
	}
	want := Errors{
		"": "whole r", "name": "n", "auth.token": "t", "auth.headers": "h", "auth_type": "u y",
		"policy": "p breaker.window: w", "policy.timeout": "o",
	}
	if diff := cmp.Diff(want, v.problems()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Every message of the summary leads to a control that exists.
func TestSummaryLeadsToControls(t *testing.T) {
	t.Parallel()
	for _, s := range Gallery() {
		all := elements(t, s)
		for _, n := range all {
			id, ok := strings.CutPrefix(attribute(n, "href"), "#f-")
			if ok && !slices.ContainsFunc(all, func(e *html.Node) bool { return attribute(e, "id") == "f-"+id }) {
				t.Errorf("%s, %s: nothing is called f-%s", s.Group, s.Name, id)
			}
		}
	}
}

// Who may only read is offered nothing but reading.
func TestReadersSeeNoActions(t *testing.T) {
	t.Parallel()
	for _, s := range Gallery() {
		if !strings.Contains(s.Name, "read-only") {
			continue
		}
		for _, n := range elements(t, s) {
			if n.Data == "form" && attribute(n, "method") == "post" && attribute(n, "action") != "/sign-out" {
				t.Errorf("%s, %s: form to %s", s.Group, s.Name, attribute(n, "action"))
			}
			if href := attribute(n, "href"); strings.HasSuffix(href, "/new") || strings.HasSuffix(href, "/edit") || strings.HasSuffix(href, "/rollback") {
				t.Errorf("%s, %s: link to %s", s.Group, s.Name, href)
			}
		}
	}
}

// A button that opens a dialog is a link to the page with the same question, and the dialog posts there.
func TestDialogsHaveAPage(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range Gallery() {
		all, actions := elements(t, s), map[string]string{}
		for _, n := range all {
			if dialog := within(n, "dialog"); n.Data == "form" && dialog != nil {
				actions[attribute(dialog, "id")] = attribute(n, "action")
			}
		}
		for _, n := range all {
			if opens := attribute(n, "data-open"); opens != "" {
				found++
				if attribute(n, "href") != actions[opens] {
					t.Errorf("%s, %s: %q opens %s, which posts to %q", s.Group, s.Name, attribute(n, "href"), opens, actions[opens])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no dialog in the gallery")
	}
}

func TestGenericComesFirst(t *testing.T) {
	t.Parallel()
	rows := ChooseView{Providers: []Provider{{Slug: "a"}, {Slug: "b"}, {Slug: generic}, {Slug: "c"}}}.rows()
	got := make([]string, len(rows))
	for i, r := range rows {
		got[i] = r.ID
	}
	if diff := cmp.Diff([]string{generic, "a", "b", "c"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is known of a new connection is as exact as its outage.
func TestKnownIsAsExactAsOutages(t *testing.T) {
	t.Parallel()
	at := now()
	v := HealthView{Now: at, Courses: []HealthCourse{{Label: "24 hours", Known: 7 * time.Second, Outages: []HealthOutage{{health.StateDown, at.Add(-7 * time.Second), at}}}}}
	var known, outages strings.Builder
	cells := v.courses()[0].Cells
	if err := errors.Join(cells[3].Render(t.Context(), &known), cells[4].Render(t.Context(), &outages)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(known.String(), "7 s") || !strings.Contains(outages.String(), "1 outage, 7 s") {
		t.Errorf("known: %s, outages: %s", &known, &outages)
	}
}
