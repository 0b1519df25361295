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
	// leaseMargin is how long before its lease ends a renewal gives up.
	leaseMargin = 5 * time.Second
	// supersededLimit is how often a renewal begins anew because the credential changed during it.
	supersededLimit = 3
	// keepTries is how often storing a new token is tried.
	keepTries = 5
	// renewalLimit bounds the wait for a lease.
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
// token is committed before anybody uses it. Who leaves does not end the renewal: an answer that nobody takes
// could hold the only refresh token that still works.
//
// Errors: CREDENTIAL_NEEDS_REAUTH when a person has to consent again, CREDENTIAL_NOT_CONNECTED when nobody
// has with this client, CREDENTIAL_RENEWAL_FAILED with a Retry-After while it is not tried again, ACCOUNT_NOT_FOUND.
func (v *Vault) renew(ctx context.Context, id string, seen int64) (*heldToken, error) {
	for {
		v.mu.Lock()
		running, ok := v.renewals[id]
		if !ok {
			running = &renewal{done: make(chan struct{})}
			v.renewals[id] = running
			go v.lead(context.WithoutCancel(ctx), id, seen, running) // settled waits for it
		}
		v.mu.Unlock()
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

// settled waits until no renewal is under way in this process.
func (v *Vault) settled() {
	for {
		var running *renewal
		v.mu.Lock()
		for _, running = range v.renewals {
			break
		}
		v.mu.Unlock()
		if running == nil {
			return
		}
		<-running.done
	}
}

// lead makes the renewal that others wait for.
func (v *Vault) lead(ctx context.Context, id string, seen int64, running *renewal) {
	defer func() {
		v.mu.Lock()
		delete(v.renewals, id)
		v.mu.Unlock()
		close(running.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, renewalLimit)
	defer cancel()
	running.token, running.err = v.renewOnce(ctx, id, seen)
	if running.err == nil {
		v.liveToken(id).learn(running.token)
	}
}

var (
	// errLeased says that another process is at it.
	errLeased = errors.New("credentials: the token is being renewed by another process")
	// errSuperseded says that the row is not what it was when the renewal began: it is looked at anew.
	errSuperseded = errors.New("credentials: the credential changed during the renewal")
)

// TakeOver frees the leases that a process before this one held: it is gone, because a database has one
// process. Call it before the first call; what an unfinished renewal came to is found out by the next.
func (v *Vault) TakeOver(ctx context.Context) error {
	err := v.store.db.InTx(ctx, func(tx *db.Tx) error { return v.store.freeLeases(ctx, tx) })
	if err != nil {
		return fmt.Errorf("credentials: free the leases of the process before: %w", err)
	}
	return nil
}

// renewOnce makes one renewal, and another one when the credential changed during it.
func (v *Vault) renewOnce(ctx context.Context, id string, seen int64) (*heldToken, error) {
	for superseded := 0; ; {
		r, lease, err := v.acquire(ctx, id, seen)
		switch {
		case errors.Is(err, errLeased):
			if err := pause(ctx, leasePoll); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case lease == "": // Somebody else was faster.
			return r.held(), nil
		}
		token, err := v.ask(ctx, r, lease)
		if !errors.Is(err, errSuperseded) {
			return token, err
		}
		if superseded++; superseded == supersededLimit {
			return nil, storeError(id, nil)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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
			return renewalFailed(r.AuthType, r.token.errorCode, r.token.retryAt.Sub(now))
		}
		if t, err := authtype.Lookup(r.AuthType); err != nil {
			return err
		} else if authtype.Interactive(t) && r.token.sealed == "" {
			return v.notConnected(r)
		}
		lease = db.NewID("lease")
		return v.store.lease(ctx, tx, id, lease, now, now.Add(leaseLife))
	})
	return r, lease, err
}

// notConnected is about an account without a consent. One that was used before is lost, whatever kind of credential
// it had then.
func (v *Vault) notConnected(r sealedRow) error {
	v.use(r.ID).onto(&r.Credential)
	switch {
	case r.token.version == 0 && !r.LastUsedAt.IsZero():
		return fault.New(fault.Unavailable, "CREDENTIAL_NOT_CONNECTED", "The account has to be connected again: what it was used with before is no longer there. Connect it on the page of the connection.")
	case r.token.version > 0:
		return fault.New(fault.Unavailable, "CREDENTIAL_NOT_CONNECTED", "The account has to be connected again, because its client is another one. Connect it on the page of the connection.")
	}
	return fault.Wrap(errNotSetUp, fault.Unavailable, "CREDENTIAL_NOT_CONNECTED", "The account is not connected yet. Connect it on the page of the connection.")
}

func renewalFailed(authType, code string, wait time.Duration) error {
	advice := Advice(authType, code)
	return fault.New(fault.Unavailable, codeRenewalFailed, "No new access token could be obtained ("+code+"). "+advice).WithRetryAfter(wait)
}

// ask sends the request for a new token, and stores what came of it. It has its own time: however long the
// lease was waited for, the answer is taken and stored while the lease is ours.
func (v *Vault) ask(ctx context.Context, r sealedRow, lease string) (*heldToken, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseLife-leaseMargin)
	defer cancel()
	unsent := func(err error) (*heldToken, error) {
		_, noted := v.failed(ctx, r, lease, failure{code: oauth.CodeClientConfig})
		if errors.Is(noted, errSuperseded) {
			return nil, noted
		}
		return nil, err
	}
	cfg, granted, err := v.client(ctx, v.store.db, r)
	if clientElsewhere(err) {
		return v.failed(ctx, r, lease, failure{code: oauth.CodeClientServer})
	}
	if err != nil {
		return unsent(err)
	}
	var (
		secrets tokenSecrets
		token   oauth.Token
	)
	switch granted.Grant() {
	case authtype.GrantClientCredentials, authtype.GrantJWTBearer:
		secrets.Servers = tokenServers(cfg)
		token, err = v.grant(ctx, granted, cfg)
	case authtype.GrantAuthorizationCode, authtype.GrantDeviceCode:
		if secrets, err = v.openToken(r.held()); err != nil {
			return unsent(err)
		}
		if secrets.Refresh == "" {
			return v.failed(ctx, r, lease, failure{
				code: codeExpired, final: "The access token ended, and the service gave no refresh token with it.",
			})
		}
		if otherServer(secrets.Servers, cfg.TokenURL) {
			return v.failed(ctx, r, lease, failure{code: oauth.CodeOtherServer})
		}
		token, err = v.endpoint.Refresh(ctx, cfg, secrets.Refresh)
	default:
		return unsent(fault.Newf(fault.Internal, "credentials: unknown grant %q", granted.Grant()))
	}
	if err != nil {
		return v.failed(ctx, r, lease, failureOf(err, r, granted))
	}
	return v.keep(ctx, r, lease, token, secrets)
}

// keep commits a new token. It is not given up easily: with a server that rotates, it is the only one.
func (v *Vault) keep(ctx context.Context, r sealedRow, lease string, token oauth.Token, asked tokenSecrets) (*heldToken, error) {
	next, err := v.sealToken(r, token, asked)
	if err != nil {
		return nil, err
	}
	var last error
	for try := range keepTries {
		if try > 0 {
			if err := pause(ctx, leasePoll<<try); err != nil {
				return nil, errors.Join(err, last)
			}
		}
		var kept keeping
		kept, last = v.tryToKeep(ctx, r, lease, next, asked.Refresh == "")
		switch {
		case fault.Is(last, fault.NotFound):
			return nil, noAccount(last) // Deleted meanwhile: nobody needs the token.
		case last != nil:
			continue // Nobody knows whether it is stored. The next try finds out.
		case kept.problem != nil:
			return nil, kept.problem
		}
		if kept.reopened {
			v.changed(ctx, r.ConnectionID, r.Account)
		}
		r.token = next
		return r.held(), nil
	}
	return nil, fmt.Errorf("credentials: keep the new token of %s: %w", r.ID, last)
}

// keeping is what came of an attempt to store a token: why it must not be, or that it brought the account back.
type keeping struct {
	problem  error
	reopened bool
}

// tryToKeep is one attempt to store a token. anytime says that it can be had anew without a person.
func (v *Vault) tryToKeep(ctx context.Context, r sealedRow, lease string, next tokenRow, anytime bool) (keeping, error) {
	var kept keeping
	err := v.store.db.InTx(ctx, func(tx *db.Tx) error {
		kept = keeping{}
		now, err := v.store.byID(ctx, tx, r.ID)
		switch {
		case err != nil:
			return err
		case now.token.sealed == next.sealed:
			return nil // By the try before this one.
		case now.State == StateRevoked:
			kept.problem = stateProblem(now.State)
			return v.store.release(ctx, tx, r.ID, lease, r.token)
		case now.token.version != r.token.version, anytime && now.Version != r.Version:
			// A person connected the account, or changed the client, and this token is of the one before.
			kept.problem = errSuperseded
			return v.store.release(ctx, tx, r.ID, lease, r.token)
		}
		// Whoever holds the lease by now: it is newer than what is there.
		if _, err := v.store.replaceToken(ctx, tx, r.ID, r.token.version, next); err != nil {
			return err
		}
		if now.State == StateNeedsReauth { // Somebody else was refused while this answer was on its way.
			if err := v.store.setState(ctx, tx, r.ID, StateActive, v.moment()); err != nil {
				return err
			}
			kept.reopened = true
		}
		return v.recordEvent(ctx, tx, r.Credential, next.version, EventRenewed, "", systemActor())
	})
	return kept, err
}

// codeExpired is the code of a token that ended and cannot be renewed.
const codeExpired = "expired"

// failure is why no new token came.
type failure struct {
	code string
	// unknown says that the server may have acted.
	unknown bool
	// final is why only a person can bring the account back; empty when that is not so.
	final string
}

func failureOf(cause error, r sealedRow, t authtype.Type) failure {
	e, ok := errors.AsType[*oauth.Error](cause)
	if !ok {
		e = &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeClientConfig}
	}
	f := failure{code: e.Code, unknown: e.Unknown}
	if e.Code == oauth.CodeInvalidGrant && authtype.Interactive(t) {
		f.final = "The service no longer accepts the refresh token: it was revoked, used or has expired."
		if !r.token.askedAt.IsZero() {
			f.final = "The service no longer accepts the refresh token. The answer to an earlier renewal never arrived; it may have held a new one."
		}
	}
	return f
}

