package connections

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
)

// snapshot is every connection as calls see it. It is never changed once it is published.
type snapshot struct {
	entries directory
	byName  []*Standing
}

// entry is one connection, ready to be called, or the reason why it cannot be.
type entry struct {
	Connection
	base   *url.URL
	policy runtime.Policy
	// merged says that policy is all of its layers, of which none could not be read.
	merged bool
	// operations are those of policy, resolved.
	operations []runtime.OperationPolicy
	set        *credentials.Set
	transports
	problem error
	nameKey string
}

// Target returns how to call a connection as an account; no account is the default one. It reads memory
// only. The base URL that it returns is shared: do not change it.
//
// Errors: CONNECTION_NOT_FOUND, CONNECTION_PAUSED, CONNECTION_NOT_CALLABLE (it has no address),
// CONNECTION_UNUSABLE (this release cannot read its definition), ACCOUNT_NOT_FOUND, and those of
// [credentials.Set.Authorizer] about a credential that is missing, revoked, damaged or to be renewed. With
// an error about a connection that exists comes a target that names it, for the record of the call.
func (s *Service) Target(slug, account string) (runtime.Target, error) {
	e := s.snapshot.Load().entries.get(slug)
	if e == nil {
		return runtime.Target{}, fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection.")
	}
	if account == "" {
		account = credentials.DefaultAccount
	}
	named := runtime.Target{ConnectionID: e.ID, Slug: e.Slug, Account: account, Version: e.Version, BaseURL: e.base}
	switch {
	case e.State == StatePaused:
		return named, fault.New(fault.Conflict, "CONNECTION_PAUSED", "The connection is paused. Resume it to let calls through.")
	case e.problem != nil:
		return named, e.problem
	}
	authorize, renew, err := e.set.Authorizer(account)
	if err != nil {
		return named, err
	}
	transport, err := e.of(account)
	if err != nil {
		return named, err
	}
	credential, version := e.set.Identity(account)
	ready, obtain := e.set.Token(account)
	return runtime.Target{
		ConnectionID: e.ID, Slug: e.Slug, Account: account, Version: e.Version,
		BaseURL: e.base, Policy: e.policy, Operations: e.operations,
		Authorize: authorize, SignsBody: e.set.SignsBody(account), Refresh: renew, CredentialID: credential, CredentialVersion: version,
		Ready: ready, Obtain: obtain, Transport: transport, LogBodies: e.LogBodies,
	}, nil
}

// Peek returns a connection as calls see it, from memory. It checks no permission: it is for the gateway.
// What it returns is shared: do not change its maps and slices.
func (s *Service) Peek(slug string) (Connection, bool) {
	e := s.snapshot.Load().entries.get(slug)
	if e == nil {
		return Connection{}, false
	}
	return e.Connection, true
}

// EffectivePolicy returns the whole policy that calls of a connection have: the product's under the
// provider's under its own. What it returns is shared: do not change its slices.
func (s *Service) EffectivePolicy(c Connection) (runtime.Policy, error) {
	// The one that calls go by is of the same layers, mostly.
	if e := s.snapshot.Load().entries.get(c.Slug); e != nil && e.merged && e.Provider == c.Provider && bytes.Equal(e.Policy, c.Policy) {
		return e.policy, nil
	}
	provider, err := s.provider(c.Provider)
	if err != nil {
		return runtime.Policy{}, err
	}
	return effectivePolicy(c.Policy, provider)
}

// PolicySet is what the protections of a connection would be with another policy of its own. It checks the
// policy as saving it does, and changes nothing.
func (s *Service) PolicySet(c Connection, own json.RawMessage) (runtime.PolicySet, error) {
	provider, err := s.provider(c.Provider)
	if err != nil {
		return runtime.PolicySet{}, err
	}
	if own, err = checkPolicy(own, provider); err != nil {
		return runtime.PolicySet{}, err
	}
	set := runtime.PolicySet{ConnectionID: c.ID, Version: c.Version}
	if set.Policy, err = effectivePolicy(own, provider); err != nil {
		return runtime.PolicySet{}, err
	}
	set.Operations, err = set.Policy.Resolve()
	return set, err
}

