package checklist

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
)

// The audit actions of this package.
const (
	actionAttest   = "checklist.attest"
	actionExempt   = "checklist.exempt"
	actionWithdraw = "checklist.withdraw"
)

const (
	maxReason = 500
	// MaxExemptDays is how long an exemption may hold.
	MaxExemptDays = 180
)

// Statement is what a person says about an item.
type Statement struct {
	// Reason says what was looked at, or why the item need not hold. It is required.
	Reason string
	// Days is how long it holds.
	Days int
	// ConfigHash is the configuration that was looked at; empty for the present one. When it is another
	// one by now, the answer is a fault.Conflict CONFIGURATION_CHANGED.
	ConfigHash string
}

// Attest says that an item holds, having looked. It needs configure. An item that a person cannot judge is
// a fault.Conflict NOT_ATTESTABLE.
func (s *Service) Attest(ctx context.Context, a access.Actor, slug, item string, st Statement) error {
	return s.state(ctx, a, slug, item, st, actionAttest, VerdictPass, func(info Info) (int, error) {
		if info.Proof != ProofPerson {
			return 0, fault.New(fault.Conflict, "NOT_ATTESTABLE", "Nobody can attest this item: "+map[Proof]string{
				ProofComputed: "it is computed from the definition.", ProofDrill: "only a drill can prove it.",
			}[info.Proof])
		}
		return info.MaxDays, nil
	})
}

// Exempt approves that an item need not hold for a while. It needs configure; the actor is the approver.
func (s *Service) Exempt(ctx context.Context, a access.Actor, slug, item string, st Statement) error {
	return s.state(ctx, a, slug, item, st, actionExempt, VerdictExempt, func(Info) (int, error) { return MaxExemptDays, nil })
}

// Withdraw ends what was attested or exempted. It needs configure. Without either it is a fault.Conflict
// NOTHING_TO_WITHDRAW.
func (s *Service) Withdraw(ctx context.Context, a access.Actor, slug, item, reason string) error {
	return s.state(ctx, a, slug, item, Statement{Reason: reason}, actionWithdraw, VerdictUnknown, nil)
}

// state stores what a person says. limit returns how many days it may hold at most; nil for what ends
// something.
func (s *Service) state(ctx context.Context, a access.Actor, slug, id string, st Statement, action string, v Verdict, limit func(Info) (int, error)) error {
	if err := a.Require(access.PermissionConfigure); err != nil {
		return err
	}
	item, err := Lookup(id)
	if err != nil {
		return err
	}
	if st.Reason, err = checkReason(st.Reason); err != nil {
		return err
	}
	if limit != nil {
		most, err := limit(item.Info())
		if err != nil {
			return err
		}
		if st.Days < 1 || st.Days > most {
			return fault.Field("INVALID_DAYS", "days", fmt.Sprintf("Say for how many days, from 1 to %d.", most))
		}
	}
	c, err := s.deps.Connections.Find(ctx, access.System(), slug)
	if err != nil {
		return fmt.Errorf("checklist: %w", err)
	}
	e, err := s.statement(ctx, c, item, a, st, v)
	if err != nil {
		return err
	}
	if limit == nil {
		if err := s.withdrawable(ctx, c.ID, id); err != nil {
			return err
		}
	}
	if err := s.deps.DB.InTx(ctx, func(tx *db.Tx) error { return s.put(ctx, tx, a, c, e, action, st.Days) }); err != nil {
		return fmt.Errorf("checklist: %s of %s: %w", id, slug, err)
	}
	s.deps.Notify(Topic)
	s.deps.Notify(topicAudit)
	if _, err := s.judge(ctx, c, s.problem(c)); err != nil {
		// It is stored; the worker judges again.
		s.deps.Logger.WarnContext(ctx, "a checklist is not judged again yet", "connection_id", c.ID, "error", err)
	}
	return nil
}

