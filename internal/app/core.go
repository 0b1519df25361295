package app

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/alerts"
	"switchgear/internal/audit"
	"switchgear/internal/breakers"
	"switchgear/internal/calls"
	"switchgear/internal/checklist"
	"switchgear/internal/config"
	"switchgear/internal/connect"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/health"
	"switchgear/internal/idempotency"
	"switchgear/internal/observability"
	"switchgear/internal/providers"
	"switchgear/internal/rotation"
	"switchgear/internal/runtime"
	"switchgear/internal/runtime/breaker"
	"switchgear/internal/runtime/egress"
	"switchgear/internal/whatif"
)

// core is the store and those who write to it: what the server and a one-shot command have in common.
type core struct {
	db      *db.DB
	keyring *credentials.Keyring
	audit   *audit.Log
	access  *access.Service

	providers   *providers.Catalog
	protections *runtime.Protections
	breakers    *breakers.Service
	health      *health.Service
	alerts      *alerts.Service
	sender      *alerts.Sender
	connections *connections.Service
	vault       *credentials.Vault
	connect     *connect.Service
	oauth       *oauth.Client
	calls       *calls.Log
	judge       *calls.Judge
	checklist   *checklist.Service
	whatif      *whatif.Service
	rotation    *rotation.Service
	cfg         config.Config
	logger      *slog.Logger
	counted     *observability.Calls
	tracer      *observability.Tracer // nil without a collector
	transitions *observability.Transitions
	requests    *idempotency.Service
	listeners   ownListeners
	admitted    admitted
	// serving says that this is a server, which does the work of rotations in the background.
	serving bool
	// sealed is set, and everything above but db unset, when the master key does not fit the database.
	sealed *credentials.Sealed
}

