package connections

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/providers"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/egress"
)

// The audit actions of a rotation of a credential with overlap.
const (
	actionCredentialStage    = "credential.stage"       //nolint:gosec // the name of an action, not a secret.
	actionCredentialTest     = "credential.test"        //nolint:gosec // the name of an action, not a secret.
	actionCredentialSwitch   = "credential.switch"      //nolint:gosec // the name of an action, not a secret.
	actionCredentialRollback = "credential.rollback"    //nolint:gosec // the name of an action, not a secret.
	actionCredentialDestroy  = "credential.destroy_old" //nolint:gosec // the name of an action, not a secret.
	actionCredentialDiscard  = "credential.discard"     //nolint:gosec // the name of an action, not a secret.
)

// maxTestPath bounds the path of a test.
const maxTestPath = 2000

// Rollover returns the rotation of the credential of an account that is under way, or the last one. It needs
// system:read. An account that never had one is a fault.NotFound NO_ROTATION.
func (s *Service) Rollover(ctx context.Context, a access.Actor, slug, account string) (credentials.Rollover, error) {
	r, err := s.read(ctx, a, slug)
	if err != nil {
		return credentials.Rollover{}, err
	}
	o, err := s.vault.Rollover(ctx, r.ID, account)
	if err != nil {
		return credentials.Rollover{}, fmt.Errorf("connections: rotation of %s of %s: %w", account, slug, err)
	}
	return o, nil
}

// roll takes one step of a rotation: fn changes it within a transaction, in which the step is recorded as well.
// It needs configure; the way back needs operate, as every way back does.
func (s *Service) roll(ctx context.Context, a access.Actor, slug, account, action, reason string, facts map[string]string,
	fn func(tx *db.Tx, a access.Actor, r row) (effect, error),
) error {
	account, err := checkAccount(account)
	if err != nil {
		return err
	}
	if reason, err = reasonLine(reason); err != nil {
		return err
	}
	need := access.PermissionConfigure
	if action == actionCredentialRollback {
		need = access.PermissionOperate
	}
	_, err = s.change(ctx, a, need, func(tx *db.Tx, a access.Actor) (effect, error) {
		r, err := s.store.bySlug(ctx, tx, slug)
		if err != nil {
			return effect{}, noConnection(err)
		}
		done, err := fn(tx, a, r)
		if err != nil {
			return effect{}, err
		}
		details := map[string]string{"account": account}
		maps.Copy(details, facts)
		return done, s.record(ctx, tx, a, audit.Entry{Action: action, Target: r.target(), Reason: reason, Details: details})
	})
	if err != nil {
		return fmt.Errorf("connections: rotate %s of %s: %w", account, slug, err)
	}
	return nil
}

// Stage stores the next credential of an account, beside the one that calls go on using. It needs configure.
// The auth type is that of the account; fields that are left out are as in the credential in use. The last day of
// its secret waits with it.
func (s *Service) Stage(ctx context.Context, a access.Actor, slug, account string, auth Auth, reason string) (credentials.Rollover, error) {
	var (
		o     credentials.Rollover
		last  credentials.Day
		facts map[string]string
		err   error
	)
	if auth.ExpiresOn != nil {
		if last, err = credentials.ParseDay(*auth.ExpiresOn); err != nil {
			return o, err
		}
	}
	if last != "" {
		facts = map[string]string{"expires_on": string(last)}
	}
	err = s.roll(ctx, a, slug, account, actionCredentialStage, reason, facts, func(tx *db.Tx, a access.Actor, r row) (effect, error) {
		present, err := s.vault.Find(ctx, tx, r.ID, account)
		if err != nil {
			return effect{}, err
		}
		if auth.Type != "" && auth.Type != present.AuthType {
			return effect{}, fault.Field("AUTH_TYPE_CHANGED", "auth.type", "A rotation keeps the auth type of the account: "+present.AuthType+".").
				WithSuggestion("Replace the credential to change its type.")
		}
		o, err = s.vault.Stage(ctx, tx, r.holder(account), auth.Fields, last, eventActor(a))
		return effect{slug: r.Slug}, err
	})
	return o, err
}

