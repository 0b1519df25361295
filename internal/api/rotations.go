package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"switchgear/internal/credentials"
	"switchgear/internal/fault"
)

// Rotation is the rotation of the credential of an account with overlap. It holds no secret.
type Rotation struct {
	State    string    `json:"state" enum:"staged,switched,done" doc:"staged: the new credential waits, and calls use the old one. switched: calls use the new one, and the old one is kept. done: the old one is destroyed."`
	Revision int64     `json:"revision" doc:"It moves with every step; it is also the ETag."`
	AuthType string    `json:"auth_type" example:"bearer"`
	StagedAt time.Time `json:"staged_at"`
	StagedBy string    `json:"staged_by"`
	// Staged is there while the new credential waits.
	Staged       *Auth         `json:"staged,omitempty" doc:"The credential that waits, without secrets."`
	Test         *RotationTest `json:"test,omitempty" doc:"The last test of the new credential."`
	SwitchedAt   *time.Time    `json:"switched_at,omitempty"`
	SwitchedBy   string        `json:"switched_by,omitempty"`
	Reason       string        `json:"reason,omitempty" doc:"Why it was switched."`
	OldVersion   int64         `json:"old_version,omitempty" doc:"The version of the credential that can be rolled back to."`
	OldKeptUntil *time.Time    `json:"old_kept_until,omitempty" doc:"When the old credential is destroyed by itself. Absent: when somebody destroys it."`
	RolledBackAt *time.Time    `json:"rolled_back_at,omitempty"`
	RolledBackBy string        `json:"rolled_back_by,omitempty"`
	DestroyedAt  *time.Time    `json:"destroyed_at,omitempty"`
	DestroyedBy  string        `json:"destroyed_by,omitempty"`
}

// RotationTest is what one request with the staged credential showed.
type RotationTest struct {
	Passed  bool      `json:"passed"`
	Request string    `json:"request" example:"GET /v1/balance"`
	Status  int       `json:"status" doc:"0 when there was no answer."`
	Outcome string    `json:"outcome" example:"success"`
	Problem string    `json:"problem,omitempty" doc:"Why there was no answer."`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
}

func rotationOf(o credentials.Rollover) Rotation {
	out := Rotation{
		State: o.State, Revision: o.Revision, AuthType: o.AuthType, StagedAt: o.StagedAt, StagedBy: o.StagedBy,
		SwitchedAt: optionalTime(o.SwitchedAt), SwitchedBy: o.SwitchedBy, Reason: o.Reason, OldKeptUntil: optionalTime(o.DestroyAt),
		RolledBackAt: optionalTime(o.RolledBackAt), RolledBackBy: o.RolledBackBy, DestroyedAt: optionalTime(o.DestroyedAt), DestroyedBy: o.DestroyedBy,
	}
	switch o.State {
	case credentials.RolloverStaged:
		var secrets []string
		for _, name := range o.Fields {
			if _, open := o.Settings[name]; !open {
				secrets = append(secrets, name)
			}
		}
		staged := authOf(o.AuthType, o.Settings, secrets)
		staged.ExpiresOn = string(o.ExpiresOn)
		out.Staged = &staged
	case credentials.RolloverSwitched:
		out.OldVersion = o.OldVersion
	}
	if t := o.Test; t != nil {
		out.Test = &RotationTest{Passed: t.Passed, Request: t.Request, Status: t.Status, Outcome: t.Outcome, Problem: t.Problem, At: t.At, By: t.By}
	}
	return out
}

// underWay is the rotation that an account shows: one that has something left to do.
func underWay(o *credentials.Rollover) *Rotation {
	if o == nil {
		return nil
	}
	out := rotationOf(*o)
	return &out
}

// RotationSwitch says how the staged credential is put in use.
type RotationSwitch struct {
	Keep   *string `json:"keep,omitempty" example:"168h" doc:"How long the old credential is kept: a duration up to 2160h, or 0s to keep it until somebody destroys it. Left out: 168h."`
	Anyway bool    `json:"anyway,omitempty" doc:"Switch although no test passed. It needs a reason."`
	Reason string  `json:"reason,omitempty" doc:"Why, for the history and the audit log; at most 500 characters."`
}

// defaultKeep is how long an old credential is kept when nobody says.
const defaultKeep = 7 * 24 * time.Hour

func (s *RotationSwitch) order(revision int64) (credentials.Switchover, error) {
	out := credentials.Switchover{Revision: revision, Keep: defaultKeep}
	if s == nil {
		return out, nil
	}
	out.Anyway, out.Reason = s.Anyway, s.Reason
	if s.Keep != nil {
		keep, err := time.ParseDuration(*s.Keep)
		if err != nil {
			return out, fault.Field("INVALID_KEEP", "keep", "This is not a duration.").WithSuggestion("Write it like 168h, or 0s to keep the old credential until somebody destroys it.")
		}
		out.Keep = keep
	}
	return out, nil
}

// RotationProbe is the request of a test.
type RotationProbe struct {
	Path string `json:"path,omitempty" example:"/v1/balance" doc:"Below the base URL, for a GET. Left out: that of the health check, the connection's own before the provider's; where neither has one, the base URL."`
}

type rotationOutput struct {
	ETag string `header:"ETag" doc:"The revision; send it back as If-Match."`
	Body Rotation
}

type stagedOutput struct {
	ETag     string `header:"ETag" doc:"The revision; send it back as If-Match."`
	Location string `header:"Location"`
	Body     Rotation
}

func rotationAnswer(o credentials.Rollover, err error) (*rotationOutput, error) {
	if err != nil {
		return nil, err
	}
	return &rotationOutput{ETag: etag(int(o.Revision)), Body: rotationOf(o)}, nil
}

