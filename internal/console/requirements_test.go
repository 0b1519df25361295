package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"switchgear/internal/access"
)

func requirementsForm(version string) url.Values {
	return url.Values{
		"version": {version}, "requirements.owner": {"Payments team"}, "requirements.purpose": {"Charges cards."}, "requirements.data_class": {"personal"},
		"requirements.criticality": {"critical"}, "requirements.slo.availability": {"99.9"}, "requirements.slo.p95": {"800ms"},
		"requirements.expected_volume.calls": {"90"}, "requirements.expected_volume.per": {"1m"},
		"documentation.runbook": {"# Failing\n\n<script>alert(1)</script>\n\n[x](javascript:y) **look**"}, "documentation.contacts": {"On call: ops@example.com\n\nVendor: https://help.example.com"},
		"documentation.status_url": {"https://status.example.com"}, "reason": {"written down"},
	}
}

func (s *site) submit(t *testing.T, client *http.Client, path string, form url.Values) (int, http.Header, string) {
	t.Helper()
	return s.do(t, client, http.MethodPost, path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
}

func TestRequirementsPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "stripe", "Stripe live")
	const page = "/connections/stripe/requirements"
	if _, _, text := s.do(t, client, http.MethodGet, page, nil); !strings.Contains(text, "No runbook yet.") || !strings.Contains(text, "not said yet") {
		t.Error("an empty page does not say so")
	}
	status, header, text := s.submit(t, client, page+"/edit", requirementsForm("1"))
	if status != http.StatusSeeOther || header.Get("Location") != page {
		t.Fatalf("%d %s", status, text)
	}
	_, _, text = s.do(t, client, http.MethodGet, page, nil)
	for _, want := range []string{
		"Payments team", "99.9 %", "800 ms", "90 calls in 1 min", "<h3>Failing</h3>", "<strong>look</strong>", "ops@example.com", "https://help.example.com",
		`href="https://status.example.com" rel="noopener noreferrer"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, never := range []string{"alert(1)", "javascript:y"} {
		if strings.Contains(text, never) {
			t.Errorf("%q is in the page", never)
		}
	}
	if _, _, form := s.do(t, client, http.MethodGet, page+"/edit", nil); !strings.Contains(form, "Vendor: https://help.example.com") || !strings.Contains(form, `value="99.9"`) {
		t.Error("the form does not show what is stored")
	}

	// What is wrong is said beside the field, and what was entered stays.
	for field, c := range map[string]struct{ value, message string }{
		"requirements.slo.availability":      {"a lot", "Write a number"},
		"requirements.slo.p95":               {"800", "with its unit"},
		"requirements.expected_volume.calls": {"many", "whole number"},
		"requirements.expected_volume.per":   {"", "Say in which time"},
		"documentation.contacts":             {"Ada", "how to reach Ada"},
		"documentation.docs_url":             {"docs.example.com", "not a web address"},
	} {
		form := requirementsForm("2")
		form.Set(field, c.value)
		status, _, text := s.submit(t, client, page+"/edit", form)
		if status != http.StatusBadRequest || !strings.Contains(text, c.message) || !strings.Contains(text, `id="f-`+field+`-error"`) || !strings.Contains(text, "Charges cards.") {
			t.Errorf("%s: %d, %s", field, status, c.message)
		}
	}
	if status, _, text := s.submit(t, client, page+"/edit", requirementsForm("1")); status != http.StatusConflict || !strings.Contains(text, "Somebody saved another version") {
		t.Errorf("an old version: %d", status)
	}
}