// statement makes evidence of what a person says.
func (s *Service) statement(ctx context.Context, c connections.Connection, item Item, a access.Actor, st Statement, v Verdict) (Evidence, error) {
	facts, err := s.facts(ctx, c, s.problem(c))
	if err != nil {
		return Evidence{}, err
	}
	hash := Hash(item, facts)
	if st.ConfigHash != "" && st.ConfigHash != hash {
		return Evidence{}, configurationChanged()
	}
	configured := item.Configured(facts)
	e := Evidence{
		ID: db.NewID("evd"), ConnectionID: c.ID, Item: item.Info().ID, ConfigHash: hash, Method: MethodAttested, Verdict: v,
		Measured: configured.Measured, Threshold: configured.Threshold, Message: st.Reason,
		ActorKind: a.Kind, ActorID: a.ID, ActorName: a.Name, At: db.Time(db.Micros(facts.Now)),
	}
	if st.Days > 0 {
		e.ExpiresAt = e.At.Add(time.Duration(st.Days) * 24 * time.Hour)
	}
	return e, nil
}

func configurationChanged() error {
	return fault.New(fault.Conflict, "CONFIGURATION_CHANGED", "The connection was changed in the meantime. Look at it again, then repeat this.")
}

func (s *Service) withdrawable(ctx context.Context, connectionID, item string) error {
	stored, err := s.store.of(ctx, connectionID)
	if err != nil {
		return err
	}
	for _, e := range stored[item] {
		if e.Method == MethodAttested {
			if e.Verdict != VerdictUnknown {
				return nil
			}
			break
		}
	}
	return fault.New(fault.Conflict, "NOTHING_TO_WITHDRAW", "Nobody attests or exempts this item.")
}

// put writes evidence and its record, after looking again whether the actor may and the connection is the
// one that was looked at.
func (s *Service) put(ctx context.Context, tx *db.Tx, a access.Actor, c connections.Connection, e Evidence, action string, days int) error {
	a, err := s.authorize(ctx, tx, a)
	if err != nil {
		return err
	}
	version, err := s.store.version(ctx, tx, c.ID)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "CONNECTION_NOT_FOUND", "There is no such connection.")
		}
		return err
	}
	if version != c.Version {
		return configurationChanged()
	}
	if err := s.store.insert(ctx, tx, e); err != nil {
		return err
	}
	details := map[string]string{"item": e.Item, "version": strconv.Itoa(c.Version), "config_hash": e.ConfigHash}
	if days > 0 {
		details["days"] = strconv.Itoa(days)
	}
	return s.deps.Audit.Record(ctx, tx, audit.Entry{
		Action: action, Actor: audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, IP: a.IP, Reason: e.Message,
		Target: audit.Target{Kind: "connection", ID: c.ID, Name: c.Slug}, Details: details,
	})
}

// authorize checks within the change that the actor may do it now: role and key may have changed since the
// request began.
func (s *Service) authorize(ctx context.Context, tx *db.Tx, a access.Actor) (access.Actor, error) {
	switch a.Kind {
	case access.KindAPIKey:
		usable, err := s.store.keyUsable(ctx, tx, a.ID, s.deps.Now())
		if err != nil {
			return a, err
		}
		if !usable {
			return a, fault.New(fault.Unauthenticated, "INVALID_API_KEY", "This API key is not valid any more.")
		}
	case access.KindUser:
		role, err := s.store.role(ctx, tx, a.ID)
		if fault.Is(err, fault.NotFound) {
			return a, fault.New(fault.Unauthenticated, "", "Your account is no longer active.")
		}
		if err != nil {
			return a, err
		}
		a.Role = role
	}
	return a, a.Require(access.PermissionConfigure)
}

func checkReason(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", fault.Field("REASON_MISSING", "reason", "Say why. The reason goes into the evidence and the audit log.")
	case utf8.RuneCountInString(text) > maxReason:
		return "", fault.Field("INVALID_REASON", "reason", fmt.Sprintf("Use at most %d characters.", maxReason))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
	}):
		return "", fault.Field("INVALID_REASON", "reason", "It contains a character that cannot be shown.")
	}
	return text, nil
}
