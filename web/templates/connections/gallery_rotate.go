package connections

import (
	"time"

	"switchgear/web/templates/ui"
)

// rotateStates are those of the page of a rotation.
func rotateStates() []ui.State {
	const group = "Rotation of a credential"
	fresh := RotateView{
		Page: frame("Stripe live", "connections"), Now: now(), Head: sampleHead(), Account: "default", Auth: "Bearer token", Fields: []AuthField{tokenField()}, InUse: Credential{State: "active"}, Expiry: &Expiry{},
	}
	with := func(change func(v *RotateView, r *Rotation)) RotateView {
		v := fresh
		v.Rotation = &Rotation{State: "staged", Revision: 1, StagedAt: ago(20 * time.Minute), StagedBy: "ada@example.com"}
		change(&v, v.Rotation)
		return v
	}
	passed := &RotationTest{Passed: true, Request: "GET /v1/balance", Answer: "status 200", Message: "The credential was accepted.", At: ago(4 * time.Minute), By: "ada@example.com"}
	failed := &RotationTest{
		Request: "GET /v1/balance", Answer: "status 401", Message: "The credential was not accepted.", Hint: "If it is mistyped, discard it and stage the right one.",
		At: ago(4 * time.Minute), By: "ada@example.com",
	}
	switched := func(_ *RotateView, r *Rotation) {
		r.State, r.Revision, r.Test, r.SwitchedAt, r.SwitchedBy, r.Reason, r.KeptUntil = "switched", 3, passed, ago(2*time.Minute), "ada@example.com", "yearly rotation", now().Add(7*day)
	}
	wrong := fresh
	wrong.Form = RotateForm{Of: RotateStage, ExpiresOn: "2025-09-30", Errors: Errors{
		"auth.fields.token": "This is the credential in use. Enter the new one.", "expires_on": "This day has passed.",
	}}
	wrong.Expiry, wrong.Ends = &Expiry{Day: "2025-09-30"}, "2026-12-31"
	refused := fresh
	refused.Auth, refused.Refused = "OAuth 2, authorization code", "A person consents to this credential."
	long := with(switched)
	long.Head, long.Account, long.Auth, long.Rotation.SwitchedBy, long.Rotation.Reason, long.Rotation.StagedBy = longHead(), longSlug(), longName, longName, longText, longName
	reader := with(switched)
	reader.Head.CanConfigure, reader.Head.CanOperate = false, false
	operator := with(switched)
	operator.Head.CanConfigure = false
	question := with(switched)
	unreasoned := with(func(v *RotateView, _ *Rotation) {
		v.Form = RotateForm{Of: RotateDiscard, Errors: Errors{"reason": "Say why. The reason goes into the audit log."}}
	})
	moved := fresh
	moved.InUse = Credential{State: stateOtherOrigin, EnteredFor: "https://api.stripe.com", GoesTo: "https://eu.api.stripe.com"}
	return []ui.State{
		whole(group, "nothing yet", Rotate(fresh)),
		whole(group, "for another address", Rotate(moved)),
		whole(group, "what was entered is wrong", Rotate(wrong)),
		whole(group, "staged", Rotate(with(func(*RotateView, *Rotation) {}))),
		whole(group, "test failed", Rotate(with(func(_ *RotateView, r *Rotation) { r.Test = failed }))),
		whole(group, "test passed", Rotate(with(func(_ *RotateView, r *Rotation) { r.Test, r.ExpiresOn = passed, now().Add(365*day) }))),
		whole(group, "switched anyway, without a reason", Rotate(with(func(v *RotateView, r *Rotation) {
			r.Test = failed
			v.Form = RotateForm{Of: RotateSwitch, Keep: "24h", Anyway: true, Errors: Errors{"reason": "Say why it is switched without a test that passed."}}
		}))),
		whole(group, "switched", Rotate(with(switched))),
		whole(group, "switched without a test, kept", Rotate(with(func(v *RotateView, r *Rotation) {
			switched(v, r)
			r.Test, r.KeptUntil = nil, time.Time{}
		}))),
		whole(group, "rolled back", Rotate(with(func(_ *RotateView, r *Rotation) { r.RolledBackAt, r.RolledBackBy = ago(time.Minute), "ada@example.com" }))),
		whole(group, "done", Rotate(with(func(v *RotateView, r *Rotation) {
			switched(v, r)
			r.State, r.KeptUntil, r.DestroyedAt, r.DestroyedBy = "done", time.Time{}, ago(time.Minute), "switchgear"
		}))),
		whole(group, "somebody was faster", Rotate(with(func(v *RotateView, r *Rotation) {
			switched(v, r)
			v.Form = RotateForm{Of: RotateBack, Errors: Errors{"": "Somebody took a step in the meantime. This is how it is now."}}
		}))),
		whole(group, "needs consent", Rotate(refused)),
		whole(group, "read-only", Rotate(reader)),
		whole(group, "an operator goes back", Rotate(operator)),
		whole(group, "long text", Rotate(long)),
		whole(group, "destroy", RotateConfirm(question, RotateDestroy)),
		whole(group, "discard, reason missing", RotateConfirm(unreasoned, RotateDiscard)),
		{Group: group, Name: "the part that a test replaces", View: RotateState(with(func(_ *RotateView, r *Rotation) { r.Test = failed }))},
	}
}
