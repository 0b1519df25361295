// Package demo shows a console at work: it starts a pretend provider and a pretend application in this
// process, and makes the connections and the API key between them. Everything else is the product: the
// calls go through the gateway, and what is seen of them is what would be seen of real ones.
//
// Invariants:
//
//   - a row says that the demonstration is on and what it made, written before and after each part; a
//     process that dies in between undoes or continues at its next start;
//   - removal deletes what was made, found by id, and nothing else: a connection of somebody else that has
//     the same slug by then stays;
//   - the provider listens on 127.0.0.1 only, and only this listener is admitted by the egress guard, for
//     as long as it is open;
//   - its credentials are random and sealed, like all others.
//
// The life of a demonstration:
//
//	Load ──▶ loading ──▶ on ──Remove──▶ removing ──▶ gone
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// The topics that Deps.Notify is called with. What shows the demonstration shows connections too.
const (
	topicConnections = "connections"
	topicAudit       = "audit"
)

// undoLimit bounds the undoing of what failed half-way, also when the request that led to it is gone.
const undoLimit = 30 * time.Second

// Connections makes and removes connections; *connections.Service does.
type Connections interface {
	Find(ctx context.Context, a access.Actor, slug string) (connections.Connection, error)
	Create(ctx context.Context, a access.Actor, d connections.Draft, reason string) (connections.Connection, error)
	Update(ctx context.Context, a access.Actor, slug string, d connections.Draft, reason string, ifVersion int) (connections.Connection, error)
	Delete(ctx context.Context, a access.Actor, slug, confirmSlug, reason string, ifVersion int) (connections.Revoked, error)
}

// Keys makes and revokes API keys; *access.Service does.
type Keys interface {
	CreateKey(ctx context.Context, a access.Actor, n access.NewKey) (access.Key, telemetry.Secret, error)
	RevokeKey(ctx context.Context, a access.Actor, id, reason string) error
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB          *db.DB
	Audit       *audit.Log
	Sealer      *credentials.Sealer
	Connections Connections
	Keys        Keys
	// Admit opens the egress guard to the listener of the provider; the zero value closes it again.
	Admit func(netip.AddrPort)
	// Gateway returns where the gateway of this process is, without a slash at the end.
	Gateway func() string
	// Notify is called after a commit, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	Now    func() time.Time
}

// Config are the tunables; zero values mean the defaults.
type Config struct {
	// Pace is the time from one call to the next (300ms).
	Pace time.Duration
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	cfg   Config
	deps  Deps
	store store
	// changing is held while the demonstration is loaded, resumed or removed. It is a channel because
	// waiting for it ends with the request.
	changing chan struct{}
	// open hands a provider that listens to Serve.
	open chan *site
	// listen opens a port on loopback, 0 for any.
	listen func(ctx context.Context, port int) (net.Listener, error)

	mu      sync.Mutex // guards what follows
	state   string
	current *site
}

// New returns a Service that knows whether the demonstration is on. It fails when a dependency is missing
// or the database cannot be read.
func New(ctx context.Context, d Deps, cfg Config) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.Sealer == nil || d.Connections == nil || d.Keys == nil || d.Admit == nil ||
		d.Gateway == nil || d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("demo: every dependency is required")
	}
	s := &Service{cfg: cfg, deps: d, store: store{db: d.DB}, changing: make(chan struct{}, 1), open: make(chan *site, 1), listen: listen}
	r, on, err := s.store.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	if on {
		s.state = r.State
	}
	return s, nil
}

// On reports whether the demonstration is on, or on its way there or back. It reads memory only.
func (s *Service) On() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != ""
}

// Share returns how many of the connections and API keys that exist are the demonstration's.
func (s *Service) Share() (connections, keys int) {
	if !s.On() {
		return 0, 0
	}
	return len(drafts(0, secrets{})), 1
}

