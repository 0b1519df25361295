package connections

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/fault"
)

// The audit actions of this package; credential.corrupt and credential.mended are the system's.
const (
	actionCreate            = "connection.create"
	actionUpdate            = "connection.update"
	actionPause             = "connection.pause"
	actionResume            = "connection.resume"
	actionActivate          = "connection.activate"
	actionDelete            = "connection.delete"
	actionDuplicate         = "connection.duplicate"
	actionCredentialSet     = "credential.set"     //nolint:gosec // the name of an action, not a secret.
	actionCredentialDelete  = "credential.delete"  //nolint:gosec // the name of an action, not a secret.
	actionCredentialConnect = "credential.connect" //nolint:gosec // the name of an action, not a secret.
	actionCredentialExpiry  = "credential.expiry"  //nolint:gosec // the name of an action, not a secret.
	actionCredentialReveal  = "credential.reveal"  //nolint:gosec // the name of an action, not a secret.
	actionCredentialRevoke  = "credential.revoke"  //nolint:gosec // the name of an action, not a secret.
)

// Create makes a connection and its default account. It needs configure. Errors about a field are
// fault.Invalid with its path; a slug that is in use is a fault.Conflict SLUG_TAKEN.
func (s *Service) Create(ctx context.Context, a access.Actor, d Draft, reason string) (Connection, error) {
	reason, err := reasonLine(reason)
	if err != nil {
		return Connection{}, err
	}
	e, err := s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, a access.Actor) (effect, error) {
		p, err := s.prepare(d, nil)
		if err != nil {
			return effect{}, err
		}
		p.State = p.begins()
		r := s.newRow(p.Definition)
		if err := s.insert(ctx, tx, r); err != nil {
			return effect{}, err
		}
		c, err := s.vault.Put(ctx, tx, r.holder(credentials.DefaultAccount), p.Auth.Type, p.fields)
		if err != nil {
			return effect{}, err
		}
		r.def.Auth = authOf(c)
		done, err := s.begin(ctx, tx, a, r, Version{Cause: CauseCreate, Reason: reason}, actionCreate)
		if err == nil {
			_, _, err = s.setExpiry(ctx, tx, a, r, credentials.DefaultAccount, d.Auth.ExpiresOn, reason)
		}
		return done, err
	})
	if err != nil {
		return Connection{}, fmt.Errorf("connections: create: %w", err)
	}
	return e.Connection, nil
}

// Duplicate makes a connection like another one, with the credential of its default account. It needs
// configure. Other accounts belong to somebody and are not copied.
func (s *Service) Duplicate(ctx context.Context, a access.Actor, slug, newSlug, newName string) (Connection, error) {
	e, err := s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, a access.Actor) (effect, error) {
		old, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		def := old.def
		def.State = def.begins()
		if def.Name, err = line("INVALID_NAME", "name", newName, maxName); err != nil {
			return effect{}, err
		}
		if def.Name == "" {
			def.Name = old.Name + " (copy)"
		}
		if def.Slug, err = checkSlug(newSlug, def.Name, nil); err != nil {
			return effect{}, err
		}
		if err := s.recheck(def); err != nil {
			return effect{}, err
		}
		r := s.newRow(def)
		if err := s.insert(ctx, tx, r); err != nil {
			return effect{}, err
		}
		if def.Auth.CredentialID != "" {
			c, err := s.vault.Copy(ctx, tx, old.ID, r.ID, credentials.DefaultAccount)
			if err != nil {
				return effect{}, err
			}
			r.def.Auth = authOf(c)
		}
		reason := "copy of " + old.Slug + ", version " + strconv.Itoa(old.Version)
		return s.begin(ctx, tx, a, r, Version{Cause: CauseDuplicate, Reason: reason}, actionDuplicate, "from", old.Slug)
	})
	if err != nil {
		return Connection{}, fmt.Errorf("connections: duplicate: %w", err)
	}
	return e.Connection, nil
}

func (s *Service) newRow(d Definition) row {
	now := s.moment()
	r := row{Connection: Connection{ID: db.NewID("con"), Version: 1, CreatedAt: now, UpdatedAt: now}}
	r.define(d)
	return r
}

func (s *Service) insert(ctx context.Context, tx *db.Tx, r row) error {
	err := s.store.insert(ctx, tx, r)
	if fault.Is(err, fault.Conflict) {
		taken := fault.New(fault.Conflict, "SLUG_TAKEN", "Another connection has this slug.")
		taken.Details.Field = "slug"
		return taken.WithValue(r.Slug)
	}
	return err
}

