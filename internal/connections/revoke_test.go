package connections

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/nettest"
)

// Deleting an account or its connection ends its tokens at the service, and a service that does not answer keeps
// nothing from being deleted.
func TestDeletionRevokesAtTheService(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		down bool
		do   func(n *node) (Revoked, error)
		want Revoked
		kind []string
	}{
		"the account":            {false, func(n *node) (Revoked, error) { return n.DeleteAccount(t.Context(), admin(), "api", "default", "") }, Revoked{Done: 1}, []string{credentials.EventRevoked, credentials.EventDeleted}},
		"the connection":         {false, func(n *node) (Revoked, error) { return n.Delete(t.Context(), admin(), "api", "api", "", 0) }, Revoked{Done: 1}, []string{credentials.EventRevoked, credentials.EventDeleted}},
		"only the tokens":        {false, func(n *node) (Revoked, error) { return n.RevokeAccount(t.Context(), admin(), "api", "default", "left") }, Revoked{Done: 1}, []string{credentials.EventRevoked}},
		"a service that is down": {true, func(n *node) (Revoked, error) { return n.DeleteAccount(t.Context(), admin(), "api", "default", "") }, Revoked{Failed: 1, Code: "unreachable"}, []string{credentials.EventNotRevoked, credentials.EventDeleted}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newTokenServer(t), t.TempDir()
			s.prepare(dir, true)
			n := s.reopen(dir, 0)
			target, err := n.Target("api", "")
			must(t, err)
			r := httptest.NewRequest(http.MethodGet, s.URL+"/me/items", nil)
			must(t, target.Authorize(t.Context(), r))
			if c.down {
				nettest.Silence(t, s.Server)
			}
			got, err := c.do(n)
			must(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			events, _, err := n.vault.History(t.Context(), target.ConnectionID, "default", 0, len(c.kind))
			must(t, err)
			kinds := make([]string, len(events))
			for i, e := range events {
				kinds[i] = e.Kind
			}
			if diff := cmp.Diff(c.kind, kinds); diff != "" {
				t.Error(diff)
			}
			if _, err := n.Target("api", ""); err == nil || fault.CodeOf(err) == "" {
				t.Errorf("it can still be called: %v", err)
			}
			if c.down {
				return
			}
			r.RequestURI = ""
			resp, err := http.DefaultClient.Do(r)
			must(t, err)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("the service answers %d to the old token", resp.StatusCode)
			}
		})
	}
}
