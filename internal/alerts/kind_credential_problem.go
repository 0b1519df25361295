package alerts

import (
	"context"

	"switchgear/internal/connections"
	"switchgear/internal/health"
)

// credentialProblem: a person has to do something about a credential.
type credentialProblem struct{}

func (credentialProblem) Info() KindInfo {
	return KindInfo{
		ID: "credential_problem", Title: "Credential problem", Severity: SeverityCritical,
		About: "A credential of a connection was lost, cannot be used, or is not accepted by the upstream, or calls are refused because none can be had. One that was never there counts while calls are refused for it and no other account works.",
	}
}

func (credentialProblem) Judge(_ context.Context, f *Facts, _ Params, in func(*connections.Connection) bool) ([]Condition, error) {
	return inState(f, health.StateCredential, in, func(health.Item) bool { return true }), nil
}
