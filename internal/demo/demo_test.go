package demo

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/sandbox"
)

func owner() access.Actor {
	return access.Actor{Kind: access.KindUser, ID: "usr_1", Name: "olive@example.com", Role: access.RoleOwner}
}

func all() []string { return []string{slugPartner, slugPayments, slugShop} }

func TestLoadAndRemove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.process()
	if s.On() {
		t.Error("on before it is loaded")
	}
	if err := s.Load(t.Context(), owner()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all(), w.shelf.slugs()); diff != "" || !s.On() || w.shelf.activeKeys() != 1 {
		t.Errorf("loaded: %v, %d keys, %s", s.On(), w.shelf.activeKeys(), diff)
	}
	if c, k := s.Share(); c != 3 || k != 1 {
		t.Errorf("its share is %d connections and %d keys", c, k)
	}
	for _, slug := range all() {
		w.called(slug)
	}
	base := w.shelf.connections[slugShop].BaseURL
	if !strings.HasPrefix(base, "http://"+w.admits().String()+"/") || !w.answers(base) {
		t.Errorf("%s is not what is admitted (%v), or does not answer", base, w.admits())
	}
	if err := s.Load(t.Context(), owner()); fault.CodeOf(err) != "DEMO_ON" || len(w.shelf.slugs()) != 3 {
		t.Errorf("again: %v", err)
	}
	if err := s.Remove(t.Context(), owner()); err != nil {
		t.Fatal(err)
	}
	if len(w.shelf.slugs()) != 0 || w.shelf.activeKeys() != 0 || s.On() || w.admits().IsValid() || w.listening() != 0 {
		t.Errorf("removed: %v, %d keys, on %v, admits %v, %d listeners", w.shelf.slugs(), w.shelf.activeKeys(), s.On(), w.admits(), w.listening())
	}
	if err := s.Remove(t.Context(), owner()); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
	if c, k := s.Share(); c != 0 || k != 0 {
		t.Errorf("its share afterwards is %d connections and %d keys", c, k)
	}
	if diff := cmp.Diff([]string{"demo.load by olive@example.com", "demo.remove by olive@example.com"}, w.entries()); diff != "" {
		t.Error(diff)
	}
	if err := s.Load(t.Context(), owner()); err != nil { // and once more
		t.Fatal(err)
	}
	w.called(slugPartner)
}

func TestOnlyWhoMayConfigureLoadsAndRemoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.process()
	for _, role := range access.Roles() {
		a := owner()
		a.Role = role
		want := role == access.RoleOwner || role == access.RoleAdmin
		if err := s.Remove(t.Context(), a); fault.Is(err, fault.Forbidden) == want {
			t.Errorf("%s removes: %v", role, err)
		}
		if err := s.Load(t.Context(), a); fault.Is(err, fault.Forbidden) == want {
			t.Errorf("%s loads: %v", role, err)
		}
	}
}

// Whatever fails while it is loaded, nothing is left, and the guard is closed.
func TestLoadLeavesNothingWhenItFails(t *testing.T) {
	t.Parallel()
	for _, refuse := range []string{"create 2", "key"} {
		w := newWorld(t)
		w.shelf.refuse = refuse
		s, _ := w.process()
		if err := s.Load(t.Context(), owner()); !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", refuse, err)
		}
		if _, exists, err := s.store.find(t.Context()); err != nil || exists || len(w.shelf.slugs()) != 0 || w.shelf.activeKeys() != 0 || s.On() || w.admits().IsValid() || w.listening() != 0 {
			t.Errorf("%s leaves %v, row %v, on %v, admits %v, %v", refuse, w.shelf.slugs(), exists, s.On(), w.admits(), err)
		}
		w.shelf.set(func(s *shelf) { s.refuse = "" })
		if err := s.Load(t.Context(), owner()); err != nil {
			t.Errorf("%s, then again: %v", refuse, err)
		}
	}
}

// A connection of somebody else with one of the slugs keeps the demonstration out, and stays.
func TestForeignConnectionsStay(t *testing.T) {
	t.Parallel()
	foreign := connections.Connection{ID: "con_foreign", Slug: slugPayments, BaseURL: "https://pay.example.com"}
	w := newWorld(t)
	w.shelf.connections[slugPayments] = foreign
	s, _ := w.process()
	if err := s.Load(t.Context(), owner()); fault.CodeOf(err) != "DEMO_SLUG_TAKEN" {
		t.Errorf("load: %v", err)
	}
	if diff := cmp.Diff([]string{slugPayments}, w.shelf.slugs()); diff != "" {
		t.Error(diff)
	}
	// One that took the place of ours after the load stays as well.
	w.shelf.set(func(s *shelf) { delete(s.connections, slugPayments) })
	if err := s.Load(t.Context(), owner()); err != nil {
		t.Fatal(err)
	}
	w.shelf.set(func(s *shelf) { s.connections[slugPayments] = foreign })
	if err := s.Remove(t.Context(), owner()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{slugPayments}, w.shelf.slugs()); diff != "" {
		t.Error(diff)
	}
}