func (s *Service) setState(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *Service) lock(ctx context.Context) error {
	select {
	case s.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) unlock() { <-s.changing }

// may checks that an actor may do everything that the demonstration consists of.
func may(a access.Actor) error {
	return errors.Join(a.Require(access.PermissionConfigure), a.Require(access.PermissionKeysWrite))
}

// Load starts the demonstration. It needs configure and keys:write. When it is on already, the answer is a
// fault.Conflict DEMO_ON; when a slug it needs is in use, DEMO_SLUG_TAKEN. Whatever fails, nothing is left.
func (s *Service) Load(ctx context.Context, a access.Actor) error {
	if err := may(a); err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.load(ctx, a); err != nil {
		return fmt.Errorf("demo: load: %w", err)
	}
	return nil
}

func (s *Service) load(ctx context.Context, a access.Actor) error {
	old, exists, err := s.store.find(ctx)
	switch {
	case err != nil:
		return err
	case exists && old.State == stateOn:
		return fault.New(fault.Conflict, "DEMO_ON", "The demonstration is running already.")
	case exists: // A process died half-way.
		if err := s.undo(ctx, old); err != nil {
			return err
		}
	}
	listener, err := s.listen(ctx, 0)
	if err != nil {
		return err
	}
	r := row{State: stateLoading, LoadedAt: s.deps.Now(), LoadedBy: a.Name, Port: portOf(listener)}
	secrets := newSecrets()
	s.deps.Admit(addressOf(listener))
	err = s.make(ctx, a, &r, &secrets)
	if err == nil {
		err = s.begin(listener, secrets)
	}
	if err != nil {
		s.deps.Admit(netip.AddrPort{})
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
		defer cancel()
		return errors.Join(err, listener.Close(), s.undo(undo, r))
	}
	s.changed(stateOn)
	return nil
}

// make makes the connections and the key, and notes each as soon as it exists.
func (s *Service) make(ctx context.Context, a access.Actor, r *row, secrets *secrets) error {
	if err := s.seal(r, *secrets); err != nil {
		return err
	}
	drafts := drafts(r.Port, *secrets)
	for _, d := range drafts {
		r.Connections = append(r.Connections, made{Slug: d.Slug, BaseURL: d.BaseURL})
	}
	if err := s.store.insert(ctx, *r); err != nil {
		return err
	}
	scopes := make([]access.Scope, 0, len(drafts))
	for i, d := range drafts {
		c, err := s.deps.Connections.Create(ctx, a, d, "part of the demonstration")
		if fault.CodeOf(err) == "SLUG_TAKEN" {
			return fault.New(fault.Conflict, "DEMO_SLUG_TAKEN", "There is another connection with the slug "+d.Slug+", which the demonstration needs.").
				WithSuggestion("Delete or duplicate that connection under another slug first.")
		}
		if err != nil {
			return err
		}
		r.Connections[i].ID = c.ID
		if err := s.store.update(ctx, *r); err != nil {
			return err
		}
		scopes = append(scopes, access.Scope("call:"+d.Slug))
	}
	key, text, err := s.deps.Keys.CreateKey(ctx, a, access.NewKey{Name: "Demonstration", Scopes: scopes})
	if err != nil {
		return err
	}
	r.KeyID, secrets.Key = key.ID, text.Reveal()
	if err := s.seal(r, *secrets); err != nil {
		return err
	}
	r.State = stateOn
	return s.recorded(ctx, a, "demo.load", func(tx *db.Tx) error { return s.store.updateIn(ctx, tx, *r) })
}

// recorded runs a change with its audit entry in one transaction.
func (s *Service) recorded(ctx context.Context, a access.Actor, action string, change func(tx *db.Tx) error) error {
	return s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return s.deps.Audit.Record(ctx, tx, audit.Entry{
			Action: action, Actor: audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, IP: a.IP,
			Target: audit.Target{Kind: "demo", ID: rowID, Name: "demonstration"},
		})
	})
}

// changed announces what the demonstration is now.
func (s *Service) changed(state string) {
	s.setState(state)
	s.deps.Notify(topicConnections)
	s.deps.Notify(topicAudit)
}

// Remove ends the demonstration and deletes what it made; what happened stays in the records. It needs
// configure and keys:write. Without a demonstration it does nothing. When it fails half-way it can be
// repeated, and the next start of the process finishes it.
func (s *Service) Remove(ctx context.Context, a access.Actor) error {
	if err := may(a); err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.remove(ctx, a); err != nil {
		return fmt.Errorf("demo: remove: %w", err)
	}
	return nil
}

