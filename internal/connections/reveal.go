package connections

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

// RevealSetting says whether owners may have the secrets of accounts shown to them. It is off until an owner
// allows it.
type RevealSetting struct {
	Allowed bool `json:"-"`
	// By allowed it, At that time.
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Reveals returns the setting. It needs secrets:show.
func (s *Service) Reveals(ctx context.Context, a access.Actor) (RevealSetting, error) {
	if err := a.Require(access.PermissionReveal); err != nil {
		return RevealSetting{}, err
	}
	return s.reveals(ctx, s.db)
}

func (s *Service) reveals(ctx context.Context, q reader) (RevealSetting, error) {
	text, err := s.store.revealSetting(ctx, q)
	if fault.Is(err, fault.NotFound) {
		return RevealSetting{}, nil
	}
	out := RevealSetting{Allowed: true}
	if err == nil {
		err = json.Unmarshal([]byte(text), &out)
	}
	if err != nil {
		return RevealSetting{}, fmt.Errorf("connections: read whether secrets may be shown: %w", err)
	}
	return out, nil
}

// AllowReveals says whether owners may have secrets shown to them. It needs secrets:show. The caller has the
// actor prove who they are before it allows it.
func (s *Service) AllowReveals(ctx context.Context, a access.Actor, allowed bool, reason string) error {
	reason, err := reasonLine(reason)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, a, access.PermissionReveal, func(tx *db.Tx, a access.Actor) (effect, error) {
		now, err := s.reveals(ctx, tx)
		if err != nil || now.Allowed == allowed {
			return effect{}, err
		}
		text, action := "", "reveal.forbid"
		if allowed {
			raw, err := json.Marshal(RevealSetting{By: a.Name, At: s.moment()})
			if err != nil {
				return effect{}, err
			}
			text, action = string(raw), "reveal.allow"
		}
		if err := s.store.setRevealSetting(ctx, tx, text); err != nil {
			return effect{}, err
		}
		return effect{}, s.record(ctx, tx, a, audit.Entry{
			Action: action, Target: audit.Target{Kind: "setting", ID: "reveal", Name: "reveal of secrets"}, Reason: reason,
		})
	})
	if err != nil {
		return fmt.Errorf("connections: reveal of secrets: %w", err)
	}
	s.notify(topicAudit)
	return nil
}

// RevealSecret returns one secret field of an account, for one page that is shown once. It needs
// secrets:show, and the caller has the actor prove who they are each time. While reveals are not allowed it
// is a fault.NotFound. The record of it is committed before the secret is returned.
func (s *Service) RevealSecret(ctx context.Context, a access.Actor, slug, account, field, reason string) (telemetry.Secret, error) {
	var secret telemetry.Secret
	reason, err := reasonLine(reason)
	if err != nil {
		return secret, err
	}
	_, err = s.change(ctx, a, access.PermissionReveal, func(tx *db.Tx, a access.Actor) (effect, error) {
		setting, err := s.reveals(ctx, tx)
		if err != nil {
			return effect{}, err
		}
		if !setting.Allowed {
			return effect{}, NotRevealed()
		}
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		c, value, err := s.vault.Reveal(ctx, tx, r.ID, account, field)
		if err != nil {
			return effect{}, err
		}
		secret = value
		if err := s.vault.Record(ctx, tx, c, credentials.EventRevealed, "", eventActor(a), "The field "+field+" was shown.", reason); err != nil {
			return effect{}, err
		}
		return effect{}, s.record(ctx, tx, a, audit.Entry{
			Action: actionCredentialReveal, Target: r.target(), Reason: reason, Details: map[string]string{"account": account, "field": field},
		})
	})
	if err != nil {
		return telemetry.Secret{}, fmt.Errorf("connections: reveal %s of %s: %w", account, slug, err)
	}
	s.notify(topicConnections)
	s.notify(topicAudit)
	return secret, nil
}

// NotRevealed is what asking for a secret comes to while that is not allowed: there is no such page.
func NotRevealed() error {
	return fault.New(fault.NotFound, "", "There is no page at this address.")
}
