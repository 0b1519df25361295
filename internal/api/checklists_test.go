package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestChecklists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	w.create("billing")
	const path = "/api/v1/connections/stripe/checklist"
	detail := func(got answer) (out ChecklistDetail) {
		t.Helper()
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		got.decode(t, &out)
		return out
	}
	list := detail(w.get(path))
	if list.Connection != "stripe" || list.Total != 12 || len(list.Details) != 12 || len(list.Items) != 12 || list.Items["webhooks"] != "exempt" || list.JudgedAt.IsZero() {
		t.Errorf("%+v", list.ChecklistSummary)
	}
	if first := list.Details[0]; first.ID != "requirements" || first.Verdict != "fail" || !strings.Contains(first.Message, "0 of 7") || first.Configured.Measured != "0 of 7" {
		t.Errorf("%+v", first)
	}
	w.do(http.MethodPatch, "/api/v1/connections/stripe", `{"documentation":{"contacts":[{"name":"On call","reach":"ops@example.com"}]}}`, "Content-Type", "application/merge-patch+json")
	var channel AlertChannel
	w.do(http.MethodPost, "/api/v1/alert-channels", `{"name":"chat","kind":"slack","settings":{"url":"https://hooks.example.com/x"}}`).decode(t, &channel)
	w.do(http.MethodPut, "/api/v1/alert-rules/arl_default_connection_down", `{"name":"Connection down","kind":"connection_down","channels":["`+channel.ID+`"]}`)
	list = detail(w.do(http.MethodPost, path+"/monitoring/attest", `{"reason":"An alert came.","days":14}`))
	if got := list.Details[8]; got.Verdict != "pass" || got.Stage != "proven" || len(got.Evidence) != 1 || got.Evidence[0].Actor.Name != "deploy" || got.Evidence[0].Message != "An alert came." {
		t.Errorf("%+v", got)
	}
	list = detail(w.do(http.MethodPost, path+"/retry/exempt", `{"reason":"The vendor retries.","days":7}`))
	if list.Items["retry"] != "exempt" || list.Done != 3 {
		t.Errorf("%+v", list.ChecklistSummary)
	}
	for name, c := range map[string]struct {
		path, body, code string
		status           int
	}{
		"not attestable": {path + "/retry/attest", `{"reason":"x","days":1}`, "NOT_ATTESTABLE", 409},
		"old":            {path + "/retry/exempt", `{"reason":"x","days":1,"config_hash":"old"}`, "CONFIGURATION_CHANGED", 409},
		"too long":       {path + "/retry/exempt", `{"reason":"x","days":181}`, "INVALID_DAYS", 400},
		"no reason":      {path + "/retry/exempt", `{"reason":" ","days":1}`, "REASON_MISSING", 400},
		"no item":        {path + "/nothing/exempt", `{"reason":"x","days":1}`, "ITEM_NOT_FOUND", 404},
		"no connection":  {"/api/v1/connections/nothing/checklist/retry/exempt", `{"reason":"x","days":1}`, "CONNECTION_NOT_FOUND", 404},
	} {
		if got := w.do(http.MethodPost, c.path, c.body); got.status != c.status || got.failure(t).Code != c.code {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := w.send(http.MethodPost, path+"/retry/exempt", w.read, `{"reason":"x","days":1}`); got.status != http.StatusForbidden {
		t.Errorf("a key that reads exempts: %d", got.status)
	}
	if got := w.get("/api/v1/connections/nothing/checklist"); got.status != http.StatusNotFound {
		t.Errorf("%d", got.status)
	}

	var page struct {
		Data []ChecklistSummary
		Meta Meta
	}
	for query, want := range map[string]string{
		"": "billing stripe", "?sort=-done": "stripe billing", "?limit=1&page=2&sort=name": "stripe", "?filter[verdict]=exempt&filter[item]=retry": "stripe", "?filter[search]=bill": "billing",
		"?filter[environment]=staging": "",
	} {
		w.get("/api/v1/checklists"+query).decode(t, &page)
		slugs := make([]string, 0, len(page.Data))
		for _, s := range page.Data {
			slugs = append(slugs, s.Connection)
		}
		if got := strings.Join(slugs, " "); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"?sort=verdict", "?filter[verdict]=maybe", "?filter[item]=nothing", "?filter[environment]=moon"} {
		if got := w.get("/api/v1/checklists" + query); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, got.status)
		}
	}
}

// A connection that requires its checklist begins paused; resuming it says what is open, until nothing is.
func TestRequiredChecklist(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/api/v1/connections/live"
	made := w.do(http.MethodPost, "/api/v1/connections",
		`{"name":"Live","slug":"live","environment":"production","require_checklist":true,"base_url":"https://api.example.com","auth":{"type":"none"}}`)
	if c := made.connection(t); made.status != http.StatusCreated || c.Status != "paused" || !c.RequireChecklist {
		t.Fatalf("%d %s", made.status, made.body)
	}
	got := w.do(http.MethodPost, path+"/resume", "")
	if f := got.failure(t); got.status != http.StatusConflict || f.Code != "CHECKLIST_INCOMPLETE" || !strings.Contains(f.Message, "1 Requirements defined (fail); ") ||
		!strings.Contains(f.Message, "12 Rollback plan defined (fail)") || strings.Contains(f.Message, "Webhooks") || f.Details.Suggestion == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	var list ChecklistDetail
	w.get(path+"/checklist").decode(t, &list)
	for _, item := range list.Details {
		if item.Verdict != "pass" && item.Verdict != "exempt" {
			if got := w.do(http.MethodPost, path+"/checklist/"+item.ID+"/exempt", `{"reason":"for the test","days":1}`); got.status != http.StatusOK {
				t.Errorf("%s: %d %s", item.ID, got.status, got.body)
			}
		}
	}
	if got := w.do(http.MethodPost, path+"/resume", ""); got.status != http.StatusOK || got.connection(t).Status != "active" {
		t.Errorf("with nothing open: %d %s", got.status, got.body)
	}
	if got := w.do(http.MethodPatch, path, `{"name":"Live 2"}`, "Content-Type", "application/merge-patch+json"); got.status != http.StatusOK || !got.connection(t).RequireChecklist {
		t.Errorf("a patch of something else: %d %s", got.status, got.body)
	}
}
