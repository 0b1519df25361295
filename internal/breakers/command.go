package breakers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime/breaker"
)

// Done is what a command led to.
type Done struct {
	Breaker Breaker
	// Consequence says what was ordered.
	Consequence string
	// Probe is the request that was sent; nil unless the command was one to probe.
	Probe *ProbeResult
}

// Command gives a command to the breaker of a connection, or of one of its operations. It needs operate.
// A command that was acknowledged holds over a crash.
//
// Errors: fault.Invalid about the field reason, for or operation; fault.Conflict when the command would
// change nothing or the connection has no breaker; fault.Unavailable COMMIT_UNKNOWN when it is not certain
// whether it was given.
func (s *Service) Command(ctx context.Context, a access.Actor, slug, operation string, verb Verb, o Order) (Done, error) {
	if err := a.Require(access.PermissionOperate); err != nil {
		return Done{}, err
	}
	if _, err := ParseVerb(string(verb)); err != nil {
		return Done{}, err
	}
	now := s.deps.Now()
	o, err := verb.complete(o, now)
	if err != nil {
		return Done{}, err
	}
	c, ok := s.deps.Connections.Peek(slug)
	if !ok {
		return Done{}, noConnection()
	}
	cmd, before, err := s.carry(ctx, a, c, operation, verb, o)
	if err != nil {
		return Done{}, err
	}
	done := Done{Consequence: verb.Consequence(before, o.Until)}
	s.watches.begin(cmd.key, Given{Verb: verb, Actor: cmd.actor, Reason: cmd.reason, At: cmd.at, Until: cmd.until})
	s.announce(c.ID)
	s.deps.Notify(topicAudit)
	if verb == Probe {
		done.Probe = s.probe(ctx, slug, operation)
	}
	done.Breaker = s.row(c, operation)
	return done, nil
}

// carry does a command, alone: it is recorded, stored and then carried out.
func (s *Service) carry(ctx context.Context, a access.Actor, c connections.Connection, operation string, verb Verb, o Order) (command, breaker.Snapshot, error) {
	if err := s.lock(ctx); err != nil {
		return command{}, breaker.Snapshot{}, err
	}
	defer s.unlock()
	cmd := newCommand(breaker.Key{Connection: c.ID, Operation: operation}, verb, name(a), o, s.deps.Now())
	b, err := s.breaker(c, operation)
	if err != nil {
		return command{}, breaker.Snapshot{}, err
	}
	before := b.Snapshot()
	if err := cmd.rehearse(b); err != nil {
		return command{}, breaker.Snapshot{}, s.explain(err, verb, c.ID)
	}
	err = s.inTx(ctx, func(tx *db.Tx) error {
		if err := s.authorize(ctx, tx, a); err != nil {
			return err
		}
		if err := s.store.exists(ctx, tx, c.ID); fault.Is(err, fault.NotFound) {
			return noConnection()
		} else if err != nil {
			return err
		}
		if err := s.store.insertCommand(ctx, tx, cmd); err != nil {
			return fmt.Errorf("breakers: store the command: %w", err)
		}
		return s.record(ctx, tx, a, c, cmd, before)
	})
	if fault.CodeOf(err) == "COMMIT_UNKNOWN" {
		s.stale.Store(true)
		s.mend(ctx)
	}
	if err != nil {
		return command{}, breaker.Snapshot{}, err
	}
	// What was about to change may have come by itself since the rehearsal; the order is fulfilled then.
	err = cmd.apply(b)
	s.carriedOut(cmd.id, cmd.key, b.Durable().Seq)
	if err != nil && !fault.Is(err, fault.Conflict) {
		return command{}, breaker.Snapshot{}, fmt.Errorf("breakers: carry out %s: %w", verb, err)
	}
	return cmd, before, nil
}

// breaker returns the breaker of a connection or operation, and makes it when no call has asked it yet.
func (s *Service) breaker(c connections.Connection, operation string) (*breaker.Breaker, error) {
	if operation != "" {
		declared, err := s.operations(c)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(declared, func(o declaredOperation) bool { return o.id == operation }) {
			return nil, fault.Field("UNKNOWN_OPERATION", "operation", "The connection has no such operation.")
		}
	}
	b, err := s.deps.Breakers.Breaker(breaker.Key{Connection: c.ID, Operation: operation})
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Wrap(err, fault.Conflict, "NO_BREAKER", "The connection cannot be called at present, so it has no breaker.")
	}
	return b, err
}

// explain says in other words why a command would change nothing where it is not the breaker that holds
// calls back.
func (s *Service) explain(err error, verb Verb, connectionID string) error {
	if verb != Probe || !fault.Is(err, fault.Conflict) {
		return err
	}
	for _, h := range s.holds(connectionID) {
		if h.Group == "" && !h.Probing {
			return fault.Wrap(err, fault.Conflict, breaker.CodeState,
				"The breaker is closed, and calls wait because the vendor asked for it until "+moment(h.Until)+". The next one goes first by itself then.")
		}
	}
	return err
}

// authorize checks within a change that the actor may give commands now: the request may be older than the
// loss of a role or key.
func (s *Service) authorize(ctx context.Context, tx *db.Tx, a access.Actor) error {
	if a.Kind == access.KindAPIKey {
		usable, err := s.store.keyUsable(ctx, tx, a.ID, s.deps.Now())
		if err != nil {
			return fmt.Errorf("breakers: read the API key: %w", err)
		}
		if !usable {
			return fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid any more.")
		}
	}
	if a.Kind == access.KindUser {
		role, err := s.store.role(ctx, tx, a.ID)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Unauthenticated, "", "Your account is no longer active.")
		}
		if err != nil {
			return fmt.Errorf("breakers: read the actor: %w", err)
		}
		a.Role = role
	}
	return a.Require(access.PermissionOperate)
}

// record writes the audit entry of a command within its transaction.
func (s *Service) record(ctx context.Context, tx *db.Tx, a access.Actor, c connections.Connection, cmd command, before breaker.Snapshot) error {
	details := map[string]string{"state": string(before.State)}
	if cmd.key.Operation != "" {
		details["operation"] = cmd.key.Operation
	}
	if !cmd.until.IsZero() {
		details["until"] = cmd.until.UTC().Format(time.RFC3339)
	}
	return s.deps.Audit.Record(ctx, tx, audit.Entry{
		Actor: audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, IP: a.IP,
		Action: "breaker." + string(cmd.verb), Target: audit.Target{Kind: "connection", ID: c.ID, Name: c.Slug},
		Reason: cmd.reason, Details: details,
	})
}

// mend looks at once what became of a commit, even if the request behind it is gone. The worker looks again.
// The caller holds the lock.
func (s *Service) mend(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLimit)
	defer cancel()
	if err := s.settleLocked(ctx); err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "it is not known yet whether a command to a breaker was stored", slog.Any("error", err))
	}
}

// probe sends one request. That it fails is a result: the command has been carried out.
func (s *Service) probe(ctx context.Context, slug, operation string) *ProbeResult {
	result, err := s.deps.Prober.Probe(ctx, slug, operation)
	if err != nil {
		result.Error = fault.PublicMessage(err)
	}
	return &result
}

func noConnection() error {
	return fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection.")
}

// name is what the history calls an actor.
func name(a access.Actor) string {
	switch {
	case a.Kind == access.KindAPIKey:
		return "API key " + a.Name
	case a.Name != "":
		return a.Name
	}
	return a.Kind
}

func discard(context.Context, []breaker.Event) {}
