// Package rotation is who may rotate the keys that everything is encrypted with, and the record of it. How a
// rotation works is in package credentials.
//
// Every use case takes the [access.Actor] who asks and needs [access.PermissionRotate], which owners have. A
// change checks it within its own transaction, writes its audit entry there, and is announced after the commit.
// The one exception is the master key: its file changes before the transaction that wraps the keysets, so the
// permission is checked before the file is touched.
package rotation

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// Topic is announced when the state of the keys changed.
const (
	Topic      = "key_rotation"
	topicAudit = "audit"
)

// DefaultRetention is how long a disabled data key is kept unless somebody says otherwise.
const DefaultRetention = 30 * 24 * time.Hour

// Keys rotates the data keys; *credentials.Rotator is one.
type Keys interface {
	Begin(ctx context.Context, tx *db.Tx, by string) (committed func(), err error)
	Pause(ctx context.Context, tx *db.Tx) error
	Resume(ctx context.Context, tx *db.Tx) error
	Destroy(ctx context.Context, tx *db.Tx, retention time.Duration) (int, error)
}

// Worker seals values anew; *credentials.Rotator is one.
type Worker interface {
	Status(ctx context.Context) (credentials.KeyStatus, error)
	Serve(ctx context.Context) error
	Work(ctx context.Context) error
	Wake()
}

// Master rotates the master key; *credentials.Keyring is one.
type Master interface {
	RotateMaster(ctx context.Context, record func(ctx context.Context, tx *db.Tx, r credentials.MasterRotation) error) (credentials.MasterRotation, error)
	Rewrapped() string
	Fingerprint() string
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB     *db.DB
	Audit  *audit.Log
	Keys   Keys
	Worker Worker
	Master Master
	// Notify is called after each committed change with the name of what changed.
	Notify func(topic string)
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct{ deps Deps }

// New returns a Service. It fails when a dependency is missing.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.Keys == nil || d.Worker == nil || d.Master == nil || d.Notify == nil {
		return nil, errors.New("rotation: every dependency is required")
	}
	return &Service{deps: d}, nil
}

// Serve does the work of rotations until ctx ends. Run it under a supervisor.
func (s *Service) Serve(ctx context.Context) error { return s.deps.Worker.Serve(ctx) }

// Work does the work that is left and returns, for a command that runs without a server.
func (s *Service) Work(ctx context.Context) error { return s.deps.Worker.Work(ctx) }

// Status returns the state of the keys.
func (s *Service) Status(ctx context.Context, a access.Actor) (credentials.KeyStatus, error) {
	if err := a.Require(access.PermissionRotate); err != nil {
		return credentials.KeyStatus{}, err
	}
	status, err := s.deps.Worker.Status(ctx)
	if err != nil {
		return status, fmt.Errorf("rotation: %w", err)
	}
	return status, nil
}

// RotateData begins a rotation of the data key.
func (s *Service) RotateData(ctx context.Context, a access.Actor, reason string) error {
	var committed func()
	err := s.change(ctx, a, "data_key.rotate", reason, func(tx *db.Tx) (_ map[string]string, err error) {
		committed, err = s.deps.Keys.Begin(ctx, tx, a.Name)
		return nil, err
	})
	if err == nil {
		committed()
	}
	return err
}

// Pause stops sealing values anew until Resume.
func (s *Service) Pause(ctx context.Context, a access.Actor, reason string) error {
	return s.change(ctx, a, "data_key.rotation_pause", reason, func(tx *db.Tx) (map[string]string, error) {
		return nil, s.deps.Keys.Pause(ctx, tx)
	})
}

// Resume goes on with a rotation that was paused.
func (s *Service) Resume(ctx context.Context, a access.Actor, reason string) error {
	err := s.change(ctx, a, "data_key.rotation_resume", reason, func(tx *db.Tx) (map[string]string, error) {
		return nil, s.deps.Keys.Resume(ctx, tx)
	})
	if err == nil {
		s.deps.Worker.Wake()
	}
	return err
}

// Destroy removes the data keys for good that have been disabled for the retention, and returns how many
// they were. When there is none, nothing is recorded and it is a fault.Conflict with the code NO_KEY_TO_DESTROY.
func (s *Service) Destroy(ctx context.Context, a access.Actor, retention time.Duration, reason string) (n int, err error) {
	err = s.change(ctx, a, "data_key.destroy", reason, func(tx *db.Tx) (map[string]string, error) {
		n, err = s.deps.Keys.Destroy(ctx, tx, retention)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "NO_KEY_TO_DESTROY", "No data key has been disabled for that long and is named by no value.")
		}
		return map[string]string{"keys": strconv.Itoa(n), "retention": retention.String()}, err
	})
	return n, err
}

// RotateMaster replaces the master key in its file and wraps every keyset with the new one.
func (s *Service) RotateMaster(ctx context.Context, a access.Actor, reason string) (credentials.MasterRotation, error) {
	err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error { return s.authorize(ctx, tx, a) })
	if err != nil {
		return credentials.MasterRotation{}, fmt.Errorf("rotation: %w", err)
	}
	done, err := s.deps.Master.RotateMaster(ctx, func(ctx context.Context, tx *db.Tx, r credentials.MasterRotation) error {
		return s.record(ctx, tx, a, "master_key.rotate", reason, map[string]string{"from": r.From, "to": r.To})
	})
	if err != nil {
		return done, fmt.Errorf("rotation: %w", err)
	}
	s.announce()
	return done, nil
}

// NoteStart records that this start wrapped the keysets with the present master key: the database is an older
// one, or a rotation had not ended.
func (s *Service) NoteStart(ctx context.Context) error {
	from := s.deps.Master.Rewrapped()
	if from == "" {
		return nil
	}
	return s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		return s.record(ctx, tx, access.System(), "master_key.rewrap", "", map[string]string{"from": from, "to": s.deps.Master.Fingerprint()})
	})
}

// change runs fn in a transaction that checks the permission and records what fn did.
func (s *Service) change(ctx context.Context, a access.Actor, action, reason string, fn func(tx *db.Tx) (map[string]string, error)) error {
	err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error {
		if err := s.authorize(ctx, tx, a); err != nil {
			return err
		}
		details, err := fn(tx)
		if err != nil {
			return err
		}
		return s.record(ctx, tx, a, action, reason, details)
	})
	if err != nil {
		return fmt.Errorf("rotation: %w", err)
	}
	s.announce()
	return nil
}

func (s *Service) announce() {
	s.deps.Notify(Topic)
	s.deps.Notify(topicAudit)
}

// authorize checks that the actor may do it now: the role may have changed since the request began.
func (s *Service) authorize(ctx context.Context, tx *db.Tx, a access.Actor) error {
	if a.Kind == access.KindUser {
		role, err := roleOf(ctx, tx, a.ID)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Unauthenticated, "", "Your account is no longer active.")
		}
		if err != nil {
			return err
		}
		a.Role = role
	}
	return a.Require(access.PermissionRotate)
}

func (s *Service) record(ctx context.Context, tx *db.Tx, a access.Actor, action, reason string, details map[string]string) error {
	return s.deps.Audit.Record(ctx, tx, audit.Entry{
		Actor: audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, IP: a.IP, Action: action, Reason: reason,
		Target: audit.Target{Kind: "keys", ID: "keys", Name: "encryption keys"}, Details: details,
	})
}