// rotationStep is the input of a step without a body.
type rotationStep struct {
	ByAccount
	Condition
	Why
}

// rotationRoutes serve the rotation of credentials with overlap.
func (v *version) rotationRoutes() {
	const (
		tag  = "Accounts"
		path = "/connections/{slug}/accounts/{account}/rotation"
	)
	register(v, route{
		method: http.MethodPost, path: path, id: "stage-credential", tag: tag, summary: "Begin to rotate the credential of an account",
		description: "Stages a new credential of the same auth type beside the one in use, which calls go on using. Fields that are left out are as in the one in use. auth.expires_on is the last day of the new secret: it waits with it, is in force once it is in use, and goes back to the old one's own day with a rollback. Until the rotation ends, the credential is not replaced in another way: that is a 409 ROTATION_UNDER_WAY.",
		status:      http.StatusCreated,
	}, v.stageCredential)
	register(v, route{
		method: http.MethodGet, path: path, id: "get-rotation", tag: tag, summary: "Read the rotation of a credential",
		description: "The one under way, or the last one.",
	}, func(ctx context.Context, in *ByAccount) (*rotationOutput, error) {
		return rotationAnswer(v.deps.Connections.Rollover(ctx, actor(ctx), in.Slug, in.Account))
	})
	register(v, route{
		method: http.MethodDelete, path: path, id: "discard-staged-credential", tag: tag, summary: "Discard the staged credential",
		description: "It is destroyed. The one in use stays.", status: http.StatusNoContent, refusals: []int{http.StatusConflict, http.StatusPreconditionFailed},
	}, v.discardStaged)
	register(v, route{
		method: http.MethodPost, path: path + "/test", id: "test-staged-credential", tag: tag, summary: "Send one request with the staged credential",
		description: "The answer says in test how that ended. The credential in use is not touched.",
	}, v.testStaged)
	register(v, route{
		method: http.MethodPost, path: path + "/switch", id: "switch-credential", tag: tag, summary: "Put the staged credential in use",
		description: "Calls that begin afterwards use it; those under way finish with the old one, which is kept. Without a test that passed this is a 409 ROTATION_NOT_TESTED, unless anyway says otherwise.",
	}, v.switchCredential)
	register(v, route{
		method: http.MethodPost, path: path + "/rollback", id: "rollback-credential", tag: tag, summary: "Put the old credential in use again",
		description: "While it is kept. The new one is staged again.",
	}, func(ctx context.Context, in *rotationStep) (*rotationOutput, error) {
		revision, err := v.revision(ctx, in.Condition, in.ByAccount)
		if err != nil {
			return nil, err
		}
		return rotationAnswer(v.deps.Connections.RollBackStaged(ctx, actor(ctx), in.Slug, in.Account, in.Reason, revision))
	})
	register(v, route{
		method: http.MethodPost, path: path + "/destroy", id: "destroy-old-credential", tag: tag, summary: "Destroy the old credential",
		description: "It is deleted for good, with every version before it. There is no way back to it.",
	}, func(ctx context.Context, in *rotationStep) (*rotationOutput, error) {
		revision, err := v.revision(ctx, in.Condition, in.ByAccount)
		if err != nil {
			return nil, err
		}
		return rotationAnswer(v.deps.Connections.DestroyOld(ctx, actor(ctx), in.Slug, in.Account, in.Reason, revision))
	})
}

// revision is the one that a step is meant for, 0 for any.
func (v *version) revision(ctx context.Context, c Condition, at ByAccount) (int64, error) {
	n, err := c.version(func() (int, error) {
		o, err := v.deps.Connections.Rollover(ctx, actor(ctx), at.Slug, at.Account)
		return int(o.Revision), err
	})
	return int64(n), err
}

func (v *version) stageCredential(ctx context.Context, in *struct {
	ByAccount
	Why

	Body AccountInput
},
) (*stagedOutput, error) {
	o, err := v.deps.Connections.Stage(ctx, actor(ctx), in.Slug, in.Account, in.Body.Auth.auth(), in.Reason)
	if err != nil {
		return nil, err
	}
	at := v.path("/connections/" + in.Slug + "/accounts/" + url.PathEscape(in.Account) + "/rotation")
	return &stagedOutput{ETag: etag(int(o.Revision)), Location: at, Body: rotationOf(o)}, nil
}

func (v *version) discardStaged(ctx context.Context, in *rotationStep) (*struct{}, error) {
	revision, err := v.revision(ctx, in.Condition, in.ByAccount)
	if err != nil {
		return nil, err
	}
	return nil, v.deps.Connections.DiscardStaged(ctx, actor(ctx), in.Slug, in.Account, in.Reason, revision)
}

func (v *version) testStaged(ctx context.Context, in *struct {
	ByAccount
	Condition

	Body *RotationProbe
},
) (*rotationOutput, error) {
	revision, err := v.revision(ctx, in.Condition, in.ByAccount)
	if err != nil {
		return nil, err
	}
	path := ""
	if in.Body != nil {
		path = in.Body.Path
	}
	o, _, err := v.deps.Connections.TestStaged(ctx, actor(ctx), in.Slug, in.Account, path, revision)
	return rotationAnswer(o, err)
}

func (v *version) switchCredential(ctx context.Context, in *struct {
	ByAccount
	Condition

	Body *RotationSwitch
},
) (*rotationOutput, error) {
	revision, err := v.revision(ctx, in.Condition, in.ByAccount)
	if err != nil {
		return nil, err
	}
	how, err := in.Body.order(revision)
	if err != nil {
		return nil, err
	}
	return rotationAnswer(v.deps.Connections.SwitchStaged(ctx, actor(ctx), in.Slug, in.Account, how))
}
