package console

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/connections"
)

func TestChecklistPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	viewer := s.signedIn(t, access.RoleViewer)
	s.create(t, "stripe", "Stripe live")
	const page = "/connections/stripe/checklist"
	get := func(client *http.Client, path string) string {
		t.Helper()
		status, _, text := s.do(t, client, http.MethodGet, path, nil)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", path, status)
		}
		return text
	}
	text := get(owner, page)
	for _, want := range []string{
		"1 of 12 done for v1.", "0 of 7 are filled in; missing: owner, purpose", `href="/connections/stripe/requirements/edit"`, "this version runs no drills", "1/12",
		"0 webhook sources belong to this connection", "Unknown is never a pass.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if missing, done := strings.Index(text, "row-requirements"), strings.Index(text, "row-webhooks"); missing < 0 || done < missing {
		t.Error("what is missing does not come first")
	}
	if text := get(viewer, page); strings.Contains(text, "requirements/edit") {
		t.Error("a viewer is led where they may not go")
	}

	// Requirements and contacts filled in: the items follow.
	if status, _, body := s.submit(t, owner, "/connections/stripe/requirements/edit", requirementsForm("1")); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, body)
	}
	if text := get(owner, page+"/requirements"); !strings.Contains(text, "7 of 7: owner Payments team") || !strings.Contains(text, "Pass") {
		t.Error("the filled requirements do not pass")
	}
	if text := get(owner, page+"/monitoring"); !strings.Contains(text, "nobody attests it") || !strings.Contains(text, page+"/monitoring/attest") {
		t.Error("monitoring cannot be attested")
	}
	if text := get(viewer, page+"/monitoring"); strings.Contains(text, page+"/monitoring/attest") {
		t.Error("a viewer is offered to attest")
	}
	say := func(client *http.Client, path string, form url.Values, want int, words string) {
		t.Helper()
		status, header, body := s.submit(t, client, page+path, form)
		if status != want || !strings.Contains(body, words) {
			t.Errorf("%s: %d, want %d with %q", path, status, want, words)
		}
		if status == http.StatusSeeOther && !strings.HasPrefix(page+path, header.Get("Location")) {
			t.Errorf("%s leads to %s", path, header.Get("Location"))
		}
	}
	good := url.Values{"reason": {"An alert came through."}, "days": {"14"}}
	say(owner, "/monitoring/attest", url.Values{"reason": {" "}, "days": {"14"}}, http.StatusBadRequest, "Say why.")
	say(owner, "/monitoring/attest", url.Values{"reason": {"Because."}, "days": {"soon"}}, http.StatusBadRequest, "from 1 to 30")
	say(owner, "/monitoring/attest", url.Values{"reason": {"Because."}, "days": {"14"}, "config_hash": {"old"}}, http.StatusConflict, "Look at it again")
	say(owner, "/retry/attest", good, http.StatusConflict, "only a drill can prove it")
	say(owner, "/nothing/attest", good, http.StatusNotFound, "")
	say(viewer, "/monitoring/attest", good, http.StatusForbidden, "")
	say(owner, "/monitoring/attest", good, http.StatusSeeOther, "")
	if text := get(owner, page+"/monitoring"); !strings.Contains(text, "An alert came through.") || !strings.Contains(text, "owner@example.com") || !strings.Contains(text, "/monitoring/withdraw") {
		t.Error("the attestation is not shown")
	}
	say(owner, "/retry/exempt", url.Values{"reason": {"The vendor retries."}, "days": {"14"}}, http.StatusSeeOther, "")
	if text := get(owner, page+"/retry"); !strings.Contains(text, "approved by owner@example.com: The vendor retries.") {
		t.Error("the exemption is not shown")
	}
	say(owner, "/retry/withdraw", url.Values{"reason": {"Done."}}, http.StatusSeeOther, "")
	say(owner, "/retry/withdraw", url.Values{"reason": {"Done."}}, http.StatusConflict, "Nobody attests or exempts")

	// The same in lists: badge, matrix and export.
	for _, path := range []string{"/connections", "/", "/checklist", "/checklist?verdict=nonsense&item=nonsense&sort=nonsense&page=x"} {
		if text := get(viewer, path); !strings.Contains(text, "3/12") {
			t.Errorf("%s has no badge", path)
		}
	}
	if text := get(viewer, "/checklist?verdict=fail&item=requirements"); !strings.Contains(text, "No connection matches.") {
		t.Error("the filter keeps what does not fail")
	}
	if status, _, fragment := s.do(t, viewer, http.MethodGet, "/checklist", nil, "HX-Request", "true"); status != http.StatusOK || strings.Contains(fragment, "<html") {
		t.Errorf("fragment: %d", status)
	}
	if status, _, fragment := s.do(t, viewer, http.MethodGet, page, nil, "HX-Request", "true"); status != http.StatusOK || strings.Contains(fragment, "<html") {
		t.Errorf("fragment: %d", status)
	}
}

// A name that a spreadsheet would take for a formula stays text.
func TestChecklistExport(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	s.create(t, "evil", `=HYPERLINK("https://evil.example","x")`)
	s.create(t, "good", "Good, \"quoted\"")
	if _, err := s.checklist.Of(t.Context(), access.System(), "evil"); err != nil {
		t.Fatal(err)
	}
	status, header, text := s.do(t, client, http.MethodGet, "/checklist/export?sort=name", nil)
	if status != http.StatusOK || header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(header.Get("Content-Disposition"), "checklist.csv") {
		t.Fatalf("%d %v", status, header)
	}
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) != 3 || len(rows[0]) != 19 || len(rows[1]) != 19 || rows[0][7] != "requirements" {
		t.Fatalf("%v %v", rows, err)
	}
	if rows[1][1] != `'=HYPERLINK("https://evil.example","x")` || rows[1][7] != "fail" || rows[2][1] != `Good, "quoted"` || rows[2][6] != "" {
		t.Errorf("%v", rows)
	}
	for text, want := range map[string]string{"": "", "a": "a", "+1": "'+1", "-1": "'-1", "@a": "'@a", "\ta": "'\ta"} {
		if got := noFormula(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestChecklistOfNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := s.signedIn(t, access.RoleOwner)
	if _, _, text := s.do(t, client, http.MethodGet, "/checklist", nil); !strings.Contains(text, "No connections yet.") {
		t.Error("an empty matrix does not say so")
	}
	if status, _, _ := s.do(t, client, http.MethodGet, "/connections/nothing/checklist", nil); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
	if _, err := s.connections.Create(t.Context(), access.System(), connections.Draft{Name: "A", BaseURL: "https://a.example", Auth: connections.Auth{Type: "none"}}, ""); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := s.do(t, client, http.MethodGet, "/connections/a/checklist/nothing", nil); status != http.StatusNotFound {
		t.Errorf("%d", status)
	}
}