// TestStaged sends one real request with the staged credential of an account, and stores how it was answered. It
// needs configure. An empty path is that of the health check: the
// connection's own, else the provider's, else the base URL. revision is that of the rotation that
// was looked at, 0 for any. The credential in use is not touched, whatever comes back.
func (s *Service) TestStaged(ctx context.Context, a access.Actor, slug, account, path string, revision int64) (credentials.Rollover, runtime.ProbeResult, error) {
	var o credentials.Rollover
	if err := a.Require(access.PermissionConfigure); err != nil {
		return o, runtime.ProbeResult{}, err
	}
	account, err := checkAccount(account)
	if err != nil {
		return o, runtime.ProbeResult{}, err
	}
	trial, err := s.trial(ctx, slug, account, path, revision)
	if err != nil {
		return o, runtime.ProbeResult{}, fmt.Errorf("connections: test what is staged for %s of %s: %w", account, slug, err)
	}
	defer trial.close()
	result := runtime.Probe(ctx, trial.target, trial.method, trial.path)
	if err := ctx.Err(); err != nil {
		return o, result, err
	}
	shown, _, _ := strings.Cut(trial.path, "?")
	test := credentials.RolloverTest{
		Request: trial.method + " " + shown, Status: result.Status, Outcome: string(result.Outcome), Problem: result.Problem,
		Passed: result.Accepted(trial.target.Policy),
	}
	if !test.Passed && result.Status/100 == 3 {
		test.Problem = "It answered with a redirect" + result.LeadsTo() + ", which says nothing about the credential: it may be a login page."
	}
	facts := map[string]string{"outcome": test.Outcome, "status": strconv.Itoa(test.Status)}
	err = s.roll(ctx, a, slug, account, actionCredentialTest, "", facts, func(tx *db.Tx, a access.Actor, r row) (effect, error) {
		o, err = s.vault.Tested(ctx, tx, r.ID, account, trial.revision, test, eventActor(a))
		return effect{slug: r.Slug}, err
	})
	return o, result, err
}

// trial is how a staged credential is tested.
type trial struct {
	target       runtime.Target
	method, path string
	revision     int64
	close        func()
}

func (s *Service) trial(ctx context.Context, slug, account, path string, revision int64) (trial, error) {
	e := s.snapshot.Load().entries.get(slug)
	if e == nil {
		return trial{}, noConnection(fault.Newf(fault.NotFound, "no connection %s", slug))
	}
	if e.problem != nil {
		return trial{}, e.problem
	}
	t := trial{method: http.MethodGet, path: path}
	if path == "" {
		provider, err := s.provider(e.Provider)
		if err != nil {
			provider = providers.Provider{} // It left the catalogue, and has nothing to say.
		}
		t.method, t.path = HealthRequest(e.policy, provider)
	}
	if !strings.HasPrefix(t.path, "/") || len(t.path) > maxTestPath {
		return trial{}, fault.Field("INVALID_PATH", "path", "Enter a path below the base URL that begins with a slash.")
	}
	if err := runtime.CheckPath(t.path); err != nil {
		return trial{}, fault.Field("INVALID_PATH", "path", fault.PublicMessage(err))
	}
	var set *credentials.Set
	err := s.db.InTx(ctx, func(tx *db.Tx) error {
		loaded, o, err := s.vault.Trial(ctx, tx, e.ID, account, revision)
		set, t.revision = loaded, o.Revision
		return err
	})
	if err != nil {
		return trial{}, err
	}
	set = set.At(credentials.OriginOf(e.BaseURL))
	authorize, _, err := set.Authorizer(account)
	if err != nil {
		return trial{}, err
	}
	cfg := egress.TransportConfig{}
	if open := set.ClientTLS(account); open != nil {
		c, err := open()
		if err != nil {
			return trial{}, err
		}
		cfg.RootCAs, cfg.ClientCertificate = c.Authorities, c.Certificate
	}
	transport := s.egress.NewCalls(cfg)
	t.close = transport.CloseIdleConnections
	t.target = runtime.Target{
		ConnectionID: e.ID, Slug: e.Slug, Account: account, Version: e.Version, BaseURL: e.base, Policy: e.policy,
		Authorize: authorize, SignsBody: set.SignsBody(account), Transport: transport,
	}
	return t, nil
}

