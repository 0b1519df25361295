package connections

import (
	"context"
	"fmt"
	"strings"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/telemetry"
)

// Sent is a request that somebody sends by hand through a connection.
type Sent struct {
	// CallID is the request id of the call that it becomes.
	CallID, Account, Method string
	// Path is below the base URL. Its query is not recorded.
	Path string
}

// RecordSent writes into the audit log that the actor is about to use the credential of a connection by
// hand. Call it before the request goes out and send nothing when it fails: what a person does with a
// credential is known, or does not happen. It needs operate.
func (s *Service) RecordSent(ctx context.Context, a access.Actor, slug string, sent Sent) error {
	if err := a.Require(access.PermissionOperate); err != nil {
		return err
	}
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		a, err := s.authorize(ctx, tx, a, access.PermissionOperate)
		if err != nil {
			return err
		}
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return fmt.Errorf("connections: record a request: %w", noConnection(err))
		}
		path, _, _ := strings.Cut(sent.Path, "?")
		return s.record(ctx, tx, a, audit.Entry{
			Action: "connection.send", Target: r.target(),
			Details: map[string]string{"account": sent.Account, "method": sent.Method, "path": telemetry.Mask(path), "call": sent.CallID},
		})
	})
	if err != nil {
		return err
	}
	s.notify(topicAudit)
	return nil
}
