// Package idempotency remembers what requests were answered, so that a client that is not sure whether
// its request arrived may send it again and nothing happens twice.
//
// One execution at a time holds a key:
//
//	Begin ──▶ running ──Finish──▶ answered ──(24 h)──▶ forgotten
//	             └─Release, or the lease has passed──▶ free again
//
// Invariants:
//
//   - A key belongs to its scope, the API key of the client; no client sees the answer of another.
//   - The request is not stored, only its MAC: bodies hold credentials, and a plain hash would let
//     whoever reads the database try them.
//   - Answers are kept sealed: one may hold what is told once.
//   - The execution of a process that died holds its key no longer than [Config.Lease]. Whoever takes the
//     key over owns it; what the first one still has to say is ignored.
package idempotency

import (
	"cmp"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
)

// Deps are what a Service works with; all are required.
type Deps struct {
	DB *db.DB
	// MAC computes a MAC under a keyset that serves nothing else.
	MAC    func(message []byte) []byte
	Logger *slog.Logger
	Now    func() time.Time
}

// Config are the tunables; zero values mean the defaults.
type Config struct {
	// Keep is how long an answer can be repeated (24h).
	Keep time.Duration
	// Lease is how long an execution may hold its key (2m). It must be longer than any execution takes.
	Lease time.Duration
}

// Service keeps keys and answers. It is safe for concurrent use.
type Service struct {
	store  store
	mac    func([]byte) []byte
	logger *slog.Logger
	now    func() time.Time
	cfg    Config
}

// Request is what a client wants to happen once.
type Request struct {
	// Scope is who asks, Key what they call the request.
	Scope, Key string
	// Content is everything that makes it this request. It is not stored.
	Content []byte
}

// Answer is what a request was answered.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// Ticket is the right to execute a request.
type Ticket struct{ scope, key, owner string }

const pruneInterval = 10 * time.Minute

// New returns a Service. It fails when a dependency is missing.
func New(d Deps, cfg Config) (*Service, error) {
	if d.DB == nil || d.MAC == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("idempotency: every dependency is required")
	}
	cfg.Keep = cmp.Or(cfg.Keep, 24*time.Hour)
	cfg.Lease = cmp.Or(cfg.Lease, 2*time.Minute)
	return &Service{store: store{db: d.DB}, mac: d.MAC, logger: d.Logger, now: d.Now, cfg: cfg}, nil
}

// Begin takes the key of a request. It returns the answer when there is one, otherwise a ticket, which
// the caller gives back by Finish or Release.
//
// Errors: a fault.Unprocessable IDEMPOTENCY_KEY_REUSED when the key was used for something else, a
// fault.Conflict IDEMPOTENCY_KEY_RUNNING while the request is being executed.
func (s *Service) Begin(ctx context.Context, r Request) (Ticket, *Answer, error) {
	now := s.now()
	t := Ticket{scope: r.Scope, key: r.Key, owner: db.NewID("run")}
	fingerprint := s.mac([]byte("switchgear request v1\x00" + r.Scope + "\x00" + r.Key + "\x00" + string(r.Content)))
	var answer *Answer
	err := s.store.db.InTx(ctx, func(tx *db.Tx) error {
		old, err := s.store.find(ctx, tx, r.Scope, r.Key)
		if fault.Is(err, fault.NotFound) || err == nil && !now.Before(old.expires) {
			return s.store.take(ctx, tx, t, hex.EncodeToString(fingerprint), now.Add(s.cfg.Lease), now.Add(s.cfg.Keep))
		}
		if err != nil {
			return err
		}
		was, err := hex.DecodeString(old.fingerprint)
		if err != nil {
			return fmt.Errorf("the fingerprint is not readable: %w", err)
		}
		if !hmac.Equal(was, fingerprint) {
			reused := fault.New(fault.Unprocessable, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was sent with another request.")
			reused.Details.Field = "Idempotency-Key"
			return reused.WithSuggestion("Use a new key for a new request.")
		}
		if old.busyUntil.IsZero() {
			old.answer.Body, err = s.open(r.Scope, r.Key, string(old.answer.Body))
			answer = &old.answer
			return err
		}
		if wait := old.busyUntil.Sub(now); wait > 0 {
			return fault.New(fault.Conflict, "IDEMPOTENCY_KEY_RUNNING", "The request with this Idempotency-Key is still running.").
				WithSuggestion("Send the same request again in a moment.").WithRetryAfter(min(wait, time.Second))
		}
		return s.store.take(ctx, tx, t, old.fingerprint, now.Add(s.cfg.Lease), now.Add(s.cfg.Keep))
	})
	if err != nil {
		return Ticket{}, nil, fmt.Errorf("idempotency: begin: %w", err)
	}
	return t, answer, nil
}

// Finish stores the answer of an execution, unless somebody else has taken the key over meanwhile.
func (s *Service) Finish(ctx context.Context, t Ticket, a Answer) error {
	sealed, err := s.seal(t.scope, t.key, a.Body)
	if err != nil {
		return err
	}
	a.Body = []byte(sealed)
	err = s.store.db.InTx(ctx, func(tx *db.Tx) error { return s.store.finish(ctx, tx, t, a) })
	if err != nil {
		return fmt.Errorf("idempotency: finish: %w", err)
	}
	return nil
}

// Release frees the key of an execution that changed nothing, so that the request can be corrected and
// sent again.
func (s *Service) Release(ctx context.Context, t Ticket) error {
	err := s.store.db.InTx(ctx, func(tx *db.Tx) error { return s.store.release(ctx, tx, t) })
	if err != nil {
		return fmt.Errorf("idempotency: release: %w", err)
	}
	return nil
}

// Serve forgets what has expired until ctx ends. Run it under a supervisor.
func (s *Service) Serve(ctx context.Context) error {
	tick := time.NewTicker(pruneInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := s.store.prune(ctx, s.now()); err != nil {
				s.logger.WarnContext(ctx, "expired idempotency keys are not removed yet", "error", err)
			}
		}
	}
}