// SwitchStaged puts the staged credential of an account in use, and keeps the old one. It needs configure. Calls
// that begin after it returns use the new one; those that began finish with the old one.
func (s *Service) SwitchStaged(ctx context.Context, a access.Actor, slug, account string, how credentials.Switchover) (credentials.Rollover, error) {
	var (
		o   credentials.Rollover
		err error
	)
	if how.Reason, err = reasonLine(how.Reason); err != nil {
		return o, err
	}
	facts := map[string]string{"keep": "until it is destroyed by hand"}
	if how.Keep > 0 {
		facts["keep"] = how.Keep.String()
	}
	if how.Anyway {
		facts["anyway"] = "whether or not a test passed"
	}
	err = s.roll(ctx, a, slug, account, actionCredentialSwitch, how.Reason, facts, func(tx *db.Tx, a access.Actor, r row) (effect, error) {
		stored, next, err := s.vault.Switch(ctx, tx, r.ID, account, how, eventActor(a))
		o = next
		if err != nil {
			return effect{}, err
		}
		return s.follow(ctx, tx, a, r, stored, Version{Cause: CauseRotationSwitch, Reason: how.Reason})
	})
	return o, err
}

// RollBackStaged puts the old credential of an account in use again, while it is kept. It needs operate. The
// new one is staged again.
func (s *Service) RollBackStaged(ctx context.Context, a access.Actor, slug, account, reason string, revision int64) (credentials.Rollover, error) {
	var o credentials.Rollover
	err := s.roll(ctx, a, slug, account, actionCredentialRollback, reason, nil, func(tx *db.Tx, a access.Actor, r row) (effect, error) {
		stored, next, err := s.vault.RollBack(ctx, tx, r.ID, account, revision, eventActor(a))
		o = next
		if err != nil {
			return effect{}, err
		}
		return s.follow(ctx, tx, a, r, stored, Version{Cause: CauseRotationRollback, Reason: reason})
	})
	return o, err
}

// follow has calls use another credential. That of the default account is part of the definition.
func (s *Service) follow(ctx context.Context, tx *db.Tx, a access.Actor, r row, stored credentials.Credential, v Version) (effect, error) {
	if stored.Account != credentials.DefaultAccount {
		return effect{slug: r.Slug, accounts: []string{stored.Account}}, nil
	}
	next := r
	next.def.Auth = authOf(stored)
	done, err := s.move(ctx, tx, a, r, next, v, nil)
	done.accounts = []string{credentials.DefaultAccount}
	return done, err
}

// DestroyOld forgets the old credential of an account for good, and every version before it. It needs
// configure.
func (s *Service) DestroyOld(ctx context.Context, a access.Actor, slug, account, reason string, revision int64) (credentials.Rollover, error) {
	var o credentials.Rollover
	err := s.roll(ctx, a, slug, account, actionCredentialDestroy, reason, nil, func(tx *db.Tx, a access.Actor, r row) (effect, error) {
		next, err := s.vault.DestroyOld(ctx, tx, r.ID, account, revision, eventActor(a))
		o = next
		return effect{slug: r.Slug}, err
	})
	return o, err
}

// DiscardStaged forgets the staged credential of an account for good. It needs configure.
func (s *Service) DiscardStaged(ctx context.Context, a access.Actor, slug, account, reason string, revision int64) error {
	return s.roll(ctx, a, slug, account, actionCredentialDiscard, reason, nil, func(tx *db.Tx, a access.Actor, r row) (effect, error) {
		return effect{slug: r.Slug}, s.vault.Discard(ctx, tx, r.ID, account, revision, eventActor(a))
	})
}

// destroyDue destroys the old credentials whose time is over.
func (s *Service) destroyDue(ctx context.Context) {
	due, err := s.vault.DueRollovers(ctx)
	if err != nil {
		s.logger.WarnContext(ctx, "old credentials are not destroyed yet", "error", err)
		return
	}
	slugs := s.Slugs()
	for _, d := range due {
		_, err := s.DestroyOld(ctx, access.System(), slugs[d.ConnectionID], d.Account, "the time for which it was kept is over", d.Revision)
		if err != nil { // It is found again.
			s.logger.LogAttrs(ctx, slog.LevelWarn, "an old credential is not destroyed yet",
				slog.String("connection_id", d.ConnectionID), slog.String("account", d.Account), slog.Any("error", err))
		}
	}
}
