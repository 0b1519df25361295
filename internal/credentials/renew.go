package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

const (
	// leaseLife is how long one renewal may hold its lease: longer than a request and its commit take.
	leaseLife = 45 * time.Second
	// leasePoll is how often a lease that another process holds is looked at.
	leasePoll = 100 * time.Millisecond
	// renewalLimit bounds a renewal with everything around it.
	renewalLimit = 60 * time.Second
	// unknownPause is how long after an answer that never came the one cautious retry waits.
	unknownPause = 5 * time.Second
	// The pauses after failures double from the first to the last.
	firstPause, lastPause = 5 * time.Second, 15 * time.Minute
)

// renewal is one that is under way in this process.
type renewal struct {
	done  chan struct{}
	token *heldToken
	err   error
}

// renew returns a token of a credential that is newer than the version that was seen. However many ask, one
// request is sent: those in this process wait for each other, processes for the lease on the row. The new
// token is committed before anybody uses it.
//
// Errors: CREDENTIAL_NEEDS_REAUTH when a person has to consent again, CREDENTIAL_NOT_CONNECTED when nobody
// has yet, CREDENTIAL_RENEWAL_FAILED with a Retry-After while it is not tried again, ACCOUNT_NOT_FOUND.
func (v *Vault) renew(ctx context.Context, id string, seen int64) (*heldToken, error) {
	for {
		v.mu.Lock()
		running, ok := v.renewals[id]
		if !ok {
			running = &renewal{done: make(chan struct{})}
			v.renewals[id] = running
		}
		v.mu.Unlock()
		if !ok {
			v.lead(ctx, id, seen, running)
			return running.token, running.err
		}
		select {
		case <-running.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if running.err != nil || running.token.version > seen {
			return running.token, running.err
		}
	}
}

// lead makes the renewal that others wait for. It goes on when the caller leaves: an answer that nobody
// takes could hold the only refresh token that still works.
func (v *Vault) lead(ctx context.Context, id string, seen int64, running *renewal) {
	running.err = fault.Newf(fault.Internal, "credentials: the renewal of %s ended early", id)
	defer func() {
		v.mu.Lock()
		delete(v.renewals, id)
		v.mu.Unlock()
		close(running.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewalLimit)
	defer cancel()
	running.token, running.err = v.renewOnce(ctx, id, seen)
	if running.err == nil {
		v.liveToken(id).learn(running.token)
	}
}

// errLeased says that another process is at it.
var errLeased = errors.New("credentials: the token is being renewed by another process")

func (v *Vault) renewOnce(ctx context.Context, id string, seen int64) (*heldToken, error) {
	for {
		r, lease, err := v.acquire(ctx, id, seen)
		switch {
		case errors.Is(err, errLeased):
			timer := time.NewTimer(leasePoll)
			select {
			case <-timer.C:
				continue
			case <-ctx.Done():
				timer.Stop()
				return nil, ctx.Err()
			}
		case err != nil:
			return nil, err
		case lease == "": // Somebody else was faster.
			return r.held(), nil
		}
		return v.ask(ctx, r, lease)
	}
}

// acquire takes the lease on the token of a credential. Without a lease and an error the row holds a newer
// token than the one that was seen.
func (v *Vault) acquire(ctx context.Context, id string, seen int64) (r sealedRow, lease string, err error) {
	err = v.store.db.InTx(ctx, func(tx *db.Tx) error {
		lease = ""
		if r, err = v.store.byID(ctx, tx, id); err != nil {
			return noAccount(err)
		}
		now := v.moment()
		switch {
		case r.State != StateActive:
			return stateProblem(r.State)
		case r.token.version > seen && r.held().usable(now):
			return nil
		case r.token.leaseToken != "" && r.token.leaseUntil.After(now):
			return errLeased
		case r.token.retryAt.After(now):
			return renewalFailed(r.token.errorCode, r.token.retryAt.Sub(now))
		}
		if t, err := authtype.Lookup(r.AuthType); err != nil {
			return err
		} else if authtype.Interactive(t) && r.token.sealed == "" {
			return notConnected()
		}
		lease = db.NewID("lease")
		return v.store.lease(ctx, tx, id, lease, now, now.Add(leaseLife))
	})
	return r, lease, err
}

func notConnected() error {
	return fault.New(fault.Unavailable, "CREDENTIAL_NOT_CONNECTED", "The account is not connected yet. Connect it on the page of the connection.")
}

func renewalFailed(code string, wait time.Duration) error {
	advice := (&oauth.Error{Step: oauth.StepToken, Code: code}).Advice()
	return fault.New(fault.Unavailable, "CREDENTIAL_RENEWAL_FAILED", "No new access token could be obtained ("+code+"). "+advice).WithRetryAfter(wait)
}

// ask sends the request for a new token, and stores what came of it.
func (v *Vault) ask(ctx context.Context, r sealedRow, lease string) (*heldToken, error) {
	cfg, granted, err := v.client(ctx, v.store.db, r)
	if err != nil {
		return nil, errors.Join(err, v.giveBack(ctx, r, lease, tokenRow{failures: r.token.failures}))
	}
	var (
		secrets tokenSecrets
		token   oauth.Token
	)
	switch granted.Grant() {
	case authtype.GrantClientCredentials:
		token, err = v.endpoint.ClientCredentials(ctx, cfg)
	case authtype.GrantJWTBearer:
		token, err = v.endpoint.JWTBearer(ctx, cfg)
	case authtype.GrantAuthorizationCode, authtype.GrantDeviceCode:
		if secrets, err = v.openToken(r.held()); err != nil {
			return nil, errors.Join(err, v.giveBack(ctx, r, lease, tokenRow{failures: r.token.failures}))
		}
		if secrets.Refresh == "" {
			return v.lost(ctx, r, lease, "expired", "The access token ended, and the service gave no refresh token with it.")
		}
		token, err = v.endpoint.Refresh(ctx, cfg, secrets.Refresh)
	default:
		err = fault.Newf(fault.Internal, "credentials: unknown grant %q", granted.Grant())
	}
	if err != nil {
		return v.refused(ctx, r, lease, granted, err)
	}
	return v.keep(ctx, r, token, secrets.Refresh)
}

// keep commits a new token. It is not given up easily: with a server that rotates, it is the only one.
func (v *Vault) keep(ctx context.Context, r sealedRow, token oauth.Token, refresh string) (*heldToken, error) {
	next, err := v.sealToken(r, token, refresh)
	if err != nil {
		return nil, err
	}
	var last error
	for try := range 5 {
		if try > 0 {
			timer := time.NewTimer(leasePoll << try)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return nil, errors.Join(ctx.Err(), last)
			}
		}
		stored := false
		last = v.store.db.InTx(ctx, func(tx *db.Tx) error {
			// Whoever holds the lease by now: an older token must not win over this one.
			if stored, err = v.store.replaceToken(ctx, tx, r.ID, r.token.version, next); err != nil || !stored {
				return err
			}
			return v.recordEvent(ctx, tx, r.Credential, next.version, EventRenewed, "", systemActor())
		})
		if last != nil {
			now, err := v.store.byID(ctx, v.store.db, r.ID)
			if err != nil || now.token.sealed != next.sealed {
				continue // Unknown, or not stored.
			}
			stored = true
		}
		if stored {
			r.token = next
			return r.held(), nil
		}
		// Another one was stored in between: by a person who connected the account, or by a lease after ours.
		now, err := v.store.byID(ctx, v.store.db, r.ID)
		if err != nil {
			return nil, noAccount(err)
		}
		if now.held().usable(v.now()) {
			return now.held(), nil
		}
		return nil, storeError(r.ID, nil)
	}
	return nil, fmt.Errorf("credentials: keep the new token of %s: %w", r.ID, last)
}

// refused notes a renewal that failed.
func (v *Vault) refused(ctx context.Context, r sealedRow, lease string, granted authtype.Granted, cause error) (*heldToken, error) {
	failed, ok := errors.AsType[*oauth.Error](cause)
	if !ok {
		failed = &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeClientConfig}
	}
	// Another writer may have rotated the token meanwhile: then that one is the answer.
	now, err := v.store.byID(ctx, v.store.db, r.ID)
	if err == nil && now.token.version > r.token.version && now.held().usable(v.now()) {
		return now.held(), nil
	}
	if failed.Code == oauth.CodeInvalidGrant && authtype.Interactive(granted) {
		detail := "The service no longer accepts the refresh token: it was revoked, used or has expired."
		if !r.token.askedAt.IsZero() {
			detail = "The service no longer accepts the refresh token. The answer to an earlier renewal never arrived; it may have held a new one."
		}
		return v.lost(ctx, r, lease, failed.Code, detail)
	}
	next := tokenRow{failures: r.token.failures + 1, errorCode: failed.Code}
	moment := v.moment()
	pause := pauseAfter(next.failures)
	if failed.Unknown {
		next.askedAt = moment
		if next.failures == 1 {
			pause = unknownPause
		}
	}
	next.retryAt = moment.Add(pause)
	err = v.store.db.InTx(ctx, func(tx *db.Tx) error {
		if err := v.store.release(ctx, tx, r.ID, lease, next); err != nil {
			return err
		}
		if r.token.failures > 0 && r.token.errorCode == failed.Code {
			return nil // Known already; one line for each would bury the history.
		}
		return v.recordEvent(ctx, tx, r.Credential, r.token.version, EventRenewalFailed, failed.Code, systemActor())
	})
	if err != nil {
		v.logger.WarnContext(ctx, "a failed renewal is not recorded", "credential_id", r.ID, "error", err)
	}
	v.logger.WarnContext(ctx, "a token could not be renewed", "credential_id", r.ID, "connection_id", r.ConnectionID,
		"code", failed.Code, "failures", next.failures, "unknown", failed.Unknown)
	if held := r.held(); held.usable(v.now()) {
		return held, nil // The present one is still good: whoever asked ahead of time does not suffer.
	}
	return nil, renewalFailed(failed.Code, pause)
}

