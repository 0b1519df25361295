package credentials

import (
	"context"
	"fmt"
	"strings"
	"time"

	"switchgear/db"
)

// The kinds of events in the life of a credential.
const (
	EventStored         = "stored"          // entered or replaced by a person
	EventClientReplaced = "client_replaced" // a person entered another OAuth client, or another secret of it
	EventConnected      = "connected"       // a person consented
	EventImported       = "imported"        // a token from elsewhere
	EventExpirySet      = "expiry_set"      // a person said when the secret ends, or that it does not
	EventRevealed       = "revealed"        // a secret was shown to a person
	EventRenewed        = "renewed"         // a new token
	EventRenewalFailed  = "renewal_failed"  // none came; the first of a row
	EventNeedsReauth    = "needs_reauth"    // only a person can bring it back
	EventRevoked        = "revoked"         // at the service
	EventNotRevoked     = "not_revoked"     // the service was to, and did not
	EventDeleted        = "deleted"

	// Of a rotation with overlap.
	EventStaged       = "staged"        // the next one waits
	EventTested       = "tested"        // a request with it was accepted
	EventTestFailed   = "test_failed"   // or not
	EventSwitched     = "switched"      // it is in use
	EventRolledBack   = "rolled_back"   // the old one is in use again
	EventOldDestroyed = "old_destroyed" // there is no way back any more
	EventDiscarded    = "discarded"     // what waited is forgotten
)

// Actor is who did something to a credential.
type Actor struct{ Kind, ID, Name string }

func systemActor() Actor { return Actor{Kind: "system", Name: "Switchgear"} }

// Event is one line in the history of a credential. It holds no secret.
type Event struct {
	ID, CredentialID, ConnectionID, Account, Kind string
	// Detail is a sentence, Code that of a failure; both may be empty.
	Detail, Code          string
	Actor                 Actor
	Version, TokenVersion int64
	At                    time.Time
}

// Record adds a line to the history of a credential, within the change that it tells of.
func (v *Vault) Record(ctx context.Context, tx *db.Tx, c Credential, kind, code string, actor Actor, detail ...string) error {
	version := int64(0)
	if c.Token != nil {
		version = c.Token.Version
	}
	return v.recordEvent(ctx, tx, c, version, kind, code, actor, detail...)
}

func (v *Vault) recordEvent(ctx context.Context, tx *db.Tx, c Credential, tokenVersion int64, kind, code string, actor Actor, detail ...string) error {
	err := v.store.insertEvent(ctx, tx, Event{
		ID: db.NewID("cev"), CredentialID: c.ID, ConnectionID: c.ConnectionID, Account: c.Account, Kind: kind, Code: code,
		Detail: strings.TrimSpace(strings.Join(detail, " ")), Actor: actor, Version: c.Version, TokenVersion: tokenVersion, At: v.moment(),
	})
	if err != nil {
		return fmt.Errorf("credentials: record %s of %s: %w", kind, c.ID, err)
	}
	return nil
}

// History returns events of a connection's credentials, of one account or of all, the newest first, and how many
// there are. It begins after skip of them.
func (v *Vault) History(ctx context.Context, connectionID, account string, skip, limit int) (events []Event, total int, err error) {
	total, err = v.store.countEvents(ctx, v.store.db, connectionID, account)
	if err == nil {
		events, err = v.store.events(ctx, v.store.db, connectionID, account, skip, limit)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("credentials: history of %s: %w", connectionID, err)
	}
	return events, total, nil
}