// A removal that fails can be repeated; until then the demonstration does not call any more.
func TestRemoveCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, stop := w.process()
	if err := s.Load(t.Context(), owner()); err != nil {
		t.Fatal(err)
	}
	w.shelf.set(func(s *shelf) { s.refuse = "delete" })
	for range 2 {
		if err := s.Remove(t.Context(), owner()); !errors.Is(err, errRefused) || !s.On() || w.admits().IsValid() {
			t.Errorf("refused: %v, on %v", err, s.On())
		}
	}
	// The next process finishes what was begun.
	stop()
	w.shelf.set(func(s *shelf) { s.refuse = "" })
	next, _ := w.process()
	if err := next.Remove(t.Context(), owner()); err != nil {
		t.Fatal(err)
	}
	if len(w.shelf.slugs()) != 0 || next.On() {
		t.Errorf("left: %v", w.shelf.slugs())
	}
}

func TestRestartResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, stop := w.process()
	if err := s.Load(t.Context(), owner()); err != nil {
		t.Fatal(err)
	}
	w.called(slugShop)
	before := w.admits()
	stop()
	if w.admits().IsValid() || w.listening() != 0 {
		t.Error("the provider outlives its process")
	}
	second, stop := w.process()
	if !second.On() {
		t.Error("a process does not know that the demonstration is on")
	}
	w.called(slugShop)
	if w.lastAsked() != int(before.Port()) {
		t.Errorf("resumed at port %d, before at %v", w.lastAsked(), before)
	}
	before = w.admits()
	stop()

	// The port is taken by another program: the connections are led to a new one, except one that somebody
	// led elsewhere.
	w.taken = int(before.Port())
	const elsewhere = "https://elsewhere.example.com"
	w.shelf.set(func(s *shelf) {
		c := s.connections[slugPartner]
		c.BaseURL = elsewhere
		s.connections[slugPartner] = c
	})
	third, _ := w.process()
	w.called(slugShop)
	at := w.admits()
	for slug, want := range map[string]string{slugShop: "http://" + at.String() + "/shop", slugPayments: "http://" + at.String() + "/payments", slugPartner: elsewhere} {
		if got, _ := w.shelf.Find(t.Context(), owner(), slug); got.BaseURL != want {
			t.Errorf("%s leads to %s, want %s", slug, got.BaseURL, want)
		}
	}
	if at == before || !w.answers("http://"+at.String()+"/shop") {
		t.Errorf("admitted %v", at)
	}
	if err := third.Remove(t.Context(), owner()); err != nil || len(w.shelf.slugs()) != 0 {
		t.Errorf("removed after the move: %v, %v", w.shelf.slugs(), err)
	}
}

// A process that died while it loaded leaves a row; the next one undoes what the row says. A connection
// whose id was not noted any more is known by its address.
func TestWhatWasCutOffIsUndone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		noted, at string
		stays     bool
	}{
		"noted":               {noted: "con_1", at: "http://127.0.0.1:1/shop"},
		"made, not noted":     {at: "http://127.0.0.1:1/shop"},
		"somebody else's":     {noted: "con_2", at: "http://127.0.0.1:1/shop", stays: true},
		"somebody's, unnoted": {at: "https://shop.example.com", stays: true},
	} {
		w := newWorld(t)
		r := row{State: stateLoading, Port: 1, Connections: []made{{Slug: slugShop, ID: c.noted, BaseURL: "http://127.0.0.1:1/shop"}}}
		if err := (store{db: w.deps.DB}).insert(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		w.shelf.connections[slugShop] = connections.Connection{ID: "con_1", Slug: slugShop, BaseURL: c.at}
		s := w.service()
		if !s.On() {
			t.Errorf("%s: what was cut off is not there", name)
		}
		if err := s.resume(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if stays := len(w.shelf.slugs()) == 1; stays != c.stays || s.On() {
			t.Errorf("%s: stays %v, on %v", name, stays, s.On())
		}
	}
}

// What is loaded before Serve runs is closed when it never does.
func TestLoadWithoutServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.service()
	if err := s.Load(t.Context(), owner()); err != nil || w.listening() != 1 {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || w.admits() != (netip.AddrPort{}) || w.listening() != 0 {
		t.Errorf("close: %v, admits %v, %d listeners", err, w.admits(), w.listening())
	}
}

// The plan is accepted by the sandbox, every call goes to a connection that is made, and what the row
// keeps shows no secret.
func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secrets := newSecrets()
	if secrets.Shop == secrets.Payments || len(secrets.Shop) < 20 {
		t.Error("weak secrets")
	}
	if _, err := sandbox.New(sandbox.Deps{Logger: w.deps.Logger, Now: w.deps.Now}, provider(secrets)); err != nil {
		t.Error(err)
	}
	share := map[string]int{}
	for _, c := range calls() {
		slug, _, _ := strings.Cut(strings.TrimPrefix(c.Path, "/proxy/"), "/")
		share[slug]++
	}
	if diff := cmp.Diff(map[string]int{slugShop: 40, slugPayments: 24, slugPartner: 16}, share); diff != "" {
		t.Error(diff)
	}
	s, err := New(t.Context(), w.deps, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var r row
	if err := s.seal(&r, secrets); err != nil || strings.Contains(r.sealed, secrets.Shop) {
		t.Errorf("seal: %v", err)
	}
	if got, err := s.unseal(r); err != nil || got != secrets {
		t.Errorf("unseal: %v", err)
	}
	if _, err := New(t.Context(), Deps{}, Config{}); err == nil {
		t.Error("a service without dependencies")
	}
}
