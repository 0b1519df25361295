package connections

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// Versions lists the history of a connection, the newest first, at most 500. It needs system:read.
func (s *Service) Versions(ctx context.Context, a access.Actor, slug string) ([]Version, error) {
	r, err := s.read(ctx, a, slug)
	if err != nil {
		return nil, err
	}
	list, err := s.store.versions(ctx, s.db, r.ID, maxVersions)
	if err != nil {
		return nil, fmt.Errorf("connections: versions of %s: %w", slug, err)
	}
	for i := range list {
		list[i].mark(r)
	}
	return list, nil
}

// Version returns one entry of the history. It needs system:read.
func (s *Service) Version(ctx context.Context, a access.Actor, slug string, version int) (Version, error) {
	r, err := s.read(ctx, a, slug)
	if err != nil {
		return Version{}, err
	}
	return s.version(ctx, s.db, r, version)
}

func (s *Service) version(ctx context.Context, q reader, r row, version int) (Version, error) {
	v, err := s.store.version(ctx, q, r.ID, version)
	if err != nil {
		return Version{}, fmt.Errorf("connections: version %d of %s: %w", version, r.Slug,
			notFound(err, "VERSION_NOT_FOUND", "The connection has no such version."))
	}
	v.mark(r)
	return v, nil
}

func (v *Version) mark(r row) {
	v.Active, v.LastKnownGood = v.Version == r.Version, v.Version == r.LastKnownGood
}

// Rollback is a version that brought back an older one.
type Rollback struct {
	// Version brought CopiedFrom back. Version is 0 when there was no rollback yet.
	Version, CopiedFrom int
	At                  time.Time
}

// LastRollback returns the newest rollback of a connection. It checks no permission: it is for whoever judges
// connections.
func (s *Service) LastRollback(ctx context.Context, connectionID string) (Rollback, error) {
	out, err := s.store.lastRollback(ctx, connectionID)
	if err != nil {
		return Rollback{}, fmt.Errorf("connections: the last rollback of %s: %w", connectionID, err)
	}
	return out, nil
}

// Diff tells what differs between two versions, from before to after, by field. It needs system:read.
func (s *Service) Diff(ctx context.Context, a access.Actor, slug string, before, after int) ([]Change, error) {
	r, err := s.read(ctx, a, slug)
	if err != nil {
		return nil, err
	}
	from, err := s.version(ctx, s.db, r, before)
	if err != nil {
		return nil, err
	}
	to, err := s.version(ctx, s.db, r, after)
	if err != nil {
		return nil, err
	}
	return diff(from.Definition, to.Definition), nil
}

// Activate brings back a version: it validates it and stores a copy as the newest version, which calls
// follow as soon as this returns. It needs operate. Whether the connection is paused, and
// requires its checklist, does not change.
//
// The credential comes back as well if it is still stored. If it is not, the present one stays when it is
// of the same type; otherwise the answer is a fault.Conflict CREDENTIAL_GONE. ifVersion, the version that is
// left, is as for Update.
func (s *Service) Activate(ctx context.Context, a access.Actor, slug string, version int, reason string, ifVersion int) (Connection, error) {
	return s.edit(ctx, a, access.PermissionOperate, slug, reason, ifVersion, func(tx *db.Tx, r row) (row, Version, error) {
		v, err := s.version(ctx, tx, r, version)
		if err != nil {
			return r, Version{}, err
		}
		r, _, err = s.back(ctx, tx, r, v)
		return r, Version{Cause: CauseRollback, CopiedFrom: version}, err
	})
}

// back is a connection as a rollback makes it. gone says that the credential of the version is no longer stored, so
// that the present one stays.
func (s *Service) back(ctx context.Context, tx *db.Tx, r row, v Version) (next row, gone bool, err error) {
	if v.Active {
		return r, false, fault.New(fault.Conflict, "ALREADY_ACTIVE", "That version is the active one.")
	}
	if err := s.recheck(v.Definition); err != nil {
		return r, false, err
	}
	present := r.def
	r.def = v.Definition
	r.def.State, r.def.Slug, r.def.RequireChecklist = present.State, present.Slug, present.RequireChecklist
	r.def.Auth, gone, err = s.restore(ctx, tx, r.ID, present.Auth, v.Definition)
	return r, gone, err
}

// Preview is what a rollback would do.
type Preview struct {
	Version Version
	// Changes lead from the active version to what would become the next.
	Changes []Change
	// Move is what it does to accounts whose secrets are for another address.
	Move Move
	// CredentialGone says that the credential of the version was destroyed, or is too old to be kept, and that the
	// present one stays.
	CredentialGone bool
	// Problem is why it would be refused, nil when it would not: Activate runs the same checks.
	Problem error
}

