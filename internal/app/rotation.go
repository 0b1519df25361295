package app

import (
	"context"
	"strconv"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/rotation"
)

// openRotation builds what rotates the keys, and records what this start did about the master key.
func (c *core) openRotation(ctx context.Context, notify func(topic string)) error {
	rotator, err := credentials.NewRotator(credentials.RotatorDeps{
		DB: c.db, Keyring: c.keyring, Progress: func() { notify(rotation.Topic) }, Logger: c.logger, Now: time.Now,
	}, credentials.RotatorConfig{})
	if err != nil {
		return err
	}
	c.rotation, err = rotation.New(rotation.Deps{
		DB: c.db, Audit: c.audit, Keys: rotator, Worker: rotator, Master: c.keyring, Notify: notify,
	})
	if err != nil {
		return err
	}
	return c.rotation.NoteStart(ctx)
}

// The things that KeyRotate can ask for.
const (
	RotateData    = "data"
	RotateMaster  = "master"
	RotateStatus  = "status"
	RotatePause   = "pause"
	RotateResume  = "resume"
	RotateDestroy = "destroy"
)

// KeyRotate asks for something about the keys.
type KeyRotate struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
	// Retention is how long a data key has been disabled that is to be destroyed.
	Retention time.Duration `json:"retention,omitzero"`
}

// KeysRotated is the state of the keys afterwards. It holds no key.
type KeysRotated struct {
	Master   string   `json:"master"`
	Previous []string `json:"previous"`
	// PreviousFile holds the master key that was just replaced.
	PreviousFile string         `json:"previous_file,omitzero"`
	DataKeys     []DataKeyState `json:"data_keys"`
	// Destroyed is how many data keys this command destroyed.
	Destroyed int             `json:"destroyed,omitzero"`
	Rotation  *RotationState  `json:"rotation,omitempty"`
	Values    []ValueProgress `json:"values"`
	Done      int64           `json:"done"`
	Total     int64           `json:"total"`
	// Server says that a server runs and does the work.
	Server bool `json:"server"`
}

// DataKeyState is one data key.
type DataKeyState struct {
	ID         string    `json:"id"`
	State      string    `json:"state"`
	CreatedAt  time.Time `json:"created_at"`
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	DisabledAt time.Time `json:"disabled_at,omitzero"`
	Values     int64     `json:"values"`
}

// RotationState is the rotation of the data key that is under way, or the last one.
type RotationState struct {
	ID          string    `json:"id"`
	State       string    `json:"state"`
	StartedAt   time.Time `json:"started_at"`
	StartedBy   string    `json:"started_by"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`
	Total       int64     `json:"total"`
	Failed      int64     `json:"failed"`
	SecondsLeft int64     `json:"seconds_left,omitzero"`
}

// ValueProgress is how many values of one kind are sealed with the present data key.
type ValueProgress struct {
	Kind  string `json:"kind"`
	Table string `json:"table"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// RotateKeys rotates keys or tells how they are. Without a server, a rotation of the data key is carried
// through before it returns.
func RotateKeys() Operation[KeyRotate, KeysRotated] {
	return Operation[KeyRotate, KeysRotated]{name: "keys.rotate", run: func(ctx context.Context, c *core, actor access.Actor, req KeyRotate) (KeysRotated, error) {
		var out KeysRotated
		if err := c.rotateKeys(ctx, actor, req, &out); err != nil {
			return out, err
		}
		status, err := c.rotation.Status(ctx, actor)
		if err != nil {
			return out, err
		}
		out.Server = c.serving
		out.describe(status)
		return out, nil
	}}
}

func (c *core) rotateKeys(ctx context.Context, actor access.Actor, req KeyRotate, out *KeysRotated) (err error) {
	switch req.What {
	case RotateStatus:
		return nil
	case RotatePause:
		return c.rotation.Pause(ctx, actor, req.Reason)
	case RotateMaster:
		done, err := c.rotation.RotateMaster(ctx, actor, req.Reason)
		if err == nil {
			out.PreviousFile = absolute(done.PreviousFile)
		}
		return err
	case RotateDestroy:
		out.Destroyed, err = c.rotation.Destroy(ctx, actor, req.Retention, req.Reason)
		return err
	case RotateResume:
		err = c.rotation.Resume(ctx, actor, req.Reason)
	case RotateData:
		err = c.rotation.RotateData(ctx, actor, req.Reason)
		if fault.CodeOf(err) == "ROTATION_UNDER_WAY" && !c.serving {
			err = nil // It was interrupted, and goes on now.
		}
	default:
		return fault.Field("UNKNOWN_ROTATION", "what", "Use one of data, master, status, pause, resume, destroy.")
	}
	if err != nil || c.serving {
		return err
	}
	return c.rotation.Work(ctx)
}

func (k *KeysRotated) describe(s credentials.KeyStatus) {
	k.Master, k.Previous, k.Done, k.Total = s.Fingerprint, append([]string{}, s.Previous...), s.Done, s.Total
	for _, key := range s.Keys {
		state := "opens"
		switch {
		case key.Primary:
			state = "seals"
		case key.Disabled:
			state = "disabled"
		}
		k.DataKeys = append(k.DataKeys, DataKeyState{
			ID: strconv.FormatUint(uint64(key.ID), 10), State: state, CreatedAt: key.CreatedAt, ReplacedAt: key.ReplacedAt, DisabledAt: key.DisabledAt, Values: key.Values,
		})
	}
	for _, c := range s.Columns {
		k.Values = append(k.Values, ValueProgress{Kind: c.Label, Table: c.Table, Done: c.Done, Total: c.Total})
	}
	if r := s.Last; r != nil {
		k.Rotation = &RotationState{
			ID: r.ID, State: r.State, StartedAt: r.StartedAt, StartedBy: r.StartedBy, FinishedAt: r.FinishedAt, Total: r.Total, Failed: r.Failed,
			SecondsLeft: int64(s.Left.Seconds()),
		}
	}
}
