package connections

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/credentials"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// A token endpoint that does not answer holds up the account that needs it, and no other of its connection.
// Its calls end with their own time; what they wait for goes on, and the account is as it was.
func TestSlowTokenEndpointHoldsUpOneAccount(t *testing.T) {
	t.Parallel()
	s, dir := newTokenServer(t), t.TempDir()
	var slow atomic.Bool
	reached, answer := make(chan struct{}, 1), make(chan struct{})
	pretend := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" && slow.Load() {
			reached <- struct{}{}
			<-answer
		}
		pretend.ServeHTTP(w, r)
	})
	s.prepare(dir, false)
	n := s.reopen(dir, 0)
	_, err := n.ConnectAccount(t.Context(), admin(), "api", "fresh", Consented{Token: s.consent(), Event: credentials.EventConnected})
	must(t, err)
	slow.Store(true)

	proxy := runtime.NewProxy(runtime.ProxyDeps{
		Logger: telemetry.Discard(), Now: time.Now, Recorder: forgetful{}, Protections: n.protections,
	}, runtime.ProxyConfig{})
	call := func(account string, within time.Duration) (int, runtime.Record) {
		target, err := n.Target("api", account)
		if err != nil {
			t.Error(err)
			return 0, runtime.Record{}
		}
		target.Policy.Timeout = runtime.Duration(within)
		w, watch := httptest.NewRecorder(), runtime.Watch{}
		r := httptest.NewRequestWithContext(runtime.WithCaller(t.Context(), runtime.Caller{Watch: &watch}), http.MethodGet, "/me/items", nil)
		_ = proxy.Serve(w, r, target, "me/items") // It is in the record.
		return w.Code, watch.Record
	}
	const places = 25
	waiting := make(chan int, places)
	for range places {
		go func() {
			_, rec := call("default", time.Minute)
			waiting <- rec.Status
		}()
	}
	<-reached
	if _, rec := call("default", 2*time.Second); rec.Status != http.StatusGatewayTimeout || rec.ErrorCode != runtime.CodeCredentialTimeout {
		t.Errorf("the account whose token is late was answered %d %s", rec.Status, rec.ErrorCode)
	}
	if status, rec := call("fresh", 20*time.Second); status != http.StatusOK {
		t.Errorf("another account was answered %d %s", rec.Status, rec.ErrorCode)
	}
	accounts, err := n.Accounts(t.Context(), access.System(), "api")
	must(t, err)
	for _, a := range accounts {
		if a.State != credentials.StateActive || a.Token.Failures != 0 {
			t.Errorf("%s is %s after %d failures", a.Account, a.State, a.Token.Failures)
		}
	}
	close(answer)
	for range places {
		if status := <-waiting; status != http.StatusOK {
			t.Errorf("a call that waited was answered %d", status)
		}
	}
	if s.asked.Load() != 1 {
		t.Errorf("%d renewals", s.asked.Load())
	}
}
