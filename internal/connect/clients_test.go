package connect

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/audit"
	"switchgear/internal/connections"
	"switchgear/internal/credentials/authtype"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

const newSecret = "canary-registered-secret"

// Register implements Registrar.
func (w *world) Register(_ context.Context, endpoint string, reg oauth.Registration) (oauth.Registered, error) {
	w.registered = append(w.registered, reg)
	if endpoint != issuer+"/register" {
		return oauth.Registered{}, &oauth.Error{Step: oauth.StepRegister, Code: oauth.CodeUnreachable}
	}
	made := oauth.Registered{ClientID: "made", AuthStyle: reg.AuthStyle}
	if reg.AuthStyle != "" {
		made.ClientSecret = newSecret
	}
	return made, nil
}

func TestDiscover(t *testing.T) {
	w := newWorld(t)
	w.metadata = oauth.Metadata{Issuer: issuer, TokenURL: issuer + "/token"}
	if m, err := w.Service.Discover(t.Context(), admin(), issuer); err != nil || m.TokenURL != issuer+"/token" {
		t.Errorf("%+v, %v", m, err)
	}
	w.unreachable = &oauth.Error{Step: oauth.StepDiscovery, Code: oauth.CodeClientConfig}
	if _, err := w.Service.Discover(t.Context(), admin(), "x"); fault.CodeOf(err) != "INVALID_URL" {
		t.Errorf("no address: %v", err)
	}
	w.unreachable = &oauth.Error{Step: oauth.StepDiscovery, Code: oauth.CodeBadAnswer, Status: 404}
	if _, err := w.Service.Discover(t.Context(), admin(), issuer); !fault.Is(err, fault.BadGateway) || !strings.Contains(fault.PublicMessage(err), "no metadata") {
		t.Errorf("no server: %v", err)
	}
	if _, err := w.Service.Discover(t.Context(), access.Actor{Kind: access.KindUser, ID: "usr_2", Role: access.RoleViewer}, issuer); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a viewer: %v", err)
	}
}

// A client is registered for what it is used for, its secret opens for who made it and for that client only,
// and the audit log says so without it.
func TestRegister(t *testing.T) {
	generic := connections.Connection{Provider: "generic-oauth2", Slug: "acme"}
	const redirect = "https://console.example.com/oauth/callback/connection-acme"
	for name, tt := range map[string]struct {
		grant  string
		styles []string
		want   oauth.Registration
		code   string
	}{
		"browser": {
			grant: authtype.GrantAuthorizationCode, styles: []string{authtype.StylePost, authtype.StyleBasic},
			want: oauth.Registration{Name: clientName, RedirectURI: redirect, Scopes: []string{"read"}, AuthStyle: authtype.StyleBasic, Grants: []string{"authorization_code", "refresh_token"}},
		},
		"browser, public": {
			grant: authtype.GrantAuthorizationCode, styles: []string{authtype.StylePrivateKeyJWT},
			want: oauth.Registration{Name: clientName, RedirectURI: redirect, Scopes: []string{"read"}, Grants: []string{"authorization_code", "refresh_token"}},
		},
		"device": {
			grant: authtype.GrantDeviceCode, styles: []string{authtype.StylePost},
			want: oauth.Registration{Name: clientName, Scopes: []string{"read"}, AuthStyle: authtype.StylePost, Grants: []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}},
		},
		"no person": {
			grant: authtype.GrantClientCredentials, styles: []string{authtype.StyleBasic},
			want: oauth.Registration{Name: clientName, Scopes: []string{"read"}, AuthStyle: authtype.StyleBasic, Grants: []string{"client_credentials"}},
		},
		"a key":   {grant: authtype.GrantJWTBearer, code: "NO_REGISTRATION"},
		"nothing": {grant: "", code: "NO_REGISTRATION"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.metadata = oauth.Metadata{Issuer: issuer, RegisterURL: issuer + "/register", AuthStyles: tt.styles}
			made, err := w.Service.Register(t.Context(), admin(), NewClient{Server: issuer, Connection: generic, Grant: tt.grant, Scopes: []string{"read"}})
			if tt.code != "" {
				if fault.CodeOf(err) != tt.code || len(w.registered) != 0 {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]oauth.Registration{tt.want}, w.registered); diff != "" {
				t.Errorf("registered (-want +got):\n%s", diff)
			}
			if made.ID != "made" || strings.Contains(made.Sealed, newSecret) || (made.Sealed == "") != (tt.want.AuthStyle == "") {
				t.Errorf("%+v", made)
			}
			if made.Sealed != "" {
				w.opensOnlyForItsMaker(made)
			}
			page, err := w.log.Search(t.Context(), audit.Query{Action: actionClientRegister, Page: 1, Limit: 10})
			if err != nil || len(page.Entries) != 1 || page.Entries[0].Target.ID != "made" || page.Entries[0].Actor.ID != "usr_1" {
				t.Errorf("audit: %+v, %v", page, err)
			}
			for _, text := range page.Entries[0].Details {
				if strings.Contains(text, newSecret) {
					t.Error("the audit log holds the secret")
				}
			}
		})
	}
}

func (w *world) opensOnlyForItsMaker(made RegisteredClient) {
	w.t.Helper()
	other := admin()
	other.ID = "usr_2"
	for name, try := range map[string]struct {
		actor  access.Actor
		id     string
		sealed string
		ok     bool
	}{
		"its maker":         {admin(), "made", made.Sealed, true},
		"somebody else":     {other, "made", made.Sealed, false},
		"another client":    {admin(), "other", made.Sealed, false},
		"something else":    {admin(), "made", "x", false},
		"nothing":           {admin(), "made", "", false},
		"a changed version": {admin(), "made", made.Sealed[:len(made.Sealed)-2] + "AA", false},
	} {
		if secret, ok := w.RegisteredSecret(try.actor, try.id, try.sealed); ok != try.ok || ok && secret != newSecret || !ok && secret != "" {
			w.t.Errorf("%s: opens %t", name, ok)
		}
	}
}

// Nothing is registered where it is not offered, or by who may not configure.
func TestRegisterIsRefused(t *testing.T) {
	w := newWorld(t)
	w.t = t
	ask := NewClient{Server: issuer, Connection: connections.Connection{Provider: "github"}, Grant: authtype.GrantAuthorizationCode}
	w.metadata = oauth.Metadata{Issuer: issuer}
	if _, err := w.Service.Register(t.Context(), admin(), ask); fault.CodeOf(err) != "NO_REGISTRATION" {
		t.Errorf("not offered: %v", err)
	}
	w.metadata.RegisterURL = issuer + "/register"
	if _, err := w.Service.Register(t.Context(), access.Actor{Kind: access.KindUser, Role: access.RoleViewer}, ask); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a viewer: %v", err)
	}
	if len(w.registered) != 0 {
		t.Errorf("registered %v", w.registered)
	}
	w.metadata.RegisterURL = issuer + "/elsewhere"
	if _, err := w.Service.Register(t.Context(), admin(), ask); fault.CodeOf(err) != "OAUTH_FAILED" {
		t.Errorf("refused there: %v", err)
	}
}
