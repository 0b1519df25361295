package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"switchgear/db"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

// setupToken is the one valid set-up token. It lives in memory: a restart makes a new one.
type setupToken struct {
	mu      sync.Mutex
	hash    [sha256.Size]byte
	expires time.Time // zero when there is no token
}

// SetupNeeded reports whether there is no user yet.
func (s *Service) SetupNeeded(ctx context.Context) (bool, error) {
	if s.isSetUp.Load() { // users are never deleted
		return false, nil
	}
	none, err := s.store.noUsers(ctx, s.db)
	if err != nil {
		return false, fmt.Errorf("access: look for users: %w", err)
	}
	if !none {
		s.isSetUp.Store(true)
	}
	return none, nil
}

// IssueSetupToken makes the token that lets somebody become the first owner. The token before it, if
// any, is no longer valid. It fails with a fault.Conflict once there is a user.
func (s *Service) IssueSetupToken(ctx context.Context) (token string, expires time.Time, err error) {
	needed, err := s.SetupNeeded(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	if !needed {
		return "", time.Time{}, alreadySetUp()
	}
	token = randomToken(16)
	s.setup.mu.Lock()
	defer s.setup.mu.Unlock()
	s.setup.hash = sha256.Sum256([]byte(token))
	s.setup.expires = s.now().Add(s.cfg.SetupLifetime)
	return token, s.setup.expires, nil
}

// CheckSetupToken returns a fault.Forbidden SETUP_TOKEN unless the token is the valid one. It does not
// use it up.
func (s *Service) CheckSetupToken(token string) error {
	presented := sha256.Sum256([]byte(token))
	s.setup.mu.Lock()
	defer s.setup.mu.Unlock()
	if s.setup.expires.IsZero() || subtle.ConstantTimeCompare(presented[:], s.setup.hash[:]) != 1 || !s.now().Before(s.setup.expires) {
		return fault.New(fault.Forbidden, "SETUP_TOKEN", "This set-up link is not valid or has expired.").
			WithSuggestion("Restart Switchgear: it prints a new link.")
	}
	return nil
}

// CompleteSetup makes the first owner, whatever role n asks for, and uses up the token. When several
// people try at once, one succeeds and the others get a fault.Conflict.
func (s *Service) CompleteSetup(ctx context.Context, o Origin, token string, n NewUser) (User, error) {
	if err := s.CheckSetupToken(token); err != nil {
		return User{}, err
	}
	n.Role = RoleOwner
	u, err := s.prepareUser(ctx, n)
	if err != nil {
		return User{}, err
	}
	err = s.change(ctx, []string{topicUsers}, func(tx *db.Tx) error {
		none, err := s.store.noUsers(ctx, tx)
		if err != nil {
			return err
		}
		if !none {
			return alreadySetUp()
		}
		// Again, because hashing took a while and the token may be replaced by now.
		if err := s.CheckSetupToken(token); err != nil {
			return err
		}
		u.LastSignInAt = u.CreatedAt // whoever makes their own account is signed in by it
		if err := s.insertUser(ctx, tx, u); err != nil {
			return err
		}
		return s.record(ctx, tx, o.actor(u.Email), audit.Entry{Action: "setup.complete", Target: u.target()})
	})
	if err != nil {
		return User{}, fmt.Errorf("access: complete set-up: %w", err)
	}
	s.isSetUp.Store(true)
	s.setup.mu.Lock()
	s.setup.expires = time.Time{}
	s.setup.mu.Unlock()
	return u.User, nil
}

func alreadySetUp() error {
	return fault.New(fault.Conflict, "ALREADY_SET_UP", "Switchgear is already set up. Sign in instead.")
}

// randomToken returns n random bytes as URL-safe text.
func randomToken(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the program ends instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// tokenHash is what is stored of a token. The tokens are random, so a fast hash is enough.
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
