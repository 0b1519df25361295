package runtime_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// answering is a transport that always answers with a status.
type answering int

func (s answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(s), Header: http.Header{}, Body: http.NoBody}, nil
}

// lines makes three calls (one that succeeds, one that the upstream fails, one that is refused here) and
// returns what the log says of them.
func lines(t *testing.T, choice runtime.Lines, level slog.Level) []map[string]any {
	t.Helper()
	var log strings.Builder
	proxy := runtime.NewProxy(runtime.ProxyDeps{
		Logger: telemetry.NewLogger(&log, level), Now: time.Now, Recorder: noRecords{}, Protections: idleProtections(t),
	}, runtime.ProxyConfig{Lines: choice})
	policy := runtime.DefaultPolicy()
	policy.Retry.MaxAttempts = 1
	policy.Operations = []runtime.Operation{{ID: "charges.list", Method: http.MethodGet, Path: "/charges"}}
	operations, err := policy.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	for i, method := range []string{http.MethodGet, http.MethodGet, http.MethodTrace} {
		target := runtime.Target{
			ConnectionID: "con_1", Slug: "up", Account: "default", BaseURL: &url.URL{Scheme: "https", Host: "up.test"},
			Policy: policy, Operations: operations, Transport: answering([]int{200, 500, 200}[i]),
		}
		ctx := telemetry.WithRequestID(t.Context(), "req_"+string(rune('a'+i)))
		r := httptest.NewRequestWithContext(ctx, method, "/charges", nil)
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		_ = proxy.Serve(httptest.NewRecorder(), r, target, "charges") // The log tells.
	}
	var out []map[string]any
	for decoder := json.NewDecoder(strings.NewReader(log.String())); ; {
		var line map[string]any
		if err := decoder.Decode(&line); err == io.EOF {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		if line["msg"] == "call" {
			out = append(out, line)
		}
	}
}

func TestLinesOfCalls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		choice runtime.Lines
		level  slog.Level
		want   string
	}{
		"all":                       {runtime.LinesAll, slog.LevelInfo, "success INFO, server_error INFO, rejected_local INFO"},
		"failures":                  {runtime.LinesFailures, slog.LevelInfo, "server_error INFO, rejected_local INFO"},
		"nobody says":               {"", slog.LevelInfo, "server_error INFO, rejected_local INFO"},
		"failures, and those below": {runtime.LinesFailures, slog.LevelDebug, "success DEBUG, server_error INFO, rejected_local INFO"},
		"off":                       {runtime.LinesOff, slog.LevelDebug, ""},
		"all, but the level":        {runtime.LinesAll, slog.LevelWarn, ""},
	} {
		logged := lines(t, c.choice, c.level)
		got := make([]string, len(logged))
		for i, line := range logged {
			got[i] = fmt.Sprint(line["outcome"], " ", line["level"])
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestLineOfACall(t *testing.T) {
	t.Parallel()
	got := lines(t, runtime.LinesAll, slog.LevelInfo)[0]
	delete(got, "time")
	delete(got, "duration_ms")
	want := map[string]any{
		"level": "INFO", "msg": "call", "integration": "up", "operation": "charges.list", "account": "default", "method": "GET",
		"outcome": "success", "status": 200.0, "attempts": 1.0, "request_id": "req_a",
		"trace_id": "0af7651916cd43dd8448eb211c80319c", "error_code": "", "error": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}