// Settings lists every setting of the effective policy of a connection, or of one of its operations, with
// where it comes from: product, provider, connection or operation. An operation that it does not have is
// fault.NotFound.
func (s *Service) Settings(c Connection, operation string) ([]runtime.Setting, error) {
	provider, err := s.provider(c.Provider)
	if err != nil {
		return nil, err
	}
	policy, err := effectivePolicy(c.Policy, provider)
	if err != nil {
		return nil, err
	}
	layers := append(ProviderLayers(provider), runtime.Layer{Name: "connection", Patch: c.Policy})
	if operation == "" {
		return runtime.Explain(policy, "product", layers...), nil
	}
	operations, err := policy.Resolve()
	if err != nil {
		return nil, err
	}
	for _, o := range operations {
		if o.ID == operation {
			return runtime.Explain(o.Effective, "product", append(layers, runtime.Layer{Name: "operation", Patch: o.Policy})...), nil
		}
	}
	return nil, fault.Newf(fault.NotFound, "The connection has no operation %q.", operation)
}

// load makes the entry of a connection that a change touched, as the transaction sees it.
func (s *Service) load(ctx context.Context, tx *db.Tx, done effect) (*entry, error) {
	r, err := s.store.bySlug(ctx, tx, done.slug)
	if err != nil {
		return nil, fmt.Errorf("connections: load %s: %w", done.slug, err)
	}
	old := s.snapshot.Load().entries.get(done.slug)
	if old == nil || old.ID != r.ID || s.stale.Load() {
		set, err := s.vault.Load(ctx, tx, r.ID)
		if err != nil {
			return nil, err
		}
		return s.newEntry(r, set, nil), nil
	}
	set := old.set
	if len(done.accounts) > 0 {
		if set, err = s.vault.LoadAccounts(ctx, tx, old.set, r.ID, done.accounts...); err != nil {
			return nil, err
		}
	}
	return s.newEntry(r, set, old), nil
}

// newEntry never fails: a connection that cannot be used says so when it is called.
func (s *Service) newEntry(r row, set *credentials.Set, old *entry) *entry {
	set = set.At(r.origin())
	e := &entry{Connection: r.Connection, set: set, nameKey: nameKey(r.def)}
	var kept transports
	if old != nil && old.Version == r.Version {
		kept = old.transports
	}
	e.transports = newTransports(s.egress, set, kept)
	provider, err := s.provider(r.Provider)
	e.merged = err == nil
	if fault.Is(err, fault.Invalid) {
		// It left the catalogue with an upgrade. It only had defaults to give.
		provider, err = providers.Provider{Slug: r.Provider}, nil
	}
	if err == nil {
		e.policy, err = effectivePolicy(r.Policy, provider)
	}
	e.merged = e.merged && err == nil
	if err == nil {
		e.operations, err = e.policy.Resolve()
	}
	if err == nil {
		e.base, err = url.Parse(r.BaseURL)
	}
	switch {
	case err != nil:
		e.problem = fault.Wrap(err, fault.Unavailable, "CONNECTION_UNUSABLE",
			"This release cannot use the definition of the connection. Edit it, or go back to an older version.")
	case r.BaseURL == "":
		e.problem = fault.New(fault.Conflict, "CONNECTION_NOT_CALLABLE", "The connection has no address to call.")
	}
	return e
}

// publish replaces entries of the snapshot, by their slugs, all at once; nil removes one. The caller holds the
// lock.
func (s *Service) publish(next map[string]*entry) {
	current := s.snapshot.Load()
	s.snapshot.Store(&snapshot{entries: current.entries.with(next), byName: replaceStandings(current, next)})
	for slug, e := range next {
		old := current.entries.get(slug)
		s.protect(old, e)
		if old != nil {
			old.retire(e)
		}
	}
}

// publishGood brings marks of what was seen to work into the snapshot, by the ids of the connections. The caller
// holds the lock.
func (s *Service) publishGood(versions map[string]int) {
	next := make(map[string]*entry, len(versions))
	current := s.snapshot.Load()
	for slug, e := range current.entries.all() {
		if version, ok := versions[e.ID]; ok {
			good := *e
			good.LastKnownGood = version
			next[slug] = &good
		}
	}
	s.publish(next)
}

// protect makes the policy of next hold, in place of that of old. A connection that cannot be called needs
// none.
func (s *Service) protect(old, next *entry) {
	if old != nil && (next == nil || next.ID != old.ID) {
		s.guards.Forget(old.ID)
	}
	if next == nil || next.problem != nil {
		return
	}
	if err := s.guards.Apply(next.policySet()); err != nil {
		// The old policy stays in force, which is better than none.
		s.logger.Error("the policy of a connection does not hold yet", "connection_id", next.ID, "version", next.Version, "error", err)
	}
}