// begin writes the first version and the record of a new connection.
func (s *Service) begin(ctx context.Context, tx *db.Tx, a access.Actor, r row, v Version, action string, more ...string) (effect, error) {
	if err := s.store.insertVersion(ctx, tx, r, v, a); err != nil {
		return effect{}, err
	}
	facts := append([]string{
		"provider", r.Provider, "environment", r.Environment, "base_url", r.BaseURL, "auth.type", r.def.Auth.Type,
	}, more...)
	err := s.record(ctx, tx, a, audit.Entry{Action: action, Target: r.target(), Reason: v.Reason, Details: details(nil, facts...)})
	if err == nil && len(r.def.Auth.Marks) > 0 {
		err = s.recordCredential(ctx, tx, a, r, credentials.DefaultAccount, r.def.Auth.Type, v.Reason, DefinitionAuth{})
	}
	return effect{slug: r.Slug, accounts: []string{credentials.DefaultAccount}}, err
}

// recordCredential notes that a credential was stored in place of what was before, in the audit log and in its own
// history.
func (s *Service) recordCredential(ctx context.Context, tx *db.Tx, a access.Actor, r row, account, kind, reason string, before DefinitionAuth) error {
	stored, err := s.vault.Find(ctx, tx, r.ID, account)
	if err == nil {
		err = s.vault.Record(ctx, tx, stored, storedEvent(before, authOf(stored)), "", eventActor(a), reason)
	}
	if err != nil {
		return err
	}
	return s.record(ctx, tx, a, audit.Entry{
		Action: actionCredentialSet, Target: r.target(), Reason: reason,
		Details: map[string]string{"account": account, "auth.type": kind},
	})
}

// storedEvent is what happened to a credential: the client of an OAuth account is told apart, because its tokens may
// be another client's now.
func storedEvent(before, after DefinitionAuth) string {
	t, err := authtype.Lookup(after.Type)
	if _, granted := t.(authtype.Granted); err != nil || !granted || before.CredentialID == "" || before.Type != after.Type {
		return credentials.EventStored
	}
	if before.Fields["client_id"] == after.Fields["client_id"] && maps.Equal(before.Marks, after.Marks) {
		return credentials.EventStored
	}
	return credentials.EventClientReplaced
}

// Update replaces the definition of a connection. It needs configure. ifVersion is the version that the
// editor saw, 0 for whichever is active: when another one is active, the answer is a
// fault.PreconditionFailed VERSION_CHANGED. A draft that changes nothing makes no version.
func (s *Service) Update(ctx context.Context, a access.Actor, slug string, d Draft, reason string, ifVersion int) (Connection, error) {
	return s.redefine(ctx, a, slug, d.over, reason, ifVersion)
}

// Replace is Update with a draft that says everything: what it leaves empty is as on create, not as it
// was. Secrets are the exception, because whoever read a connection does not have them: while the auth
// type stays the same, those that are left out keep their value. The auth type is required.
func (s *Service) Replace(ctx context.Context, a access.Actor, slug string, d Draft, reason string, ifVersion int) (Connection, error) {
	if d.Auth.Type == "" {
		return Connection{}, fault.Field("INVALID_AUTH", "auth.type", "Say how the connection authenticates.").
			WithSuggestion("To send no credential, use none.")
	}
	return s.redefine(ctx, a, slug, d.whole, reason, ifVersion)
}

// redefine makes the draft that complete returns, given what is stored, the next version.
func (s *Service) redefine(ctx context.Context, a access.Actor, slug string, complete func(Definition) Draft, reason string, ifVersion int) (Connection, error) {
	return s.edit(ctx, a, access.PermissionConfigure, slug, reason, ifVersion, func(tx *db.Tx, r row) (row, Version, error) {
		d := complete(r.def)
		p, err := s.prepare(d, &r.def)
		if err != nil {
			return r, Version{}, err
		}
		before := r.def
		r.def = p.Definition
		if r.def.Auth, err = s.putDefault(ctx, tx, r.ID, before.Auth, p); err == nil && opens(before, r.def) {
			r.define(r.def)
			err = s.pass(ctx, r, "require_checklist")
		}
		if err == nil {
			_, r.dated, err = s.setExpiry(ctx, tx, a, r, credentials.DefaultAccount, d.Auth.ExpiresOn, reason)
		}
		return r, Version{Cause: CauseEdit}, err
	})
}

