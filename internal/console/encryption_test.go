package console

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/audit"
)

// Whoever rotates keys gives a reason and the password once more; nothing happens without either.
func TestKeysAreRotatedWithAPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	page := s.get(t, owner, "/settings/keys")
	says(t, "the page", page, "kek_", "Rotate data key", "Rotate master key", "not yet", `data-live="key_rotation"`)
	before := found(page, `(kek_[0-9a-f]{8})`)[0]
	says(t, "the question", s.get(t, owner, "/settings/keys/data"), "Rotate the data key?", `name="password"`, `name="reason"`)

	for name, form := range map[string]url.Values{
		"no password":    {"reason": {"yearly"}},
		"wrong password": {"reason": {"yearly"}, "password": {"something else entirely"}},
		"no reason":      {"password": {password}},
	} {
		for _, what := range []string{"data", "master", "destroy", "pause", "resume"} {
			if status, _, text := s.submit(t, owner, "/settings/keys/"+what, form); status != http.StatusBadRequest && status != http.StatusTooManyRequests || strings.Contains(text, password) {
				t.Errorf("%s, %s: %d", name, what, status)
			}
		}
	}
	if page, err := s.audit.Search(t.Context(), audit.Query{Target: "keys"}); err != nil || page.Total != 0 {
		t.Errorf("%d entries, %v", page.Total, err)
	}
	if again := s.get(t, owner, "/settings/keys"); !strings.Contains(again, before) || strings.Contains(again, "kek_00000000") {
		t.Error("the master key is another one")
	}
}

func TestRotationByThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner := s.signedIn(t, access.RoleOwner)
	form := func(pairs ...string) url.Values {
		v := url.Values{"reason": {"somebody left"}, "password": {password}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	s.create(t, "stripe", "Stripe live")
	before := found(s.get(t, owner, "/settings/keys"), `(kek_[0-9a-f]{8})`)[0]

	if location, _ := s.post(t, owner, "/settings/keys/data", form(), http.StatusSeeOther); location != "/settings/keys" {
		t.Errorf("leads to %s", location)
	}
	// Nothing works in the background here: the rotation waits, and can be paused and resumed.
	says(t, "running", s.get(t, owner, "/settings/keys"), "The new data key is in use.", "The data key is being rotated.", "opens only", "/settings/keys/pause")
	_, text := s.post(t, owner, "/settings/keys/data", form(), http.StatusConflict)
	says(t, "a second one", text, "under way already")
	s.post(t, owner, "/settings/keys/pause", form(), http.StatusSeeOther)
	says(t, "paused", s.get(t, owner, "/settings/keys"), "is paused", "/settings/keys/resume")
	s.post(t, owner, "/settings/keys/resume", form(), http.StatusSeeOther)
	if err := s.rotation.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, "done", s.get(t, owner, "/settings/keys"), "disabled", "Destroy disabled keys", "done")
	_, text = s.post(t, owner, "/settings/keys/destroy", form("retention", "720h"), http.StatusConflict)
	says(t, "too early", text, "No data key has been disabled for that long")
	_, text = s.post(t, owner, "/settings/keys/destroy", form("retention", "soon"), http.StatusBadRequest)
	says(t, "no retention", text, "Choose how long")

	s.post(t, owner, "/settings/keys/master", form(), http.StatusSeeOther)
	after := s.get(t, owner, "/settings/keys", "HX-Request", "true")
	if strings.Contains(after, "<html") {
		t.Error("a refresh is the whole page")
	}
	if now := found(after, `(kek_[0-9a-f]{8})`)[0]; now == before || !strings.Contains(after, before) {
		t.Errorf("%s, then %s", before, now)
	}
	key, err := os.ReadFile(s.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.get(t, owner, "/settings/keys"), strings.TrimSpace(string(key))) {
		t.Error("the page holds the key")
	}
	page, err := s.audit.Search(t.Context(), audit.Query{Target: "keys"})
	if err != nil || page.Total != 4 {
		t.Fatalf("%d entries, %v", page.Total, err)
	}
	for _, e := range page.Entries {
		if e.Reason != "somebody left" || e.Actor.Name != "owner@example.com" {
			t.Errorf("%+v", e)
		}
	}
}
