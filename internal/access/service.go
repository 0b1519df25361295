package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/time/rate"

	"switchgear/db"
	"switchgear/internal/access/passwords"
	"switchgear/internal/access/throttle"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// The topics that Deps.Notify is called with.
const (
	topicUsers       = "users"
	topicSessions    = "sessions"
	topicKeys        = "keys"
	topicInvitations = "invitations"
	topicAudit       = "audit"
)

const (
	defaultLimit  = 50
	maxLimit      = 200
	maxPage       = 1_000_000
	maxReason     = 500
	flushInterval = 5 * time.Second
	pruneInterval = time.Minute
)

// Deps are what a Service works with; all are required.
type Deps struct {
	DB    *db.DB
	Audit *audit.Log
	// KeyMAC computes a MAC under the API key keyset.
	KeyMAC func(message []byte) []byte
	// Notify is called after a commit, with the name of what changed. It must not block.
	Notify func(topic string)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Config are the tunables; zero values mean the defaults.
type Config struct {
	SessionLifetime    time.Duration // 12h, from sign-in
	InvitationLifetime time.Duration // 72h
	SetupLifetime      time.Duration // 30m
	// SecureCookies is on whenever browsers reach the console over HTTPS. Off, the session cookie has
	// another name and no Secure flag, which is right on a loopback address only.
	SecureCookies bool
	// PasswordHashers is how many passwords are hashed at a time, 19 MiB each (2).
	PasswordHashers int
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	cfg       Config
	db        *db.DB
	store     store
	log       *audit.Log
	notify    func(string)
	logger    *slog.Logger
	now       func() time.Time
	hasher    *passwords.Hasher
	policy    *passwords.Policy
	throttle  *throttle.Throttle
	strangers *rate.Limiter // bounds the audit entries about accounts that do not exist
	sessions  *scs.SessionManager
	setup     setupToken
	isSetUp   atomic.Bool
	keys      keyring
}

// New returns a Service with the API keys loaded. It fails when a dependency is missing or the
// database cannot be read.
func New(d Deps, cfg Config) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.KeyMAC == nil || d.Notify == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("access: every dependency is required")
	}
	setDefault(&cfg.SessionLifetime, 12*time.Hour)
	setDefault(&cfg.InvitationLifetime, 72*time.Hour)
	setDefault(&cfg.SetupLifetime, 30*time.Minute)
	setDefault(&cfg.PasswordHashers, 2)
	s := &Service{
		cfg: cfg, db: d.DB, store: store{db: d.DB}, log: d.Audit, notify: d.Notify, logger: d.Logger, now: d.Now,
		hasher:    passwords.NewHasher(cfg.PasswordHashers),
		policy:    passwords.NewPolicy(),
		throttle:  throttle.New(throttle.Config{}, d.Now),
		strangers: rate.NewLimiter(rate.Every(time.Minute), 100),
		keys:      keyring{mac: d.KeyMAC},
	}
	_, _ = rand.Read(s.keys.salt[:]) // never fails: the program ends instead
	s.sessions = newSessionManager(sessionStore{store: s.store, now: d.Now}, cfg)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.loadKeys(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Serve does the work in the background until ctx ends: it writes down when keys were last used and
// forgets expired sessions and old sign-in failures. Run it under a supervisor; what is pending is
// written before it returns.
func (s *Service) Serve(ctx context.Context) error {
	flush, prune := time.NewTicker(flushInterval), time.NewTicker(pruneInterval)
	defer flush.Stop()
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.flushKeyUse(last); err != nil {
				s.logger.WarnContext(last, "the last use of API keys is not recorded", "error", err)
			}
			return ctx.Err()
		case <-flush.C:
			if err := s.flushKeyUse(ctx); err != nil {
				s.logger.WarnContext(ctx, "the last use of API keys is not recorded yet", "error", err)
			}
		case <-prune.C:
			s.throttle.Prune()
			if err := s.store.deleteExpiredSessions(ctx, s.now()); err != nil {
				s.logger.WarnContext(ctx, "expired sessions are not removed yet", "error", err)
			}
		}
	}
}

// change runs fn in a transaction and announces the topics, and that there is a new audit entry, once
// it is committed.
func (s *Service) change(ctx context.Context, topics []string, fn func(tx *db.Tx) error) error {
	if err := s.db.InTx(ctx, fn); err != nil {
		return err
	}
	for _, t := range topics {
		s.notify(t)
	}
	s.notify(topicAudit)
	return nil
}

// authorize checks within a change that the actor may do it now, and returns the actor with the role
// they have now: both may have changed since the request began.
func (s *Service) authorize(ctx context.Context, tx *db.Tx, a Actor, p Permission) (Actor, error) {
	a, err := s.present(ctx, tx, a)
	if err != nil {
		return Actor{}, err
	}
	return a, a.Require(p)
}

// present returns the actor as stored now. Only users are stored.
func (s *Service) present(ctx context.Context, tx *db.Tx, a Actor) (Actor, error) {
	if a.Kind != KindUser {
		return a, nil
	}
	u, err := s.store.user(ctx, tx, a.ID)
	if fault.Is(err, fault.NotFound) || err == nil && !u.DisabledAt.IsZero() {
		return Actor{}, fault.New(fault.Unauthenticated, "", "Your account is no longer active.")
	}
	if err != nil {
		return Actor{}, fmt.Errorf("access: read the actor: %w", err)
	}
	a.Role = u.Role
	return a, nil
}

// record writes an audit entry within the transaction of a change.
func (s *Service) record(ctx context.Context, tx *db.Tx, a Actor, e audit.Entry) error {
	e.Actor, e.IP = a.audit(), a.IP
	return s.log.Record(ctx, tx, e)
}

// moment is the present in the precision of the store, so that what is returned equals what is read.
func (s *Service) moment() time.Time { return db.Time(db.Micros(s.now())) }

// line makes text of a person fit for one line: trimmed, without control characters and without the
// characters that reverse the direction of what follows, at most limit characters. Characters that
// nobody sees are removed, so that two names that look the same are the same; text of nothing else is
// refused, and so are marks without a letter under them.
func line(code, field, text string, limit int) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsFunc(strings.TrimSpace(text), func(r rune) bool {
		return unicode.IsControl(r) || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' || r == '\u2028' || r == '\u2029'
	}) {
		return "", fault.Field(code, field, "Use letters, digits and signs only: it contains a character that cannot be shown.")
	}
	seen := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) {
			return -1
		}
		return r
	}, text))
	if strings.TrimSpace(text) != "" && !strings.ContainsFunc(seen, visible) {
		return "", fault.Field(code, field, "Use letters, digits or signs: nothing of this can be seen.")
	}
	if utf8.RuneCountInString(seen) > limit {
		return "", fault.Field(code, field, fmt.Sprintf("Use at most %d characters.", limit))
	}
	return seen, nil
}

// visible reports whether a character shows by itself.
func visible(r rune) bool {
	const blankBraille = '\u2800' // a sign without a dot
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) && r != blankBraille
}

// reasonLine checks the reason of a change. There may be none: forms ask for one, programs may not have it.
func reasonLine(reason string) (string, error) {
	return line("INVALID_REASON", "reason", reason, maxReason)
}

// paging applies the defaults and bounds of lists.
func paging(page, limit int) (p, l int) {
	if limit <= 0 {
		limit = defaultLimit
	}
	return min(max(page, 1), maxPage), min(limit, maxLimit)
}
