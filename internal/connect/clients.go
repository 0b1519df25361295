package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"switchgear/db"
	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/credentials"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// clientName is what authorization servers show to people who consent, for clients that are registered here.
const clientName = "Switchgear"

const actionClientRegister = "oauth_client.register"

// Discover finds the metadata of an authorization server by the address of its issuer or of an API. It needs
// configure. An error about the address points to the field url.
func (s *Service) Discover(ctx context.Context, a access.Actor, address string) (oauth.Metadata, error) {
	if err := a.Require(access.PermissionConfigure); err != nil {
		return oauth.Metadata{}, err
	}
	m, err := s.server.Discover(ctx, address)
	if failed, ok := errors.AsType[*oauth.Error](err); ok && failed.Code == oauth.CodeClientConfig {
		return oauth.Metadata{}, fault.Field("INVALID_URL", "url", "This is not the address of a server. Begin it with https://.")
	}
	if err != nil {
		return oauth.Metadata{}, stepFailed(err)
	}
	return m, nil
}

// NewClient is a client to be registered at an authorization server.
type NewClient struct {
	// Server is the address that the server is discovered from.
	Server string
	// Connection has the provider and the slug that the redirect URI is made of.
	Connection connections.Connection
	// Grant is what the client is for.
	Grant  string
	Scopes []string
}

// RegisteredClient is a client that a server has made. Its secret is sealed for who registered it: a form can
// carry it without showing it.
type RegisteredClient struct {
	ID, AuthStyle string
	// Sealed is empty for a public client.
	Sealed   string
	Metadata oauth.Metadata
}

// Register makes a client at a server that offers it (RFC 7591), with our redirect URI. It needs configure, and
// is recorded in the audit log.
func (s *Service) Register(ctx context.Context, a access.Actor, n NewClient) (RegisteredClient, error) {
	m, err := s.Discover(ctx, a, n.Server)
	if err != nil {
		return RegisteredClient{}, err
	}
	if m.RegisterURL == "" {
		return RegisteredClient{}, fault.New(fault.Conflict, "NO_REGISTRATION", "The server does not register clients by itself. Register one there by hand, with the redirect URI.")
	}
	reg := oauth.Registration{Name: clientName, Scopes: n.Scopes, AuthStyle: registeredStyle(m)}
	switch n.Grant {
	case authtype.GrantAuthorizationCode:
		reg.RedirectURI, reg.Grants = s.RedirectURI(n.Connection), []string{"authorization_code", "refresh_token"}
	case authtype.GrantDeviceCode:
		reg.Grants = []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}
	case authtype.GrantClientCredentials:
		reg.Grants = []string{"client_credentials"}
	default:
		return RegisteredClient{}, fault.New(fault.Conflict, "NO_REGISTRATION", "A client for this kind of grant is registered with a key. Register it there by hand.")
	}
	made, err := s.registrar.Register(ctx, m.RegisterURL, reg)
	if err != nil {
		return RegisteredClient{}, stepFailed(err)
	}
	out := RegisteredClient{ID: made.ClientID, AuthStyle: made.AuthStyle, Metadata: m}
	if made.ClientSecret != "" {
		if out.Sealed, err = s.sealClient(a, made); err != nil {
			return RegisteredClient{}, err
		}
	}
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		return s.audit.Record(ctx, tx, audit.Entry{
			Actor: audit.Actor{Kind: a.Kind, ID: a.ID, Name: a.Name}, IP: a.IP, Action: actionClientRegister,
			Target:  audit.Target{Kind: "oauth_client", ID: made.ClientID, Name: made.ClientID + " at " + host(m.RegisterURL)},
			Details: map[string]string{"server": m.Issuer, "redirect_uri": reg.RedirectURI},
		})
	})
	if err != nil {
		return RegisteredClient{}, fmt.Errorf("connect: record the registration of a client: %w", err)
	}
	return out, nil
}

// registeredStyle is how a new client is to authenticate: with a secret where the server takes one.
func registeredStyle(m oauth.Metadata) string {
	for _, style := range []string{authtype.StyleBasic, authtype.StylePost} {
		if slices.Contains(m.AuthStyles, style) {
			return style
		}
	}
	return ""
}

// sealedClient is what is sealed of a client that was just registered.
type sealedClient struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// registrationAAD binds a sealed secret to who registered the client.
func registrationAAD(a access.Actor) credentials.AAD {
	return credentials.AAD{Table: "oauth_registrations", Row: a.Kind, Column: "sealed", Owner: a.ID, Version: 1}
}

func (s *Service) sealClient(a access.Actor, made oauth.Registered) (string, error) {
	plaintext, err := json.Marshal(sealedClient{ID: made.ClientID, Secret: made.ClientSecret}) //nolint:gosec // sealed right below.
	if err != nil {
		return "", fmt.Errorf("connect: encode a client: %w", err)
	}
	defer clear(plaintext)
	sealed, _, err := s.sealer.Seal(registrationAAD(a), plaintext)
	return sealed, err
}

// RegisteredSecret is the secret of a client that the same actor registered; false when sealed is not one of
// theirs, or that of another client. It must not be kept, shown or logged.
func (s *Service) RegisteredSecret(a access.Actor, clientID, sealed string) (string, bool) {
	plaintext, err := s.sealer.Open(registrationAAD(a), sealed)
	if err != nil {
		return "", false
	}
	defer clear(plaintext)
	var c sealedClient
	if json.Unmarshal(plaintext, &c) != nil || c.ID != clientID {
		return "", false
	}
	return c.Secret, true
}
