package connect

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

const (
	// flowLife is how long a person may take.
	flowLife = 10 * time.Minute
	// flowsKept is how long it can be seen what became of a flow.
	flowsKept = 30 * 24 * time.Hour
	// discoveryLimit bounds the question whether a server names itself in its answers.
	discoveryLimit = 5 * time.Second
	// finishLimit bounds an exchange with everything after it, also when the browser is gone.
	finishLimit = 30 * time.Second
)

// Accounts are where tokens and keys end up; *connections.Service is one.
type Accounts interface {
	Find(ctx context.Context, a access.Actor, slug string) (connections.Connection, error)
	PutAccount(ctx context.Context, a access.Actor, slug, account string, auth connections.Auth, reason string) (credentials.Credential, error)
	TokenClient(ctx context.Context, a access.Actor, slug, account string) (connections.TokenClient, error)
	ConnectAccount(ctx context.Context, a access.Actor, slug, account string, c connections.Consented) (credentials.Credential, error)
}

// Server asks authorization servers; *oauth.Client is one.
type Server interface {
	Exchange(ctx context.Context, cfg oauth.Config, code, verifier, redirectURI string) (oauth.Token, error)
	StartDevice(ctx context.Context, cfg oauth.Config) (oauth.Device, error)
	PollDevice(ctx context.Context, cfg oauth.Config, code string) (oauth.Token, error)
	Discover(ctx context.Context, issuer string) (oauth.Metadata, error)
}

// Registrar makes clients at authorization servers; *oauth.Client is one.
type Registrar interface {
	Register(ctx context.Context, endpoint string, reg oauth.Registration) (oauth.Registered, error)
}

// Teller tells an alert channel what became of a link.
type Teller interface {
	// Check refuses a channel that does not exist or cannot be told.
	Check(ctx context.Context, a access.Actor, channelID string) error
	// Ended sends what became of a session, at least once.
	Ended(ctx context.Context, s Session) error
}

// Deps are what a Service works with; all are required.
type Deps struct {
	DB        *db.DB
	Audit     *audit.Log
	Sealer    *credentials.Sealer
	Accounts  Accounts
	Server    Server
	Registrar Registrar
	Teller    Teller
	// PublicURL is the origin at which browsers reach the console.
	PublicURL func() string
	Logger    *slog.Logger
	Now       func() time.Time
}

// Service holds the use cases of this package. It is safe for concurrent use.
type Service struct {
	db        *db.DB
	store     store
	audit     *audit.Log
	sealer    *credentials.Sealer
	accounts  Accounts
	server    Server
	registrar Registrar
	tell      Teller
	publicURL func() string
	logger    *slog.Logger
	now       func() time.Time
}

// New returns a Service. It fails when a dependency is missing.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Audit == nil || d.Sealer == nil || d.Accounts == nil || d.Server == nil || d.Registrar == nil || d.Teller == nil || d.PublicURL == nil || d.Logger == nil || d.Now == nil {
		return nil, errors.New("connect: every dependency is required")
	}
	return &Service{
		db: d.DB, store: store{db: d.DB}, audit: d.Audit, sealer: d.Sealer, accounts: d.Accounts, server: d.Server, registrar: d.Registrar, tell: d.Teller,
		publicURL: d.PublicURL, logger: d.Logger, now: d.Now,
	}, nil
}

