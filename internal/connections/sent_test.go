package connections

import (
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

func TestRecordSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("stripe")
	before := len(w.entries())
	sent := Sent{CallID: "req_1", Account: "default", Method: "POST", Path: "/v1/charges?token=secret"}
	for role, allowed := range map[access.Role]bool{
		access.RoleOwner: true, access.RoleAdmin: true, access.RoleOperator: true, access.RoleViewer: false, access.RoleAuditor: false,
	} {
		err := w.RecordSent(t.Context(), w.user(role), "stripe", sent)
		if allowed && err != nil || !allowed && !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", role, err)
		}
	}
	if err := w.RecordSent(t.Context(), admin(), "nothing", sent); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown connection: %v", err)
	}
	entries := w.entries()
	found := 0
	for _, e := range entries {
		if e.Action != "connection.send" {
			continue
		}
		found++
		if e.Target.Name != "stripe" || e.Details["method"] != "POST" || e.Details["path"] != "/v1/charges" || e.Details["call"] != "req_1" || e.Actor.Name == "" {
			t.Errorf("%+v", e)
		}
		if strings.Contains(strings.Join([]string{e.Details["path"], e.Reason}, " "), "secret") {
			t.Errorf("a query is in the record: %+v", e)
		}
	}
	if found != 3 || len(entries) < before {
		t.Errorf("%d entries, want 3", found)
	}
}