// openCore opens the data directory of cfg. Teardown is registered on stack as parts come to exist, so
// the caller unwinds it whether openCore fails or not. notify is called after each committed change
// with the name of what changed.
func openCore(ctx context.Context, cfg config.Config, logger *slog.Logger, notify func(topic string), stack *cleanup) (*core, error) {
	store, err := db.Open(ctx, db.Config{Dir: cfg.Data})
	if err != nil {
		return nil, err
	}
	stack.addCloser("database", store.Close)

	c := &core{db: store, cfg: cfg, logger: logger}
	c.keyring, err = credentials.OpenKeyring(ctx, credentials.Deps{
		DB: store,
		Source: credentials.KeySource{
			File: cfg.EffectiveKeyFile(), Value: cfg.Key, Previous: cfg.KeyPrevious, PreviousFile: cfg.KeyPreviousFile,
		},
		Logger: logger,
		Now:    time.Now,
	})
	if sealed, ok := errors.AsType[*credentials.SealedError](err); ok {
		c.sealed = &sealed.Sealed
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	auditMAC, err := c.keyring.MAC(credentials.PurposeAudit)
	if err != nil {
		return nil, err
	}
	keyMAC, err := c.keyring.MAC(credentials.PurposeAPIKey)
	if err != nil {
		return nil, err
	}
	if c.audit, err = audit.New(audit.Deps{DB: store, MAC: auditMAC, Now: time.Now}); err != nil {
		return nil, err
	}
	//nolint:contextcheck // New reads the keys once, before anything can cancel it.
	c.access, err = access.New(access.Deps{
		DB: store, Audit: c.audit, KeyMAC: keyMAC, Notify: notify, Logger: logger, Now: time.Now,
	}, access.Config{SessionLifetime: cfg.SessionLifetime, SecureCookies: cfg.SecureCookies()})
	if err != nil {
		return nil, err
	}
	if err := c.openRotation(ctx, notify); err != nil {
		return nil, err
	}
	return c, c.openConnections(ctx, cfg, logger, notify, stack)
}

// openConnections builds what calls outside systems: the catalogue, the credentials, the definitions and
// the log of what was called.
func (c *core) openConnections(ctx context.Context, cfg config.Config, logger *slog.Logger, notify func(topic string), stack *cleanup) error {
	var err error
	if c.providers, err = providers.Load(); err != nil {
		return err
	}
	rules, err := egress.ParseRules(cfg.EgressAllow)
	if err != nil {
		return err
	}
	sealer, err := c.keyring.Sealer(credentials.PurposeCredential)
	if err != nil {
		return err
	}
	guard := egress.New(egress.Config{Rules: rules, Deny: c.listeners.has, Admit: c.admitted.has})
	c.oauth, err = oauth.New(oauth.Deps{Transport: tokenTransport(guard), Now: time.Now})
	if err != nil {
		return err
	}
	vault, err := credentials.NewVault(credentials.VaultDeps{
		DB: c.db, Sealer: sealer, Endpoint: c.oauth, Logger: logger, Now: time.Now, Key: runtime.CallingKey,
		Changed: func(ctx context.Context, connectionID, account string) {
			c.connections.CredentialChanged(ctx, connectionID, account)
		},
	})
	if err != nil {
		return err
	}
	c.vault = vault
	if err := vault.TakeOver(ctx); err != nil {
		return err
	}
	inbox := breakers.NewInbox()
	c.transitions = &observability.Transitions{}
	c.protections, err = runtime.NewProtections(runtime.ProtectionsDeps{
		Logger: logger, Now: time.Now, Changed: func(ctx context.Context, events []breaker.Event) {
			inbox.Changed(ctx, events)
			c.transitions.Count(events)
			logBreakers(ctx, logger, events)
		},
	}, runtime.ProtectionsConfig{})
	if err != nil {
		return err
	}
	c.connections, err = connections.New(ctx, connections.Deps{
		DB: c.db, Audit: c.audit, Vault: vault, Providers: c.providers, Egress: guard,
		// The checklist is judged by what is built below; nothing changes before it is there.
		Open: func(ctx context.Context, one connections.Connection) ([]string, error) {
			return c.checklist.Open(ctx, one)
		},
		Protections: c.protections, Notify: notify, Logger: logger, Now: time.Now,
	})
	if err != nil {
		return err
	}
	c.connect, err = connect.New(connect.Deps{
		DB: c.db, Audit: c.audit, Sealer: sealer, Accounts: c.connections, Server: c.oauth, Registrar: c.oauth, Teller: linkTeller{c}, PublicURL: c.baseURL, Logger: logger, Now: time.Now,
	})
	if err != nil {
		return err
	}
	if err := c.openTracer(ctx); err != nil {
		return err
	}
	c.counted = observability.NewCalls(c.connections.Slugs)
	c.calls, err = calls.New(ctx, calls.Deps{DB: c.db, Logger: logger, Notify: notify, Now: time.Now}, calls.Config{})
	if err != nil {
		return err
	}
	if err := c.openBreakers(inbox, logger, notify, stack); err != nil {
		return err
	}
	c.health, err = health.New(ctx, health.Deps{
		DB: c.db, Connections: c.connections, Traffic: c.calls, Protections: c.protections, Probe: runtime.Probe,
		Notify: notify, Logger: logger, Now: time.Now,
	}, health.Config{})
	if err != nil {
		return err
	}
	if err := c.openAlerts(ctx, sealer, guard, notify); err != nil {
		return err
	}
	if c.judge, err = calls.NewJudge(calls.JudgeDeps{Log: c.calls, Marks: c.connections, Logger: logger}); err != nil {
		return err
	}
	c.checklist, err = checklist.New(checklist.Deps{
		DB: c.db, Audit: c.audit, Connections: c.connections, Calls: c.calls, Breakers: c.breakers, Providers: c.providers, Alerts: c.alerts, Notify: notify, Logger: logger, Now: time.Now,
	}, checklist.Config{})
	if err != nil {
		return err
	}
	c.whatif, err = whatif.New(whatif.Deps{Connections: c.connections, Calls: c.calls, Breakers: c.protections.Breakers(), Now: time.Now}, whatif.Config{})
	if err != nil {
		return err
	}
	requestMAC, err := c.keyring.MAC(credentials.PurposeRequest)
	if err != nil {
		return err
	}
	c.requests, err = idempotency.New(idempotency.Deps{DB: c.db, MAC: requestMAC, Logger: logger, Now: time.Now}, idempotency.Config{})
	return err
}

// tokenTransport makes what requests to authorization servers go through: the same guard as calls. One that
// presents a certificate keeps no connection, which the next client could otherwise find.
func tokenTransport(guard *egress.Guard) func(certificate *tls.Certificate) http.RoundTripper {
	return func(certificate *tls.Certificate) http.RoundTripper {
		t := guard.NewTransport(egress.TransportConfig{})
		if certificate != nil {
			t.TLSClientConfig.Certificates, t.DisableKeepAlives = []tls.Certificate{*certificate}, true
		}
		return t
	}
}

// logBreakers writes down what breakers did: an error when calls stop, information when they go on.
func logBreakers(ctx context.Context, logger *slog.Logger, events []breaker.Event) {
	for _, e := range events {
		level := slog.LevelInfo
		if e.To == breaker.StateOpen {
			level = slog.LevelError
		}
		logger.LogAttrs(ctx, level, "breaker changed", slog.String("breaker", e.Key.String()), slog.String("from", string(e.From)),
			slog.String("to", string(e.To)), slog.String("cause", string(e.Cause)), slog.String("reason", e.Reason), slog.String("actor", e.Actor))
	}
}