// failed notes a renewal that failed, unless the credential is not what it was when the renewal began: a
// person who connected the account again, or another process that was faster, is not overruled.
func (v *Vault) failed(ctx context.Context, r sealedRow, lease string, f failure) (*heldToken, error) {
	moment := v.moment()
	next := tokenRow{failures: r.token.failures + 1, errorCode: f.code, askedAt: r.token.askedAt}
	wait := pauseAfter(next.failures)
	if f.unknown {
		next.askedAt = moment
		if next.failures == 1 {
			wait = unknownPause
		}
	}
	if f.final == "" {
		next.retryAt = moment.Add(wait)
	}
	superseded := false
	err := v.store.db.InTx(ctx, func(tx *db.Tx) error {
		now, err := v.store.byID(ctx, tx, r.ID)
		if err != nil {
			return noAccount(err)
		}
		// What was sent with another client says nothing about this one; but what may have been acted upon
		// is not sent again at once, whoever changed what.
		if superseded = now.token.leaseToken != lease || now.Version != r.Version && !f.unknown; superseded {
			return v.store.release(ctx, tx, r.ID, lease, r.token)
		}
		if err := v.store.release(ctx, tx, r.ID, lease, next); err != nil {
			return err
		}
		switch {
		case f.final != "":
			if err := v.store.setState(ctx, tx, r.ID, StateNeedsReauth, moment); err != nil {
				return err
			}
			return v.recordEvent(ctx, tx, r.Credential, r.token.version, EventNeedsReauth, f.code, systemActor(), f.final)
		case r.token.failures > 0 && r.token.errorCode == f.code:
			return nil // Known already; one line for each would bury the history.
		}
		return v.recordEvent(ctx, tx, r.Credential, r.token.version, EventRenewalFailed, f.code, systemActor())
	})
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, err
	case err != nil: // The lease stays, which is a pause, too.
		return nil, fmt.Errorf("credentials: note the failed renewal of %s: %w", r.ID, err)
	case superseded:
		return nil, errSuperseded
	case f.final != "":
		v.logger.ErrorContext(ctx, "an account has to be connected again", "credential_id", r.ID, "connection_id", r.ConnectionID,
			"account", r.Account, "code", f.code)
		v.changed(ctx, r.ConnectionID, r.Account)
		return nil, stateProblem(StateNeedsReauth)
	}
	v.logger.WarnContext(ctx, "a token could not be renewed", "credential_id", r.ID, "connection_id", r.ConnectionID,
		"code", f.code, "failures", next.failures, "unknown", f.unknown)
	return nil, renewalFailed(r.AuthType, f.code, wait)
}

// pauseAfter grows with the failures in a row, with some jitter.
func pauseAfter(failures int) time.Duration {
	pause := min(firstPause<<min(failures-1, 10), lastPause)
	return pause + spread(pause/5)
}
