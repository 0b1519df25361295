package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5/middleware"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// failing is a connection whose calls end with an error.
type failing struct{ err error }

func (failing) Target(string, string) (runtime.Target, error) { return runtime.Target{}, nil }

func (failing) Refused(*http.Request, runtime.Target, string, error) {}

func (f failing) Serve(http.ResponseWriter, *http.Request, runtime.Target, string) error {
	return f.err
}

// What an upstream or a protection says is in the call log; the log of the process is for failures of ours.
func TestGatewayLogsItsOwnFailuresOnly(t *testing.T) {
	t.Parallel()
	for code, err := range map[string]error{
		"BREAKER_OPEN":     fault.New(fault.Unavailable, "BREAKER_OPEN", "It is open."),
		"UPSTREAM_TIMEOUT": fault.New(fault.Timeout, "UPSTREAM_TIMEOUT", "No answer."),
		"INTERNAL":         fault.New(fault.Internal, "", "a bug"),
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			logs := &lockedBuffer{}
			r := newRouter(telemetry.Discard())
			mountGateway(r, Deps{
				Keys:    keyRing{"caller": {Name: "caller", Scopes: []access.Scope{"call:*"}}},
				Targets: failing{}, Proxy: failing{err}, Logger: slog.New(slog.NewJSONHandler(logs, nil)),
			})
			s := httptest.NewServer(telemetry.AssignRequestID(middleware.ClientIPFromRemoteAddr(r)))
			defer s.Close()
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/proxy/up/x", nil)
			req.Header.Set("X-API-Key", "caller")
			resp, failed := s.Client().Do(req)
			must(t, failed)
			_ = resp.Body.Close()
			if resp.StatusCode != fault.KindOf(err).Status() || strings.Contains(logs.String(), "request failed") != (code == "INTERNAL") {
				t.Errorf("%d, log %q", resp.StatusCode, logs)
			}
		})
	}
}

// A fallback opens nothing that is closed to an application: its key has to allow both connections.
func TestAlternatesNeedTheScope(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scopes []access.Scope
		want   bool
	}{
		"the first alone": {[]access.Scope{"call:up"}, false},
		"both":            {[]access.Scope{"call:up", "call:backup"}, true},
		"all":             {[]access.Scope{"call:*"}, true},
	} {
		_, err := alternates(failing{}, access.Key{Name: "caller", Scopes: c.scopes})("backup", "default")
		if (err == nil) != c.want || err != nil && !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
