package connect

import (
	"maps"
	"strings"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

func (w *world) exec(query string) {
	w.t.Helper()
	err := w.db.InTx(w.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(w.t.Context(), query)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// recorded are the entries about links, the newest first.
func (w *world) recorded() []audit.Entry {
	w.t.Helper()
	page, err := w.log.Search(w.t.Context(), audit.Query{Text: "connect_link", Page: 1, Limit: 10})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Entries
}

// Who made and who withdrew a link is on record; the link is not.
func TestLinksAreRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	actor := admin()
	actor.IP = "192.0.2.7"
	s, link, err := w.CreateSession(t.Context(), actor, NewSession{
		Connection: "github", Account: "acme", Label: "For Acme", Scopes: []string{"read"}, ReturnURL: "https://app.example.com/done?x=1", ChannelID: "ach_1", Life: 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // Withdrawing what is withdrawn changes nothing.
		if err := w.RevokeSession(t.Context(), actor, s.ID); err != nil {
			t.Fatal(err)
		}
	}
	entries := w.recorded()
	if len(entries) != 2 || entries[0].Action != "connect_link.withdraw" || entries[1].Action != "connect_link.create" {
		t.Fatalf("recorded %+v", entries)
	}
	want := map[string]string{
		"connection": "github", "account": "acme", "for": "For Acme", "scopes": "read", "leads_back_to": "app.example.com", "tells": "ach_1", "valid_until": "2026-11-25T03:00:00Z",
	}
	_, token, _ := strings.Cut(link, "/connect/")
	for _, e := range entries {
		if e.Actor.ID != "usr_1" || e.IP != "192.0.2.7" || e.Target != (audit.Target{Kind: "connect_link", ID: s.ID, Name: "account acme of github"}) || !maps.Equal(e.Details, want) {
			t.Errorf("recorded %+v", e)
		}
		for _, text := range e.Details {
			if strings.Contains(text, token) {
				t.Error("the record holds the link")
			}
		}
	}
}

// The right is asked for within the change: whoever lost it meanwhile makes no link and withdraws none, and
// nothing is recorded.
func TestLinksNeedTheRightNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO api_keys (id, name, mac, scopes, created_by, created_at, search) VALUES ('key_1', 'k', 'm', '[]', '', 0, '')`)
	key := access.Key{ID: "key_1", Name: "k", Scopes: []access.Scope{access.ScopeAPIWrite}}.Actor("192.0.2.1")
	s, _ := w.link(NewSession{Account: "acme"})
	made := len(w.recorded())
	refused := func(a access.Actor, kind fault.Kind) {
		t.Helper()
		if _, _, err := w.CreateSession(t.Context(), a, NewSession{Connection: "github", Account: "acme"}); !fault.Is(err, kind) {
			t.Errorf("made: %v", err)
		}
		if err := w.RevokeSession(t.Context(), a, s.ID); !fault.Is(err, kind) {
			t.Errorf("withdrawn: %v", err)
		}
		if got := len(w.recorded()); got != made {
			t.Errorf("%d entries, want %d", got, made)
		}
		if got, err := w.Session(t.Context(), admin(), s.ID); err != nil || got.Status != SessionPending {
			t.Errorf("%+v, %v", got, err)
		}
	}
	w.exec(`UPDATE users SET role = 'operator' WHERE id = 'usr_1'`)
	refused(admin(), fault.Forbidden)
	w.exec(`UPDATE users SET role = 'admin', disabled_at = 1 WHERE id = 'usr_1'`)
	refused(admin(), fault.Unauthenticated)
	w.exec(`UPDATE api_keys SET revoked_at = 1 WHERE id = 'key_1'`)
	refused(key, fault.Unauthenticated)
	w.exec(`UPDATE api_keys SET revoked_at = NULL WHERE id = 'key_1'`)
	if err := w.RevokeSession(t.Context(), key, s.ID); err != nil {
		t.Error(err)
	}
}
