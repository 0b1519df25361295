package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/access"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/fault"
)

// authorizationServers knows one of them.
type authorizationServers struct{}

// Discover implements discovery.
func (authorizationServers) Discover(_ context.Context, a access.Actor, address string) (oauth.Metadata, error) {
	switch err := a.Require(access.PermissionConfigure); {
	case err != nil:
		return oauth.Metadata{}, err
	case address == "":
		return oauth.Metadata{}, fault.Field("INVALID_URL", "url", "This is not the address of a server.")
	case address != "https://as.example":
		return oauth.Metadata{}, fault.New(fault.BadGateway, "OAUTH_FAILED", "There is no metadata.")
	}
	return oauth.Metadata{Issuer: address, TokenURL: address + "/token", AuthStyles: []string{"basic"}, NamesItself: true, Source: address + "/x"}, nil
}

func TestOAuthDiscovery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/api/v1/oauth/discover"
	got := w.send(http.MethodPost, path, w.write, `{"url":"https://as.example"}`)
	var is OAuthMetadata
	got.decode(t, &is)
	want := OAuthMetadata{
		Issuer: "https://as.example", TokenURL: "https://as.example/token", AuthStyles: []string{"basic"}, Grants: []string{}, Scopes: []string{},
		NamesItself: true, Source: "https://as.example/x",
	}
	if diff := cmp.Diff(want, is); diff != "" || got.status != http.StatusOK || strings.Contains(got.body, "authorize_url") {
		t.Errorf("%d (-want +got):\n%s", got.status, diff)
	}
	for name, tt := range map[string]struct {
		key, body string
		status    int
		code      string
	}{
		"no metadata":       {w.write, `{"url":"https://other.example"}`, 502, "OAUTH_FAILED"},
		"no address":        {w.write, `{"url":""}`, 400, "INVALID_URL"},
		"no field":          {w.write, `{"address":"https://as.example"}`, 400, ""},
		"no right to write": {w.read, `{"url":"https://as.example"}`, 403, "FORBIDDEN"},
	} {
		got := w.send(http.MethodPost, path, tt.key, tt.body)
		if e := got.failure(t); got.status != tt.status || tt.code != "" && e.Code != tt.code {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}
