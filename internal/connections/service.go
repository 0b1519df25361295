package connections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/runtime/egress/http1"
)

// The topics that Deps.Notify is called with.
const (
	topicConnections = "connections"
	topicAudit       = "audit"
)

const (
	defaultLimit  = 50
	maxLimit      = 200
	maxPage       = 1_000_000
	maxVersions   = 500
	flushInterval = 5 * time.Second
	// reloadLimit bounds a reading of everything, also when the request that led to it is gone.
	reloadLimit = 30 * time.Second
)

// Catalog finds providers; *providers.Catalog is one.
type Catalog interface {
	Find(slug string) (providers.Provider, error)
}

// Egress decides where calls may go; *egress.Guard is one.
type Egress interface {
	CheckURL(u *url.URL) error
	NewCalls(cfg egress.TransportConfig) *http1.Transport
}

// Protections guard the calls of connections; *runtime.Protections are some.
type Protections interface {
	Apply(set runtime.PolicySet) error
	Forget(connectionID string)
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB        *db.DB
	Audit     *audit.Log
	Vault     *credentials.Vault
	Providers Catalog
	Egress    Egress
	// Open lists in words what is not done of the checklist of a connection, as it would be. It is asked within
	// a change, so it must not change connections itself.
	Open func(ctx context.Context, c Connection) ([]string, error)
	// Protections follow each committed change.
	Protections Protections
	// Notify is called after a commit, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	db        *db.DB
	store     store
	log       *audit.Log
	vault     *credentials.Vault
	providers Catalog
	egress    Egress
	guards    Protections
	open      func(ctx context.Context, c Connection) ([]string, error)
	notify    func(string)
	logger    *slog.Logger
	now       func() time.Time

	snapshot atomic.Pointer[snapshot]
	// changing is held from before a transaction until its result is in the snapshot, so that snapshots
	// follow each other in the order of the commits. It is a channel because waiting for it ends with the
	// request.
	changing chan struct{}
	// stale is set when the snapshot may lack a change, because it is unknown whether a commit succeeded.
	stale atomic.Bool
}

// New returns a Service with every connection loaded. It fails when a dependency is missing or the
// database cannot be read; one connection that cannot be used does not keep the others from it.
func New(ctx context.Context, d Deps) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.Vault == nil || d.Providers == nil || d.Egress == nil || d.Protections == nil || d.Open == nil ||
		d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("connections: every dependency is required")
	}
	s := &Service{
		db: d.DB, store: store{db: d.DB}, log: d.Audit, vault: d.Vault, providers: d.Providers, egress: d.Egress, guards: d.Protections,
		open:   d.Open,
		notify: d.Notify, logger: d.Logger, now: d.Now, changing: make(chan struct{}, 1),
	}
	s.snapshot.Store(&snapshot{})
	if err := s.bind(ctx); err != nil {
		return nil, err
	}
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Serve does the work in the background until ctx ends: it writes down when credentials were last used,
// destroys old ones whose time is over, and mends the snapshot after a commit whose outcome was unknown. Run it under a supervisor; what is
// pending is written before it returns.
func (s *Service) Serve(ctx context.Context) error {
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.flush(last)
			return ctx.Err()
		case <-tick.C:
			s.flush(ctx)
			s.destroyDue(ctx)
			if s.stale.Load() {
				if err := s.Refresh(ctx); err != nil {
					s.logger.WarnContext(ctx, "connections are not reloaded yet", "error", err)
				}
			}
		}
	}
}

func (s *Service) flush(ctx context.Context) {
	if err := s.vault.FlushUse(ctx); err != nil {
		s.logger.WarnContext(ctx, "the last use of credentials is not recorded yet", "error", err)
	}
}

// effect is what a change did: nothing, or something to the connection of that slug.
type effect struct {
	slug string
	// accounts are those whose credential changed.
	accounts []string
	gone     bool
}