// mustBe returns a fault.PreconditionFailed unless version is the active one, or 0.
func (r row) mustBe(version int) error {
	if version == 0 || version == r.Version {
		return nil
	}
	return versionChanged()
}

func versionChanged() error {
	return fault.New(fault.PreconditionFailed, "VERSION_CHANGED",
		"Somebody changed the connection in the meantime. Look at the new version, then save again.")
}

// putDefault stores the credential of a draft. A connection without one stays without as long as the
// draft brings no secret, so that the rest can be edited.
func (s *Service) putDefault(ctx context.Context, tx *db.Tx, id string, before DefinitionAuth, p prepared) (DefinitionAuth, error) {
	if before.CredentialID == "" && before.Type == p.Auth.Type {
		t, err := authtype.Lookup(p.Auth.Type)
		if err != nil {
			return before, err
		}
		brings := false
		for key, value := range p.fields {
			f, known := authtype.Find(t, key)
			brings = brings || !known || f.Secret && value != ""
		}
		if !brings {
			return before, nil
		}
	}
	h := credentials.Holder{ConnectionID: id, Account: credentials.DefaultAccount, Origin: credentials.OriginOf(p.BaseURL)}
	c, err := s.vault.Put(ctx, tx, h, p.Auth.Type, p.fields)
	return authOf(c), err
}

// Pause refuses calls from now on. It needs operate. A connection that is paused stays so. ifVersion is
// as for Update.
func (s *Service) Pause(ctx context.Context, a access.Actor, slug, reason string, ifVersion int) (Connection, error) {
	return s.setState(ctx, a, slug, reason, ifVersion, StatePaused, CausePause)
}

// Resume lets calls through again. It needs operate. A connection that is active stays so. ifVersion is
// as for Update. One that requires its checklist is a fault.Conflict CHECKLIST_INCOMPLETE until that is
// complete.
func (s *Service) Resume(ctx context.Context, a access.Actor, slug, reason string, ifVersion int) (Connection, error) {
	return s.setState(ctx, a, slug, reason, ifVersion, StateActive, CauseResume)
}

func (s *Service) setState(ctx context.Context, a access.Actor, slug, reason string, ifVersion int, state, cause string) (Connection, error) {
	return s.edit(ctx, a, access.PermissionOperate, slug, reason, ifVersion, func(_ *db.Tx, r row) (row, Version, error) {
		before := r.def
		if r.def.State = state; opens(before, r.def) {
			return r, Version{Cause: cause}, s.pass(ctx, r, "")
		}
		return r, Version{Cause: cause}, nil
	})
}

// edit makes the next version of a connection: fn gets it as it is and returns what it shall be. When fn
// changes nothing, neither does edit, except for a rollback, which somebody asked to see in the history.
func (s *Service) edit(ctx context.Context, a access.Actor, p access.Permission, slug, reason string, ifVersion int,
	fn func(tx *db.Tx, r row) (row, Version, error),
) (Connection, error) {
	var same Connection
	reason, err := reasonLine(reason)
	if err != nil {
		return same, err
	}
	e, err := s.change(ctx, a, p, func(tx *db.Tx, a access.Actor) (effect, error) {
		old, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		if err := old.mustBe(ifVersion); err != nil {
			return effect{}, err
		}
		next, v, err := fn(tx, old)
		if err != nil {
			return effect{}, err
		}
		changes := diff(old.def, next.def)
		if len(changes) == 0 && v.CopiedFrom == 0 && old.def.Auth.CredentialVersion == next.def.Auth.CredentialVersion {
			same = old.Connection
			if next.dated {
				return effect{slug: old.Slug}, nil
			}
			return effect{}, nil
		}
		v.Reason = reason
		return s.advance(ctx, tx, a, old, next, v, changes)
	})
	if err != nil {
		return Connection{}, fmt.Errorf("connections: %s: %w", slug, err)
	}
	if e == nil {
		return same, nil
	}
	return e.Connection, nil
}

// advance stores next as the version after old, makes it the active one and records it, with its credential
// where that is another.
func (s *Service) advance(ctx context.Context, tx *db.Tx, a access.Actor, old, next row, v Version, changes []Change) (effect, error) {
	done, err := s.move(ctx, tx, a, old, next, v, changes)
	if err != nil {
		return effect{}, err
	}
	if before, after := old.def.Auth, next.def.Auth; before.CredentialID != after.CredentialID || before.CredentialVersion != after.CredentialVersion {
		done.accounts = []string{credentials.DefaultAccount}
		if after.CredentialID != "" {
			return done, s.recordCredential(ctx, tx, a, next, credentials.DefaultAccount, after.Type, v.Reason, before)
		}
	}
	return done, nil
}