// Preview tells what Activate would do, and stores nothing. It needs operate.
func (s *Service) Preview(ctx context.Context, a access.Actor, slug string, version int) (Preview, error) {
	if err := a.Require(access.PermissionOperate); err != nil {
		return Preview{}, err
	}
	var out Preview
	undo := errors.New("connections: a preview is not stored")
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return noConnection(err)
		}
		if out.Version, err = s.version(ctx, tx, r, version); err != nil {
			return err
		}
		before, err := s.vault.Within(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		next, gone, err := s.back(ctx, tx, r, out.Version)
		switch {
		case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict):
			out.Problem, next.def = err, out.Version.Definition
			next.def.State = r.def.State
		case err != nil:
			return err
		}
		out.Changes, out.CredentialGone = diff(r.def, next.def), gone
		if out.Move, err = s.moveOf(ctx, tx, r, before, next.def); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		return Preview{}, fmt.Errorf("connections: preview version %d of %s: %w", version, slug, err)
	}
	return out, nil
}

// restore brings back the credential that a definition names, for the origin that it was entered for. gone says that
// it is no longer stored, and that the present one stays.
func (s *Service) restore(ctx context.Context, tx *db.Tx, id string, present DefinitionAuth, to Definition) (next DefinitionAuth, gone bool, err error) {
	wanted := to.Auth
	if present.sameCredential(wanted) {
		elsewhere, err := s.elsewhere(ctx, tx, id, present, to)
		if err != nil || !elsewhere {
			return present, false, err
		}
	}
	err = error(fault.New(fault.Conflict, "CREDENTIAL_GONE", "The credential of that version is no longer stored.").
		WithSuggestion("Edit the connection instead and enter the credential."))
	// Deleted and entered again, it is another credential whose versions begin at 1 again.
	if wanted.CredentialID != "" && wanted.CredentialID == present.CredentialID {
		var c credentials.Credential
		if c, err = s.vault.Restore(ctx, tx, id, credentials.DefaultAccount, wanted.CredentialVersion); err == nil {
			return authOf(c), false, nil
		}
	}
	if fault.CodeOf(err) == "CREDENTIAL_GONE" && present.Type == wanted.Type && maps.Equal(present.Fields, wanted.Fields) {
		return present, true, nil
	}
	return present, false, err
}

// diff compares two definitions field by field, in the order of the names. Objects of the policy are
// compared member by member, lists as a whole.
func diff(before, after Definition) []Change {
	a, b := flatten(before), flatten(after)
	names := maps.Clone(a)
	maps.Copy(names, b)
	out := diffMarks(before.Auth.Marks, after.Auth.Marks)
	for name := range names {
		if a[name] != b[name] {
			before, after := excerpt(a[name], b[name])
			out = append(out, Change{Field: name, Before: before, After: after})
		}
	}
	slices.SortFunc(out, func(x, y Change) int { return cmp.Compare(x.Field, y.Field) })
	return out
}

func diffMarks(before, after map[string]string) []Change {
	names := maps.Clone(before)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, after)
	out := make([]Change, 0, len(names))
	for name := range names {
		c := Change{Field: "auth.fields." + name, Secret: true}
		switch a, b := before[name], after[name]; {
		case a == b:
			continue
		case a == "":
			c.After = "set"
		case b == "":
			c.Before = "set"
		default:
			c.Before, c.After = "set", "changed"
		}
		out = append(out, c)
	}
	return out
}

func flatten(d Definition) map[string]string {
	out := map[string]string{
		"name": d.Name, "slug": d.Slug, "kind": d.Kind, "provider": d.Provider, "environment": d.Environment,
		"base_url": d.BaseURL, "state": d.State, "auth.type": d.Auth.Type, "log_bodies": strconv.FormatBool(d.LogBodies),
		"require_checklist": strconv.FormatBool(d.RequireChecklist),
	}
	for key, value := range d.Auth.Fields {
		out["auth.fields."+key] = value
	}
	flattenObject(out, "policy", d.Policy)
	flattenRequirements(out, d)
	return out
}

func flattenObject(into map[string]string, path string, raw json.RawMessage) {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object == nil {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = compact(raw)
		}
		into[path] = text
		return
	}
	for key, value := range object {
		flattenObject(into, path+"."+key, value)
	}
}