// change runs fn in a transaction as the actor is now, puts the result into the snapshot and announces
// it. The entry of the snapshot is made inside the transaction: nothing can fail between the commit and
// the moment when calls follow it.
func (s *Service) change(ctx context.Context, a access.Actor, p access.Permission, fn func(tx *db.Tx, a access.Actor) (effect, error)) (*entry, error) {
	if err := a.Require(p); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	var (
		done effect
		next *entry
	)
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, p)
		if err != nil {
			return err
		}
		if done, err = fn(tx, a); err != nil || done.slug == "" || done.gone {
			return err
		}
		next, err = s.load(ctx, tx, done)
		return err
	})
	if err != nil {
		s.doubt(ctx, err)
		return nil, err
	}
	if done.slug != "" {
		s.publish(map[string]*entry{done.slug: next})
		s.notify(topicConnections)
		s.notify(topicAudit)
	}
	return next, nil
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

// authorize checks within a change that the actor may do it now, and returns the actor with the role they
// have now: both may have changed since the request began. Users and API keys are stored.
func (s *Service) authorize(ctx context.Context, tx *db.Tx, a access.Actor, p access.Permission) (access.Actor, error) {
	if a.Kind == access.KindAPIKey {
		usable, err := s.store.keyUsable(ctx, tx, a.ID, s.now())
		if err != nil {
			return a, fmt.Errorf("connections: read the API key: %w", err)
		}
		if !usable {
			return a, fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid any more.")
		}
	}
	if a.Kind != access.KindUser {
		return a, a.Require(p)
	}
	role, err := s.store.role(ctx, tx, a.ID)
	if fault.Is(err, fault.NotFound) {
		return a, fault.New(fault.Unauthenticated, "", "Your account is no longer active.")
	}
	if err != nil {
		return a, fmt.Errorf("connections: read the actor: %w", err)
	}
	a.Role = role
	return a, a.Require(p)
}

// record writes an audit entry within the transaction of a change.
func (s *Service) record(ctx context.Context, tx *db.Tx, a access.Actor, e audit.Entry) error {
	e.Actor, e.IP = audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, a.IP
	return s.log.Record(ctx, tx, e)
}

// moment is the present in the precision of the store.
func (s *Service) moment() time.Time { return db.Time(db.Micros(s.now())) }

// Find returns one connection. It needs system:read.
func (s *Service) Find(ctx context.Context, a access.Actor, slug string) (Connection, error) {
	r, err := s.read(ctx, a, slug)
	return r.Connection, err
}

func (s *Service) read(ctx context.Context, a access.Actor, slug string) (row, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return row{}, err
	}
	r, err := s.store.bySlug(ctx, s.db, slug)
	if err != nil {
		return row{}, fmt.Errorf("connections: find: %w", noConnection(err))
	}
	return r, nil
}

// List lists connections. It needs system:read.
func (s *Service) List(ctx context.Context, a access.Actor, q Query) (Page, error) {
	if err := a.Require(access.PermissionSystemRead); err != nil {
		return Page{}, err
	}
	for _, f := range []struct {
		field, value string
		known        []string
	}{{"kind", q.Kind, Kinds()}, {"state", q.State, States()}, {"environment", q.Environment, Environments()}} {
		if _, err := oneOf(f.field, f.value, f.known[0], f.known); err != nil {
			return Page{}, err
		}
	}
	if _, ok := orders()[strings.TrimPrefix(q.Sort, "-")]; !ok {
		return Page{}, fault.Field("UNKNOWN_SORT", "sort", "There is no such sort.").
			WithSuggestion("Use one of name, slug, kind, provider, environment, state, created_at, updated_at.")
	}
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	q.Page, q.Limit = min(max(q.Page, 1), maxPage), min(q.Limit, maxLimit)
	page, err := s.store.list(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("connections: list: %w", err)
	}
	return page, nil
}

// details are the facts of an audit entry about changed fields: at most 20 of them, without secrets.
func details(changes []Change, more ...string) map[string]string {
	const most = 20
	out := map[string]string{}
	for _, c := range changes[:min(len(changes), most)] {
		if c.Secret {
			out[c.Field] = "changed"
			continue
		}
		out[c.Field] = c.Before + " → " + c.After
	}
	if len(changes) > most {
		out["more"] = strconv.Itoa(len(changes)-most) + " more fields"
	}
	for pair := range slices.Chunk(more, 2) {
		if pair[1] != "" {
			out[pair[0]] = pair[1]
		}
	}
	return out
}