// move stores next as the version after old and makes it the active one.
func (s *Service) move(ctx context.Context, tx *db.Tx, a access.Actor, old, next row, v Version, changes []Change) (effect, error) {
	next.Version, next.UpdatedAt = old.Version+1, s.moment()
	next.define(next.def)
	moved, err := s.store.activate(ctx, tx, next)
	if err != nil {
		return effect{}, err
	}
	if !moved {
		return effect{}, versionChanged()
	}
	if err := s.store.insertVersion(ctx, tx, next, v, a); err != nil {
		return effect{}, err
	}
	action := map[string]string{
		CauseEdit: actionUpdate, CausePause: actionPause, CauseResume: actionResume, CauseRollback: actionActivate,
	}[v.Cause]
	if action != "" {
		more := []string{"version", strconv.Itoa(next.Version)}
		if v.CopiedFrom > 0 {
			more = append(more, "copy_of", strconv.Itoa(v.CopiedFrom))
		}
		err = s.record(ctx, tx, a, audit.Entry{Action: action, Target: next.target(), Reason: v.Reason, Details: details(changes, more...)})
		if err != nil {
			return effect{}, err
		}
	}
	return effect{slug: next.Slug}, nil
}

// Delete removes a connection with its versions and credentials. It needs configure. confirmSlug must
// repeat the slug. ifVersion is as for Update. The record of what happened stays.
func (s *Service) Delete(ctx context.Context, a access.Actor, slug, confirmSlug, reason string, ifVersion int) (Revoked, error) {
	reason, err := reasonLine(reason)
	if err != nil {
		return Revoked{}, err
	}
	var gone []credentials.Revocation
	_, err = s.change(ctx, a, access.PermissionConfigure, func(tx *db.Tx, a access.Actor) (effect, error) {
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		if confirmSlug != r.Slug {
			return effect{}, fault.Field("CONFIRMATION_MISMATCH", "confirm", "This is not the slug of the connection.").
				WithSuggestion("Type " + r.Slug + " to delete it.")
		}
		if err := r.mustBe(ifVersion); err != nil {
			return effect{}, err
		}
		if gone, err = s.leaving(ctx, tx, a, r.ID); err != nil {
			return effect{}, err
		}
		if err := s.vault.DeleteAll(ctx, tx, r.ID); err != nil {
			return effect{}, err
		}
		if err := s.store.delete(ctx, tx, r.ID); err != nil {
			return effect{}, err
		}
		return effect{slug: r.Slug, gone: true}, s.record(ctx, tx, a, audit.Entry{
			Action: actionDelete, Target: r.target(), Reason: reason,
			Details: details(nil, "name", r.Name, "base_url", r.BaseURL, "version", strconv.Itoa(r.Version)),
		})
	})
	if err != nil {
		return Revoked{}, fmt.Errorf("connections: delete %s: %w", slug, err)
	}
	return s.revoke(ctx, a, gone...), nil
}

// MarkKnownGood notes which versions of connections, by their ids, were seen to work: all or none of them. It is for
// whoever judges traffic; a mark only moves forward.
func (s *Service) MarkKnownGood(ctx context.Context, versions map[string]int) error {
	return s.markKnownGood(ctx, versions, s.store.markGood)
}

// markKnownGood is MarkKnownGood by way of a function that marks one version and says whether that is news.
func (s *Service) markKnownGood(ctx context.Context, versions map[string]int, mark func(context.Context, *db.Tx, string, int) (bool, error)) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	moved := make(map[string]int, len(versions))
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		for id, version := range versions {
			forward, err := mark(ctx, tx, id, version)
			if err != nil {
				return err
			}
			if forward {
				moved[id] = version
			}
		}
		return nil
	})
	if err != nil {
		s.doubt(ctx, err)
		return fmt.Errorf("connections: mark what works: %w", err)
	}
	if len(moved) > 0 {
		s.publishGood(moved)
		s.notify(topicConnections)
	}
	return nil
}

// compact is text of a JSON value for people.
func compact(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return string(raw)
	}
	return out.String()
}
