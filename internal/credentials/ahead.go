package credentials

import (
	"context"
	"sync"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/authtype"
)

const (
	// aheadInterval is how often the tokens that are due are looked for.
	aheadInterval = 5 * time.Second
	// aheadAtOnce bounds how many are renewed at the same time, aheadBatch how many in one go.
	aheadAtOnce, aheadBatch = 4, 64
	// previousKept is how long the token before the present one is kept.
	previousKept = 10 * time.Minute
	// eventsKept is how long the history of credentials is kept.
	eventsKept = 400 * 24 * time.Hour
)

// Serve renews tokens ahead of their end until ctx ends, and forgets history that is too old. Run it under a
// supervisor; it returns when what it began is stored.
func (v *Vault) Serve(ctx context.Context) error {
	defer v.settled()
	tick := time.NewTicker(aheadInterval)
	defer tick.Stop()
	var pruned, dropped time.Time
	for {
		v.renewDue(ctx)
		if now := v.now(); now.Sub(pruned) > 24*time.Hour {
			if err := v.store.forgetEvents(ctx, now.Add(-eventsKept)); err != nil {
				v.logger.WarnContext(ctx, "old history of credentials is not forgotten yet", "error", err)
			}
			pruned = now
		}
		if now := v.now(); now.Sub(dropped) > time.Minute {
			if err := v.store.forgetPrevious(ctx, now.Add(-previousKept)); err != nil {
				v.logger.WarnContext(ctx, "tokens that were replaced are not forgotten yet", "error", err)
			}
			dropped = now
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// renewDue renews what is due now.
func (v *Vault) renewDue(ctx context.Context) {
	due, err := v.store.due(ctx, v.store.db, v.moment(), aheadBatch)
	if err != nil {
		v.logger.WarnContext(ctx, "the tokens that are due cannot be read", "error", err)
		return
	}
	places := make(chan struct{}, aheadAtOnce)
	var group sync.WaitGroup
	defer group.Wait()
	for _, id := range due {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		group.Go(func() {
			defer func() { <-places }()
			if err := v.renewAhead(ctx, id); err != nil {
				v.logger.InfoContext(ctx, "a token is not renewed ahead of its end", "credential_id", id, "error", err)
			}
		})
	}
}

// renewAhead renews one token, unless nobody has used it: one that can be had at any time waits for its next
// use then.
func (v *Vault) renewAhead(ctx context.Context, id string) error {
	r, err := v.store.byID(ctx, v.store.db, id)
	if err != nil {
		return err
	}
	t, err := authtype.Lookup(r.AuthType)
	if err != nil {
		return err
	}
	used := db.Time(v.use(id).at.Load())
	if idle := used.Before(r.token.obtainedAt) && r.LastUsedAt.Before(r.token.obtainedAt); idle && !authtype.Interactive(t) || !v.canRenew(r, t) {
		return v.store.db.InTx(ctx, func(tx *db.Tx) error { return v.store.postpone(ctx, tx, id, r.token.version) })
	}
	_, err = v.renew(ctx, id, r.token.version)
	return err
}

// canRenew reports whether a new token can be had without a person.
func (v *Vault) canRenew(r sealedRow, t authtype.Type) bool {
	return !authtype.Interactive(t) || r.token.renewable
}
