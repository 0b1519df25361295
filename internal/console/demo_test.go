package console

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/fault"
)

// demonstration is one that takes no time.
type demonstration struct {
	mu sync.Mutex
	on bool
}

func (d *demonstration) On() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.on
}

func (d *demonstration) Share() (connections, keys int) {
	if d.On() {
		return 3, 1
	}
	return 0, 0
}

func (d *demonstration) Load(context.Context, access.Actor) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on {
		return fault.New(fault.Conflict, "DEMO_ON", "on")
	}
	d.on = true
	return nil
}

func (d *demonstration) Remove(context.Context, access.Actor) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.on = false
	return nil
}

// The overview offers the demonstration to who may load it, and then to remove it; others only see that it
// is there.
func TestDemonstrationIsOfferedToWhoMayLoadIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	owner, viewer := s.signedIn(t, access.RoleOwner), s.signedIn(t, access.RoleViewer)
	const offer, notice, removal = "Load the demonstration", "The demonstration is running.", "Remove it"
	see := func(c *http.Client, when string, want map[string]bool) {
		t.Helper()
		_, _, body := s.do(t, c, http.MethodGet, "/", nil)
		for text, there := range want {
			if strings.Contains(body, text) != there {
				t.Errorf("%s: %q: want %v", when, text, there)
			}
		}
	}
	post := func(c *http.Client, path string) int {
		t.Helper()
		status, _, _ := s.do(t, c, http.MethodPost, path, nil)
		return status
	}
	see(owner, "owner, off", map[string]bool{offer: true, notice: false})
	see(viewer, "viewer, off", map[string]bool{offer: false, notice: false})
	if status, _, _ := s.do(t, owner, http.MethodGet, "/demo/remove", nil); status != http.StatusNotFound {
		t.Errorf("the question about nothing: %d", status)
	}
	for _, path := range []string{"/demo/load", "/demo/remove"} {
		if status := post(viewer, path); status != http.StatusForbidden {
			t.Errorf("viewer, %s: %d", path, status)
		}
	}
	for range 2 { // pressing twice is no error
		if status := post(owner, "/demo/load"); status != http.StatusSeeOther {
			t.Errorf("load: %d", status)
		}
	}
	see(owner, "owner, on", map[string]bool{offer: false, notice: true, removal: true})
	see(viewer, "viewer, on", map[string]bool{offer: false, notice: true, removal: false})
	if status, _, body := s.do(t, owner, http.MethodGet, "/demo/remove", nil); status != http.StatusOK || !strings.Contains(body, "Demo shop") {
		t.Errorf("the question: %d", status)
	}
	if status := post(owner, "/demo/remove"); status != http.StatusSeeOther {
		t.Errorf("remove: %d", status)
	}
	see(owner, "owner, off again", map[string]bool{offer: true, notice: false})
}
