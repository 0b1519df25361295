package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/dbtest"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

var errRefused = errors.New("refused")

// shelf holds connections and keys in memory, and can refuse what it is asked for.
type shelf struct {
	mu          sync.Mutex
	connections map[string]connections.Connection
	made        int
	keys        map[string]bool // true while active
	// refuse names the operation that fails: "create 2", "key", "delete".
	refuse string
}

func (s *shelf) Find(_ context.Context, _ access.Actor, slug string) (connections.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.connections[slug]
	if !ok {
		return c, fault.New(fault.NotFound, "", "none")
	}
	return c, nil
}

func (s *shelf) Create(_ context.Context, _ access.Actor, d connections.Draft, _ string) (connections.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.connections[d.Slug]; taken {
		return connections.Connection{}, fault.New(fault.Conflict, "SLUG_TAKEN", "taken")
	}
	s.made++
	if s.refuse == "create 2" && s.made == 2 {
		return connections.Connection{}, errRefused
	}
	c := connections.Connection{ID: db.NewID("con"), Slug: d.Slug, Name: d.Name, BaseURL: d.BaseURL, AuthType: d.Auth.Type}
	s.connections[d.Slug] = c
	return c, nil
}

func (s *shelf) Update(_ context.Context, _ access.Actor, slug string, d connections.Draft, _ string, _ int) (connections.Connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.connections[slug]
	if len(d.Auth.Fields) == 0 {
		return c, errRefused // a secret stays with the address that it was entered for
	}
	c.BaseURL = d.BaseURL
	s.connections[slug] = c
	return c, nil
}

func (s *shelf) Delete(_ context.Context, _ access.Actor, slug, _, _ string, _ int) (connections.Revoked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse == "delete" {
		return connections.Revoked{}, errRefused
	}
	delete(s.connections, slug)
	return connections.Revoked{}, nil
}

func (s *shelf) CreateKey(_ context.Context, _ access.Actor, _ access.NewKey) (access.Key, telemetry.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse == "key" {
		return access.Key{}, telemetry.Secret{}, errRefused
	}
	id := db.NewID("key")
	s.keys[id] = true
	return access.Key{ID: id}, telemetry.NewSecret("key-text"), nil
}

func (s *shelf) RevokeKey(_ context.Context, _ access.Actor, id, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id] = false
	return nil
}

// slugs are the connections that exist.
func (s *shelf) slugs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.connections))
	for slug := range s.connections {
		out = append(out, slug)
	}
	slices.Sort(out)
	return out
}

func (s *shelf) activeKeys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, active := range s.keys {
		if active {
			n++
		}
	}
	return n
}

func (s *shelf) set(change func(s *shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// world is what a demonstration needs, and outlives the process that runs it.
type world struct {
	t       *testing.T
	deps    Deps
	shelf   *shelf
	gateway *gateway

	// processes counts those that were started: calls tell by it which one they are from.
	processes atomic.Int64

	mu       sync.Mutex
	admitted netip.AddrPort
	// asked are the ports that were to be opened, opened the listeners that were; taken is in use elsewhere.
	asked  []int
	opened []net.Listener
	taken  int
}

// gateway notes the calls of the application.
type gateway struct {
	*httptest.Server
	calls chan string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	d := dbtest.New(t)
	log, err := audit.New(audit.Deps{DB: d, MAC: func(m []byte) []byte { return make([]byte, 32) }, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := credentials.OpenKeyring(t.Context(), credentials.Deps{
		DB: d, Source: credentials.KeySource{File: filepath.Join(t.TempDir(), "switchgear.key")}, Logger: telemetry.Discard(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := ring.Sealer(credentials.PurposeCredential)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, shelf: &shelf{connections: map[string]connections.Connection{}, keys: map[string]bool{}}, gateway: &gateway{calls: make(chan string)}}
	w.gateway.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil { // The end of the client is noticed after the body.
			return
		}
		select {
		case w.gateway.calls <- r.URL.Path + " " + r.Header.Get("Authorization"):
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(w.gateway.Close)
	w.deps = Deps{
		DB: d, Audit: log, Sealer: sealer, Connections: w.shelf, Keys: w.shelf, Admit: w.admit, Gateway: w.address,
		Notify: func(string) {}, Logger: telemetry.Discard(), Now: time.Now,
	}
	return w
}

// address is where the gateway is for the present process.
func (w *world) address() string { return w.gateway.URL + w.prefix() }

func (w *world) prefix() string { return "/process-" + strconv.FormatInt(w.processes.Load(), 10) }

func (w *world) admit(a netip.AddrPort) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admitted = a
}

func (w *world) admits() netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.admitted
}

func (w *world) listen(ctx context.Context, port int) (net.Listener, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, port)
	if port != 0 && port == w.taken {
		return nil, syscall.EADDRINUSE
	}
	l, err := listen(ctx, port)
	if err == nil {
		w.opened = append(w.opened, l)
	}
	return l, err
}

// lastAsked is the port that was asked for last, except for any port.
func (w *world) lastAsked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, port := range slices.Backward(w.asked) {
		if port != 0 {
			return port
		}
	}
	return 0
}

// listening is how many listeners are open.
func (w *world) listening() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, l := range w.opened {
		if tcp, ok := l.(*net.TCPListener); ok && tcp.SetDeadline(time.Time{}) == nil {
			n++
		}
	}
	return n
}

// service is a Service that nobody serves yet.
func (w *world) service() *Service {
	w.t.Helper()
	w.processes.Add(1)
	s, err := New(w.t.Context(), w.deps, Config{Pace: time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	s.listen = w.listen
	return s
}

// process starts a Service; the returned function ends it.
func (w *world) process() (*Service, func()) {
	w.t.Helper()
	s := w.service()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx); !errors.Is(err, context.Canceled) {
			w.t.Errorf("serve: %v", err)
		}
	}()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			<-ended
			if err := s.Close(); err != nil {
				w.t.Errorf("close: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return s, stop
}

// called waits for a call of the application in the present process to a connection.
func (w *world) called(slug string) {
	w.t.Helper()
	for {
		select {
		case call := <-w.gateway.calls:
			if strings.HasPrefix(call, w.prefix()+"/proxy/"+slug+"/") && strings.HasSuffix(call, " Bearer key-text") {
				return
			}
		case <-w.t.Context().Done():
			w.t.Fatalf("no call to %s", slug)
		}
	}
}

// answers reports whether the provider listens where a connection leads.
func (w *world) answers(baseURL string) bool {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, baseURL, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusUnauthorized // it asks for its credential
}

// entries are the actions in the audit log about the demonstration.
func (w *world) entries() []string {
	w.t.Helper()
	found, err := w.deps.Audit.Search(w.t.Context(), audit.Query{Page: 1, Limit: 50})
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]string, 0, len(found.Entries))
	for _, e := range found.Entries {
		out = append(out, e.Action+" by "+e.Actor.Name)
	}
	slices.Reverse(out)
	return out
}