func (s *Service) remove(ctx context.Context, a access.Actor) error {
	r, exists, err := s.store.find(ctx)
	if err != nil || !exists {
		return err
	}
	r.State = stateRemoving
	if err := s.store.update(ctx, r); err != nil {
		return err
	}
	s.setState(stateRemoving)
	if err := s.end(ctx); err != nil {
		return err
	}
	if err := s.delete(ctx, a, r); err != nil {
		return err
	}
	if err := s.recorded(ctx, a, "demo.remove", func(tx *db.Tx) error { return s.store.deleteIn(ctx, tx) }); err != nil {
		return err
	}
	s.changed("")
	return nil
}

// undo deletes what a row says and the row. It is the program's own doing, whoever began.
func (s *Service) undo(ctx context.Context, r row) error {
	if err := s.delete(ctx, access.System(), r); err != nil {
		return err
	}
	if err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error { return s.store.deleteIn(ctx, tx) }); err != nil {
		return err
	}
	s.changed("")
	return nil
}

// delete deletes the connections and revokes the key of a row.
func (s *Service) delete(ctx context.Context, a access.Actor, r row) error {
	const reason = "the demonstration was removed"
	for _, m := range r.Connections {
		c, err := s.deps.Connections.Find(ctx, a, m.Slug)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !m.is(c) {
			continue
		}
		if _, err := s.deps.Connections.Delete(ctx, a, m.Slug, m.Slug, reason, 0); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	if r.KeyID == "" {
		return nil
	}
	if err := s.deps.Keys.RevokeKey(ctx, a, r.KeyID, reason); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

// is reports whether a connection is the one that was made. Where its id was not noted any more, because
// the process died, its address tells: no other has the port.
func (m made) is(c connections.Connection) bool {
	if m.ID != "" {
		return c.ID == m.ID
	}
	return c.BaseURL == m.BaseURL
}

// renew leads the connections to the port where the provider is now. Their secrets are for the port before, so
// they are entered again.
func (s *Service) renew(ctx context.Context, r *row, port int, known secrets) error {
	moved := drafts(port, known)
	for i, m := range r.Connections {
		c, err := s.deps.Connections.Find(ctx, access.System(), m.Slug)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !m.is(c) || c.BaseURL != m.BaseURL { // deleted and made anew, or led elsewhere on purpose
			continue
		}
		at := slices.IndexFunc(moved, func(d connections.Draft) bool { return d.Slug == m.Slug })
		if at < 0 {
			continue
		}
		d := c.Draft()
		d.BaseURL = moved[at].BaseURL
		if d.Auth.Type == moved[at].Auth.Type {
			d.Auth = moved[at].Auth
		}
		if _, err := s.deps.Connections.Update(ctx, access.System(), m.Slug, d, "the pretend provider has another port", 0); err != nil {
			return err
		}
		r.Connections[i].BaseURL = d.BaseURL
	}
	r.Port = port
	return s.store.update(ctx, *r)
}

// listen opens a port on loopback; 0 is any.
func listen(ctx context.Context, port int) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

func addressOf(l net.Listener) netip.AddrPort {
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
}

func portOf(l net.Listener) int { return int(addressOf(l).Port()) }

// begin makes the provider and the application and hands them to Serve.
func (s *Service) begin(l net.Listener, secrets secrets) error {
	provider, err := sandbox.New(sandbox.Deps{Logger: s.deps.Logger, Now: s.deps.Now}, provider(secrets))
	if err != nil {
		return err
	}
	application, err := sandbox.NewApplication(s.deps.Logger, sandbox.ApplicationConfig{
		BaseURL: s.deps.Gateway, Key: telemetry.NewSecret(secrets.Key), Calls: calls(), Pace: s.cfg.Pace,
	})
	if err != nil {
		return err
	}
	next := newSite(l, provider, application, s.deps.Logger)
	s.mu.Lock()
	s.current = next
	s.mu.Unlock()
	s.open <- next // Never full: whoever holds changing ended the one before.
	return nil
}
