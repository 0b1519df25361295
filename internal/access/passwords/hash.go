// Package passwords hashes passwords and says which ones are too weak.
//
// Invariants: hashes are argon2id with our own parameters, never the library's default ones; only a
// few are computed at a time, since each takes 19 MiB; a password is never logged, stored or repeated
// in an error.
package passwords

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"

	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// nobody is a hash that no password fits. It costs as much to check as a real one, so that the time
// an answer takes does not tell whether an account exists.
const nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// How long a hash may wait for its turn, and how many may.
const (
	maxWait    = 10 * time.Second
	maxWaiting = 64
)

func parameters() *argon2id.Params {
	return &argon2id.Params{Memory: 19456, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// Hasher computes hashes, a few at a time. It is safe for concurrent use.
type Hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
}

// NewHasher returns a Hasher that computes so many hashes at a time.
func NewHasher(parallel int) *Hasher { return &Hasher{slots: make(chan struct{}, max(parallel, 1))} }

// Hash returns a salted hash of the password.
func (h *Hasher) Hash(ctx context.Context, password telemetry.Secret) (string, error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	hash, err := argon2id.CreateHash(password.Reveal(), parameters())
	if err != nil {
		return "", fmt.Errorf("passwords: hash: %w", err)
	}
	return hash, nil
}

// Verify reports whether the password fits the hash, and whether the hash was made with other
// parameters than today's and should be made again.
func (h *Hasher) Verify(ctx context.Context, password telemetry.Secret, hash string) (match, stale bool, err error) {
	release, err := h.acquire(ctx)
	if err != nil {
		return false, false, err
	}
	defer release()
	match, used, err := argon2id.CheckHash(password.Reveal(), hash)
	if err != nil {
		return false, false, fmt.Errorf("passwords: verify: %w", err)
	}
	return match, *used != *parameters(), nil
}

// VerifyNobody takes as long as Verify and fits no password: call it when there is no such account.
func (h *Hasher) VerifyNobody(ctx context.Context, password telemetry.Secret) error {
	_, _, err := h.Verify(ctx, password, nobody)
	return err
}

// acquire waits for a free slot. Strangers can fill the queue, so a full one is the answer to a client
// (fault.RateLimited BUSY) and not a failure of ours.
func (h *Hasher) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return release, nil
	default:
	}
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return nil, busy()
	}
	defer h.waiting.Add(-1)
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("passwords: wait for a turn: %w", ctx.Err())
	case <-timer.C:
		return nil, busy()
	}
}

func busy() error {
	return fault.New(fault.RateLimited, "BUSY", "Too many people are signing in right now. Try again in a moment.").
		WithRetryAfter(maxWait)
}
