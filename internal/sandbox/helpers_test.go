package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/internal/telemetry"
)

const controlToken = "control-token"

// clock is a time that only moves when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// provider is a sandbox on a server of its own.
type provider struct {
	*Sandbox

	t      *testing.T
	server *httptest.Server
	client *http.Client
	clock  *clock
}

func serve(t *testing.T, cfg Config) *provider {
	t.Helper()
	p := &provider{t: t, clock: newClock(), client: &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	cfg.ControlToken = controlToken
	p.Sandbox = open(t, cfg, p.clock.Now)
	p.server = httptest.NewServer(p.Sandbox)
	t.Cleanup(func() {
		p.Close()
		p.client.CloseIdleConnections()
		p.server.Close()
	})
	return p
}

func open(t *testing.T, cfg Config, now func() time.Time) *Sandbox {
	t.Helper()
	s, err := New(Deps{Logger: telemetry.Discard(), Now: now}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// try sends a request; the error is that of the connection or of the body.
func (p *provider) try(method, path, body string, header ...string) (reply, error) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

func (p *provider) do(method, path, body string, header ...string) reply {
	p.t.Helper()
	got, err := p.try(method, path, body, header...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (p *provider) get(path string, header ...string) reply {
	p.t.Helper()
	return p.do(http.MethodGet, path, "", header...)
}

func (p *provider) form(path string, values url.Values, header ...string) reply {
	p.t.Helper()
	return p.do(http.MethodPost, path, values.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

func (p *provider) control(method, path, body string) reply {
	p.t.Helper()
	return p.do(method, "/_control/"+path, body, "Authorization", "Bearer "+controlToken)
}

// object reads the body as a JSON object.
func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal([]byte(r.body), &out); err != nil {
		t.Fatalf("%d %q: %v", r.status, r.body, err)
	}
	return out
}

func (r reply) text(t *testing.T, name string) string {
	t.Helper()
	text, ok := r.object(t)[name].(string)
	if !ok {
		t.Fatalf("%d %q has no text %s", r.status, r.body, name)
	}
	return text
}

func shop(paging string) API {
	return API{Prefix: "/shop", Paging: paging, Collections: map[string]int{"orders": 45}}
}