// Serve forgets old flows until ctx ends. Run it under a supervisor.
func (s *Service) Serve(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.store.forget(ctx, s.now().Add(-flowsKept)); err != nil {
			s.logger.WarnContext(ctx, "old consents are not forgotten yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// RedirectURI is what has to be registered at a provider for a connection. Every provider has one of its
// own, so that the answer of one server is never taken for that of another (RFC 9700 4.4.2.2); where the
// catalogue does not know the server, every connection has.
func (s *Service) RedirectURI(c connections.Connection) string {
	return strings.TrimSuffix(s.publicURL(), "/") + "/oauth/callback/" + CallbackID(c)
}

// CallbackPrefix stands before the slug where every connection has a redirect URI of its own.
const CallbackPrefix = "connection-"

// CallbackID is the last part of the redirect URI of a connection.
func CallbackID(c connections.Connection) string {
	if strings.HasPrefix(c.Provider, "generic-") {
		return CallbackPrefix + c.Slug
	}
	return c.Provider
}

// NewBinding returns what a browser is to keep, and to bring along to every step of the flows it begins.
func NewBinding() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // It never fails.
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Begin starts the consent for an account, new or not. It needs configure. scopes are those to ask for; nil
// asks for the ones of the connection. binding is what the browser keeps.
func (s *Service) Begin(ctx context.Context, a access.Actor, slug, account string, scopes []string, binding string) (Flow, error) {
	return s.begin(ctx, a, slug, account, scopes, binding, "")
}

func (s *Service) begin(ctx context.Context, a access.Actor, slug, account string, scopes []string, binding, sessionID string) (Flow, error) {
	client, err := s.accounts.TokenClient(ctx, a, slug, account)
	if err != nil {
		return Flow{}, err
	}
	cfg, now := client.Config, db.Time(db.Micros(s.now()))
	if scopes != nil {
		if cfg.Scopes, err = checkScopes(scopes); err != nil {
			return Flow{}, err
		}
	}
	f := Flow{
		ID: db.NewID("oaf"), SessionID: sessionID, ConnectionID: client.Connection.ID, Slug: slug, Account: account, Provider: CallbackID(client.Connection),
		Grant: client.Grant, Status: StatusPending, Requested: cfg.Scopes, Actor: Actor{Kind: a.Kind, ID: a.ID, Name: a.Name},
		CreatedAt: now, ExpiresAt: now.Add(flowLife), binding: hash(binding), tokenURL: cfg.TokenURL, issuer: cfg.Issuer,
		origin: credentials.OriginOf(client.Connection.BaseURL),
	}
	secrets := flowSecrets{State: NewBinding()}
	switch client.Grant {
	case authtype.GrantAuthorizationCode:
		secrets.Verifier, f.RedirectURI, f.Server = oauth.NewVerifier(), s.RedirectURI(client.Connection), host(cfg.AuthorizeURL)
		f.issuerRequired = s.namesItself(ctx, cfg)
	case authtype.GrantDeviceCode:
		device, err := s.server.StartDevice(ctx, cfg)
		if err != nil {
			return Flow{}, stepFailed(err)
		}
		secrets.Device = device.Code
		f.UserCode, f.VerificationURL, f.CompleteURL, f.Interval = device.UserCode, device.VerificationURL, device.CompleteURL, device.Interval
		f.Server, f.ExpiresAt, f.PollAt = host(device.VerificationURL), now.Add(min(device.ExpiresIn, time.Hour)), now.Add(device.Interval)
	default:
		return Flow{}, fault.New(fault.Conflict, "NO_CONSENT_NEEDED", "Nobody has to consent to this kind of credential: the token is obtained by itself.")
	}
	var keyID uint32
	if f.sealed, keyID, err = s.seal(f, secrets); err != nil {
		return Flow{}, err
	}
	if err := s.store.insert(ctx, f, hash(secrets.State), keyID); err != nil {
		return Flow{}, fmt.Errorf("connect: begin: %w", err)
	}
	return f, nil
}

// namesItself asks whether the answers of a server have to carry its issuer. A server that cannot be asked
// does not keep anybody from connecting.
func (s *Service) namesItself(ctx context.Context, cfg oauth.Config) bool {
	if cfg.Issuer == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, discoveryLimit)
	defer cancel()
	m, err := s.server.Discover(ctx, cfg.Issuer)
	return err == nil && m.NamesItself
}

// stepFailed is a failed step as an error of ours, for who began it.
func stepFailed(err error) error {
	failed, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return err
	}
	return fault.Wrap(err, fault.BadGateway, "OAUTH_FAILED", "The step "+failed.Step+" failed ("+failed.Code+"). "+failed.Advice())
}

func host(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// checkScopes holds chosen scopes to the characters of RFC 6749 3.3.
func checkScopes(scopes []string) ([]string, error) {
	var out []string
	for _, scope := range scopes {
		for part := range strings.FieldsSeq(scope) {
			if !authtype.ValidScope(part) {
				return nil, fault.Field("INVALID_SCOPE", "scopes", "A scope contains a character that no scope may have.")
			}
			if !slices.Contains(out, part) {
				out = append(out, part)
			}
		}
	}
	const most = 100
	if len(out) > most {
		return nil, fault.Field("INVALID_SCOPE", "scopes", "These are more than 100 scopes.")
	}
	return out, nil
}

// flowSecrets are what is sealed of a flow.
type flowSecrets struct {
	State    string `json:"state,omitempty"`
	Verifier string `json:"verifier,omitempty"`
	Device   string `json:"device,omitempty"`
}

func (f Flow) aad() credentials.AAD {
	return credentials.AAD{Table: "oauth_flows", Row: f.ID, Column: "sealed", Owner: f.ConnectionID, Account: f.Account, Version: 1}
}

func (s *Service) seal(f Flow, secrets flowSecrets) (string, uint32, error) {
	plaintext, err := json.Marshal(secrets)
	if err != nil {
		return "", 0, fmt.Errorf("connect: encode %s: %w", f.ID, err)
	}
	defer clear(plaintext)
	return s.sealer.Seal(f.aad(), plaintext)
}

func (s *Service) open(f Flow) (flowSecrets, error) {
	var secrets flowSecrets
	plaintext, err := s.sealer.Open(f.aad(), f.sealed)
	if err != nil {
		return secrets, err
	}
	defer clear(plaintext)
	if json.Unmarshal(plaintext, &secrets) != nil {
		return flowSecrets{}, fault.Newf(fault.Internal, "connect: %s is not the form that was sealed", f.ID)
	}
	return secrets, nil
}

// hash is what is stored of a random value.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// bound reports whether a browser is the one that began.
func (f Flow) bound(binding string) bool {
	return binding != "" && subtle.ConstantTimeCompare([]byte(hash(binding)), []byte(f.binding)) == 1
}

// Find returns a flow to the browser that began it, and to who may read the system otherwise.
func (s *Service) Find(ctx context.Context, a access.Actor, id, binding string) (Flow, error) {
	f, err := s.store.find(ctx, id)
	if err != nil {
		return Flow{}, noFlow(err)
	}
	if !f.bound(binding) {
		if err := a.Require(access.PermissionSystemRead); err != nil {
			return Flow{}, err
		}
	}
	if f.Status == StatusPending && !f.ExpiresAt.After(s.now()) {
		f.Status, f.Step, f.Code, f.Problem = StatusFailed, oauth.StepAuthorize, oauth.CodeExpired, (&oauth.Error{Code: oauth.CodeExpired}).Advice()
	}
	return f, nil
}

// Leave is the address at the authorization server that the browser goes to for consent. Only the browser
// that began gets it, and only once it has not been used.
func (s *Service) Leave(ctx context.Context, a access.Actor, id, binding string) (string, error) {
	f, err := s.Find(ctx, a, id, binding)
	if err != nil {
		return "", err
	}
	if f.Grant != authtype.GrantAuthorizationCode || f.Status != StatusPending || !f.bound(binding) {
		return "", fault.New(fault.Conflict, "CONSENT_ENDED", "This consent is over, or was begun in another browser. Start again.")
	}
	secrets, err := s.open(f)
	if err != nil {
		return "", err
	}
	if a, err = s.authorityOf(ctx, a, f); err != nil {
		return "", err
	}
	client, err := s.accounts.TokenClient(ctx, a, f.Slug, f.Account)
	if err != nil {
		return "", err
	}
	client.Config.Scopes = f.Requested
	return oauth.AuthorizationURL(client.Config, secrets.State, secrets.Verifier, f.RedirectURI)
}

// authorityOf is with whose right a flow goes on: that of who looks, or of who made the link that it belongs to.
func (s *Service) authorityOf(ctx context.Context, a access.Actor, f Flow) (access.Actor, error) {
	session, err := s.ofFlow(ctx, f, a.IP)
	if err != nil || session == nil {
		return a, err
	}
	return session.authority, nil
}
