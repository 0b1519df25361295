package access

import (
	"context"
	"fmt"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/access/throttle"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// SignIn checks an e-mail address and password and returns the user; [Service.StartSession] then
// begins a session. Every failure of the two looks and takes the same, whether there is such an
// account or not. Too many of them are answered with fault.RateLimited, which says how long to wait.
// Only who knows the password of a disabled account is told that it is disabled.
func (s *Service) SignIn(ctx context.Context, o Origin, email string, password telemetry.Secret) (User, error) {
	typed := strings.ToLower(strings.TrimSpace(email))
	attempt, err := s.reserve(ctx, typed, o.IP)
	if err != nil {
		return User{}, fmt.Errorf("access: sign in: %w", err)
	}
	defer attempt.Failed() // unless it is decided otherwise below
	u, match, stale, err := s.checkPassword(ctx, typed, password)
	if err != nil {
		undecided(ctx, attempt)
		return User{}, fmt.Errorf("access: sign in: %w", err)
	}
	if !match {
		attempt.Failed()
		if err := s.recordFailure(ctx, o, u, typed, "wrong password"); err != nil {
			return User{}, fmt.Errorf("access: sign in: %w", err)
		}
		return User{}, wrongSignIn()
	}
	if !u.DisabledAt.IsZero() {
		attempt.Failed() // who was shut out must not fill the record either
		if err := s.recordFailure(ctx, o, u, typed, "account disabled"); err != nil {
			return User{}, fmt.Errorf("access: sign in: %w", err)
		}
		return User{}, accountDisabled()
	}
	attempt.Succeeded()
	fresh := u.passwordHash
	if stale {
		if fresh, err = s.hasher.Hash(ctx, password); err != nil {
			return User{}, fmt.Errorf("access: sign in: %w", err)
		}
	}
	err = s.change(ctx, []string{topicUsers}, func(tx *db.Tx) error {
		ok, err := s.store.signedIn(ctx, tx, u.ID, u.passwordHash, fresh, s.moment())
		if err != nil {
			return err
		}
		if !ok {
			return wrongSignIn() // the password or the account changed while we were hashing
		}
		self := Actor{Kind: KindUser, ID: u.ID, Name: u.Email, IP: o.IP}
		return s.record(ctx, tx, self, audit.Entry{Action: "user.sign_in", Target: u.target()})
	})
	if err != nil {
		return User{}, fmt.Errorf("access: sign in: %w", err)
	}
	u.LastSignInAt = s.moment()
	return u.User, nil
}

// checkPassword takes the same time whether the user exists or not.
func (s *Service) checkPassword(ctx context.Context, email string, password telemetry.Secret) (u userRow, match, stale bool, err error) {
	u, err = s.store.userByEmail(ctx, s.db, email)
	switch {
	case fault.Is(err, fault.NotFound):
		return userRow{}, false, false, s.hasher.VerifyNobody(ctx, password)
	case err != nil:
		return userRow{}, false, false, err
	}
	match, stale, err = s.hasher.Verify(ctx, password, u.passwordHash)
	return u, match, stale, err
}

// recordFailure notes a failed sign-in, also when the client has gone away meanwhile. Entries about
// accounts that do not exist are limited in number, and what was typed is kept only when it is an
// address: people type passwords into the wrong field.
func (s *Service) recordFailure(ctx context.Context, o Origin, u userRow, typed, why string) error {
	ctx = context.WithoutCancel(ctx)
	target := u.target()
	if u.ID == "" {
		if !s.strangers.AllowN(s.now(), 1) {
			s.logger.WarnContext(ctx, "failed sign-ins of unknown accounts are not all in the audit log", "ip", o.IP)
			return nil
		}
		why = "unknown account"
		target = audit.Target{Kind: KindUser, Name: "(not an e-mail address)"}
		if email, err := parseEmail(typed); err == nil {
			target.Name = email[:min(len(email), 120)]
		}
	}
	return s.change(ctx, nil, func(tx *db.Tx) error {
		return s.record(ctx, tx, o.actor(target.Name), audit.Entry{
			Action: "user.sign_in_failed", Target: target, Details: map[string]string{"cause": why},
		})
	})
}

// reserve asks to make an attempt to prove a password before it is checked.
func (s *Service) reserve(ctx context.Context, email, ip string) (*throttle.Attempt, error) {
	attempt, wait, err := s.throttle.Reserve(ctx, email, ip)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		return nil, fault.New(fault.RateLimited, "TOO_MANY_ATTEMPTS",
			"Too many failed attempts. Try again in "+inWords(wait)+".").WithRetryAfter(wait)
	}
	return attempt, nil
}

// undecided takes an attempt back that failed because of us. A client that went away keeps it: hanging
// up must not be a way to try for free.
func undecided(ctx context.Context, attempt *throttle.Attempt) {
	if ctx.Err() == nil {
		attempt.Cancel()
	}
}

// inWords rounds a duration up to something that a person reads at a glance.
func inWords(d time.Duration) string {
	if seconds := int((d + time.Second - 1) / time.Second); seconds < 60 {
		return plural(seconds, "second")
	}
	return plural(int((d+time.Minute-1)/time.Minute), "minute")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

func wrongSignIn() error {
	return fault.New(fault.Unauthenticated, "SIGN_IN_FAILED", "The e-mail address or the password is wrong.")
}

func accountDisabled() error {
	return fault.New(fault.Forbidden, "ACCOUNT_DISABLED", "This account is disabled. Ask an owner or admin to enable it.")
}