// pauseAfter grows with the failures in a row, with some jitter.
func pauseAfter(failures int) time.Duration {
	pause := min(firstPause<<min(failures-1, 10), lastPause)
	return pause + spread(pause/5)
}

// lost notes that only a person can bring the account back.
func (v *Vault) lost(ctx context.Context, r sealedRow, lease, code, detail string) (*heldToken, error) {
	err := v.store.db.InTx(ctx, func(tx *db.Tx) error {
		if err := v.store.release(ctx, tx, r.ID, lease, tokenRow{failures: r.token.failures + 1, errorCode: code}); err != nil {
			return err
		}
		if err := v.store.setState(ctx, tx, r.ID, StateNeedsReauth, v.moment()); err != nil {
			return err
		}
		return v.recordEvent(ctx, tx, r.Credential, r.token.version, EventNeedsReauth, code, systemActor(), detail)
	})
	if err != nil {
		return nil, fmt.Errorf("credentials: note that %s needs consent: %w", r.ID, err)
	}
	v.logger.ErrorContext(ctx, "an account has to be connected again", "credential_id", r.ID, "connection_id", r.ConnectionID,
		"account", r.Account, "code", code)
	v.changed(ctx, r.ConnectionID, r.Account)
	return nil, stateProblem(StateNeedsReauth)
}

// giveBack releases a lease under which nothing was sent.
func (v *Vault) giveBack(ctx context.Context, r sealedRow, lease string, next tokenRow) error {
	return v.store.db.InTx(ctx, func(tx *db.Tx) error { return v.store.release(ctx, tx, r.ID, lease, next) })
}

// Accepted notes that a token was accepted by the service, so that the one before it can be forgotten.
func (v *Vault) Accepted(ctx context.Context, id string, version int64) error {
	return v.store.db.InTx(ctx, func(tx *db.Tx) error { return v.store.accepted(ctx, tx, id, version) })
}