func (e *entry) policySet() runtime.PolicySet {
	return runtime.PolicySet{ConnectionID: e.ID, Version: e.Version, Policy: e.policy, Operations: e.operations}
}

// CredentialChanged takes over what the vault changed about the credential of an account without anybody
// asking. An account that is gone by now needs nothing.
func (s *Service) CredentialChanged(ctx context.Context, connectionID, account string) {
	err := s.takeOver(ctx, connectionID, account)
	if err != nil {
		s.stale.Store(true) // Serve tries again.
		s.logger.WarnContext(ctx, "a changed credential is not loaded yet", "connection_id", connectionID, "error", err)
	}
}

func (s *Service) takeOver(ctx context.Context, connectionID, account string) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	slug, known := s.Slugs()[connectionID]
	if !known {
		return nil
	}
	var next *entry
	err := s.db.InTx(ctx, func(tx *db.Tx) (err error) {
		next, err = s.load(ctx, tx, effect{slug: slug, accounts: []string{account}})
		return err
	})
	if err != nil {
		return err
	}
	s.publish(map[string]*entry{slug: next})
	s.notify(topicConnections)
	return nil
}

// Refresh reads every connection and credential again. Credentials that do not open are marked as corrupt
// and recorded; the connections that do not need them keep working.
func (s *Service) Refresh(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.reload(ctx)
}

// doubt follows what the database holds where err leaves open whether a commit succeeded. The caller holds the lock.
func (s *Service) doubt(ctx context.Context, err error) {
	if fault.CodeOf(err) == "COMMIT_UNKNOWN" {
		s.stale.Store(true)
		s.mend(ctx)
	}
}

// mend tries once to reload at the end of a change, even if the request behind it is gone. Serve tries
// again.
func (s *Service) mend(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadLimit)
	defer cancel()
	if err := s.reload(ctx); err != nil {
		s.logger.WarnContext(ctx, "connections are not reloaded yet", "error", err)
	}
}

// reload is Refresh for who holds the lock. It reads in a transaction, so that definitions and
// credentials belong together.
func (s *Service) reload(ctx context.Context) error {
	var next map[string]*entry
	old, marked := s.snapshot.Load(), false
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		rows, err := s.store.all(ctx, tx)
		if err != nil {
			return err
		}
		sets, err := s.vault.LoadAll(ctx, tx)
		if err != nil {
			return err
		}
		next = make(map[string]*entry, len(rows))
		for _, r := range rows {
			set := sets[r.ID]
			if set == nil {
				set = &credentials.Set{}
			}
			before := old.entries.get(r.Slug)
			if before != nil && before.ID != r.ID {
				before = nil
			}
			e := s.newEntry(r, set, before)
			if e.problem != nil && r.BaseURL != "" {
				s.logger.ErrorContext(ctx, "a connection cannot be used", "connection_id", r.ID, "slug", r.Slug, "error", e.problem)
			}
			if err := s.mark(ctx, tx, r, set, &marked); err != nil {
				return err
			}
			next[r.Slug] = e
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("connections: load: %w", err)
	}
	none := directory{}
	s.snapshot.Store(&snapshot{entries: none.with(next), byName: standings(next)})
	s.stale.Store(false)
	for slug, e := range next {
		s.protect(old.entries.get(slug), e)
	}
	for slug, e := range old.entries.all() {
		n := next[slug]
		if n == nil {
			s.protect(e, nil)
		}
		e.retire(n)
	}
	if marked {
		s.notify(topicConnections)
		s.notify(topicAudit)
	}
	return nil
}

// mark stores and records which credentials stopped or began to open.
func (s *Service) mark(ctx context.Context, tx *db.Tx, r row, set *credentials.Set, marked *bool) error {
	for _, group := range []struct {
		list          []credentials.Credential
		state, action string
	}{
		{set.Damaged(), credentials.StateCorrupt, "credential.corrupt"},
		{set.Mended(), credentials.StateActive, "credential.mended"},
	} {
		for _, c := range group.list {
			if err := s.vault.SetState(ctx, tx, c.ID, group.state); err != nil {
				return err
			}
			if err := s.record(ctx, tx, access.System(), audit.Entry{
				Action: group.action, Target: r.target(), Details: map[string]string{"account": c.Account},
			}); err != nil {
				return err
			}
			*marked = true
			s.logger.WarnContext(ctx, "a credential changed its state", "connection_id", r.ID, "credential_id", c.ID, "state", group.state)
		}
	}
	return nil
}
