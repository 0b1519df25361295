package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-github/v77/github"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/sandbox"
	"switchgear/internal/telemetry"
)

// GitHub's client for Go, as its users make it, reads every page of an API behind OAuth with only its URL and its
// key changed: the token is ours to get.
func TestGitHubClientThroughTheGateway(t *testing.T) {
	t.Parallel()
	const things, secret = 45, "canary-oauth-secret"
	box, err := sandbox.New(sandbox.Deps{Logger: telemetry.Discard(), Now: time.Now}, sandbox.Config{
		APIs:  []sandbox.API{{Prefix: "/api", Auth: sandbox.Auth{Kind: sandbox.AuthOAuth, Scope: "read"}, Paging: sandbox.PagingLink, Collections: map[string]int{"notifications": things}}},
		OAuth: sandbox.OAuth{Clients: []sandbox.Client{{ID: "app", Secret: telemetry.NewSecret(secret)}}, Scopes: []string{"read"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(box)
	t.Cleanup(func() { box.Close(); server.Close() })
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, map[string]string{"EGRESS_ALLOW": "127.0.0.1=127.0.0.0/8:" + at.Port()})
	_, err = p.core.connections.Create(t.Context(), access.System(), connections.Draft{
		Name: "GitHub", Slug: "github", Provider: "generic-oauth2", BaseURL: server.URL + "/api",
		Auth: connections.Auth{Type: "oauth2_client_credentials", Fields: map[string]string{
			"token_url": server.URL + "/oauth/token", "client_id": "app", "client_secret": secret, "scopes": "read",
		}},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := Administer(t.Context(), p.cfg, telemetry.Discard(), CreateKey(), KeyCreate{Name: "shop", Scopes: []string{"call:github"}})
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(p.url("/proxy/github/"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(key string) *github.Client {
		c := github.NewClient(nil).WithAuthToken(key)
		c.BaseURL = base
		return c
	}
	client := with(key.Key)
	seen, pages := map[string]bool{}, 0
	query := &github.NotificationListOptions{ListOptions: github.ListOptions{PerPage: 20}}
	for {
		found, answer, err := client.Activity.ListNotifications(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, n := range found {
			seen[n.GetID()] = true
		}
		if answer.NextPage == 0 {
			break
		}
		query.Page = answer.NextPage
	}
	if len(seen) != things || pages != 3 || !seen["notification_000045"] {
		t.Errorf("%d records on %d pages", len(seen), pages)
	}
	if asked := box.Received(sandbox.ReceivedQuery{Path: "/oauth/token"}); len(asked) != 1 {
		t.Errorf("%d tokens for %d calls", len(asked), pages)
	}
	// Its errors are the upstream's; ours can be told from them.
	_, _, err = client.Activity.GetThread(t.Context(), "none")
	if refused, ok := errors.AsType[*github.ErrorResponse](err); !ok || refused.Response.StatusCode != http.StatusNotFound || refused.Response.Header.Get("Switchgear-Error") != "" {
		t.Errorf("a thread that is not there: %v", err)
	}
	_, _, err = with("sg_wrong").Activity.ListNotifications(t.Context(), nil)
	if refused, ok := errors.AsType[*github.ErrorResponse](err); !ok || refused.Response.StatusCode != http.StatusUnauthorized || refused.Response.Header.Get("Switchgear-Error") != "INVALID_API_KEY" {
		t.Errorf("with a wrong key: %v", err)
	}
}
