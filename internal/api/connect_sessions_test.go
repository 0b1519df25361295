package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"switchgear/internal/access"
	"switchgear/internal/connect"
	"switchgear/internal/fault"
)

// noServer and noRegistrar are never asked in these tests; noTeller knows one channel.
type (
	noServer    struct{ connect.Server }
	noRegistrar struct{ connect.Registrar }
	noTeller    struct{}
)

func (noTeller) Check(_ context.Context, _ access.Actor, id string) error {
	if id != "ach_1" {
		return fault.Field("CHANNEL_NOT_FOUND", "channel", "There is no such channel.")
	}
	return nil
}

func (noTeller) Ended(context.Context, connect.Session) error { return nil }

func TestConnectSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create("github")
	const path = "/api/v1/connect_sessions"
	for body, code := range map[string]string{
		`{"connection":"none"}`:                                                "CONNECTION_NOT_FOUND",
		`{"connection":"github","account":"Not A Name"}`:                       "INVALID_ACCOUNT",
		`{"connection":"github","expires_in":"soon"}`:                          "INVALID_LIFE",
		`{"connection":"github","expires_in":"1s"}`:                            "INVALID_LIFE",
		`{"connection":"github","expires_in":"1000h"}`:                         "INVALID_LIFE",
		`{"connection":"github","return_url":"http://evil.example.com/"}`:      "INVALID_RETURN_URL",
		`{"connection":"github","return_url":"javascript:alert(1)"}`:           "INVALID_RETURN_URL",
		`{"connection":"github","return_url":"https://app.example.com:0/"}`:    "INVALID_RETURN_URL",
		`{"connection":"github","return_url":"https://user@app.example.com/"}`: "INVALID_RETURN_URL",
		`{"connection":"github","label":"two\nlines"}`:                         "INVALID_LABEL",
		`{"connection":"github","scopes":["re\"ad"]}`:                          "INVALID_SCOPE",
		`{"connection":"github","channel":"ach_9"}`:                            "CHANNEL_NOT_FOUND",
	} {
		if got := w.do(http.MethodPost, path, body); got.failure(t).Code != code {
			t.Errorf("%s: %s, want %s", body, got.body, code)
		}
	}
	if got := w.send(http.MethodPost, path, w.read, `{"connection":"github"}`); got.status != http.StatusForbidden {
		t.Errorf("made with a key that may read: %d", got.status)
	}
	var made ConnectSessionMade
	w.do(http.MethodPost, path, `{"connection":"github","account":"acme","label":"For Acme","return_url":"https://app.example.com/done?x=1","channel":"ach_1","expires_in":"30m"}`).decode(t, &made)
	if made.Status != "pending" || !strings.HasPrefix(made.URL, "https://console.example.com/connect/") || len(made.URL) < 70 {
		t.Fatalf("%+v", made)
	}
	var newer ConnectSessionMade
	w.do(http.MethodPost, path, `{"connection":"github","account":"acme"}`).decode(t, &newer)
	if len(made.Older) != 0 || len(newer.Older) != 1 || newer.Older[0] != made.ID {
		t.Errorf("older links: %v, then %v", made.Older, newer.Older)
	}
	if got := w.do(http.MethodDelete, path+"/"+newer.ID, ""); got.status != http.StatusNoContent {
		t.Errorf("the newer one is withdrawn: %d", got.status)
	}
	got := w.get(path + "/" + made.ID)
	token := made.URL[strings.LastIndex(made.URL, "/")+1:]
	if got.status != http.StatusOK || strings.Contains(got.body, token) || !strings.Contains(got.body, "For Acme") {
		t.Errorf("read: %d %s", got.status, got.body)
	}
	var list struct{ Data []ConnectSession }
	w.get(path+"?filter[connection]=github").decode(t, &list)
	if len(list.Data) != 2 || list.Data[1].ID != made.ID {
		t.Errorf("list: %+v", list)
	}
	if got := w.do(http.MethodDelete, path+"/"+made.ID, ""); got.status != http.StatusNoContent {
		t.Errorf("withdrawn: %d %s", got.status, got.body)
	}
	var after ConnectSession
	w.get(path+"/"+made.ID).decode(t, &after)
	if after.Status != "revoked" {
		t.Errorf("afterwards: %+v", after)
	}
	if got := w.get(path + "/cns_none"); got.status != http.StatusNotFound {
		t.Errorf("one that is not there: %d", got.status)
	}
}
