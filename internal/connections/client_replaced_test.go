package connections

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials"
)

// The history tells another client, or another secret of it, from other changes of an OAuth account.
func TestReplacedClientIsInTheHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fields := map[string]string{
		"authorize_url": "https://as.example.com/a", "token_url": "https://as.example.com/t", "client_id": "app", "client_secret": "first", "scopes": "read",
	}
	d := draft("sheets")
	d.Auth = Auth{Type: "oauth2_authorization_code", Fields: fields}
	must(t, only(w.Create(t.Context(), admin(), d, "")))
	put := func(account, key, value, reason string) {
		t.Helper()
		must(t, only(w.PutAccount(t.Context(), admin(), "sheets", account, Auth{Fields: map[string]string{key: value}}, reason)))
	}
	put("default", "scopes", "read write", "more scopes")
	put("default", "client_secret", "second", "it leaked")
	put("default", "client_id", "other", "another app")
	w.update("sheets", func(d *Draft) { d.Auth.Fields = map[string]string{"client_secret": "third"} })
	put("acme", "client_secret", "own", "of its own")
	put("acme", "client_secret", "own again", "changed")
	events, _, err := w.History(t.Context(), admin(), "sheets", "", 0, 50)
	must(t, err)
	got := make([]string, 0, len(events))
	for _, e := range events {
		got = append(got, e.Account+" "+e.Kind+" "+e.Detail)
	}
	const replaced, stored = credentials.EventClientReplaced, credentials.EventStored
	want := []string{
		"acme " + replaced + " changed", "acme " + stored + " of its own", "default " + replaced + " ", "default " + replaced + " another app",
		"default " + replaced + " it leaked", "default " + stored + " more scopes", "default " + stored + " ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
