package app

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/config"
	"switchgear/internal/telemetry"
)

const (
	ownerEmail    = "owner@example.com"
	ownerPassword = "correct horse battery staple nine"
)

// process is a console that runs inside the test, on ports of its own.
type process struct {
	*App

	dir     string
	logs    *lockedBuffer
	notices *lockedBuffer
	cancel  context.CancelFunc
	ended   chan struct{} // closed when it has ended, with err
	err     error
	told    bool // that it ended with err
}

// start runs a console on a new data directory; settings are SWITCHGEAR_ names without the prefix.
func start(tb testing.TB, settings map[string]string) *process {
	tb.Helper()
	return startIn(tb, tb.TempDir(), settings)
}

func startIn(tb testing.TB, dir string, settings map[string]string) *process {
	tb.Helper()
	return startWith(tb, dir, settings, func(*App) error { return nil })
}

// startWith prepares the console before it runs.
func startWith(tb testing.TB, dir string, settings map[string]string, prepare func(a *App) error) *process {
	tb.Helper()
	p := &process{dir: dir, logs: &lockedBuffer{}, notices: &lockedBuffer{}, ended: make(chan struct{})}
	environ := map[string]string{
		"SWITCHGEAR_ADDR": "127.0.0.1:0", "SWITCHGEAR_DATA": filepath.Join(dir, "data"), "SWITCHGEAR_LOG_LEVEL": "debug",
	}
	for name, value := range settings {
		environ["SWITCHGEAR_"+name] = value
	}
	cfg, err := config.Load(environ, nil)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	p.cancel = cancel
	p.App, err = New(ctx, Deps{Config: cfg, Logger: telemetry.NewLogger(p.logs, cfg.LogLevel), Notices: p.notices})
	if err != nil {
		cancel()
		tb.Fatal(err)
	}
	if err := prepare(p.App); err != nil {
		cancel()
		tb.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.Run(ctx)
	}()
	tb.Cleanup(func() { p.stop(tb) })
	return p
}

// stop ends the console and waits; it may be called more than once.
func (p *process) stop(tb testing.TB) {
	tb.Helper()
	p.cancel()
	<-p.ended
	if p.err != nil && !p.told {
		p.told = true
		tb.Errorf("stop: %v", p.err)
	}
}

func (p *process) url(path string) string { return "http://" + p.Addr() + path }

// setupLink waits for the link that the console prints.
func (p *process) setupLink(tb testing.TB) string {
	tb.Helper()
	link := regexp.MustCompile(`http://\S+/setup\?token=\S+`)
	return p.waitFor(tb, p.notices, func(text string) string { return link.FindString(text) })
}

// browser keeps cookies and follows redirects, as a browser does.
type browser struct {
	t      testing.TB
	client *http.Client
	base   string
}

func (p *process) browser(tb testing.TB) *browser {
	tb.Helper()
	return newBrowser(tb, "http://"+p.Addr())
}

func newBrowser(tb testing.TB, base string) *browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &browser{t: tb, client: &http.Client{Jar: jar}, base: base}
}

// page is what a browser got.
type page struct {
	status int
	header http.Header
	body   string
	path   string
}

func (b *browser) do(method, target, contentType string, body io.Reader, header ...string) page {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.base + target
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header, string(text), resp.Request.URL.RequestURI()}
}

func (b *browser) get(target string, header ...string) page {
	b.t.Helper()
	return b.do(http.MethodGet, target, "", nil, header...)
}

// post sends a form the way a page of ours would.
func (b *browser) post(target string, form url.Values, header ...string) page {
	b.t.Helper()
	header = append([]string{"Origin", b.base, "Sec-Fetch-Site", "same-origin"}, header...)
	return b.do(http.MethodPost, target, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), header...)
}

// owner sets the console up and returns the signed-in browser of its owner.
func (p *process) owner(tb testing.TB) *browser {
	tb.Helper()
	link, err := url.Parse(p.setupLink(tb))
	if err != nil {
		tb.Fatal(err)
	}
	b := p.browser(tb)
	b.setUp(link.Query().Get("token"))
	return b
}

// setUp makes the owner, and stays signed in as them.
func (b *browser) setUp(token string) {
	b.t.Helper()
	got := b.post("/setup", url.Values{
		"token": {token}, "email": {ownerEmail}, "name": {"Olive Owner"},
		"password": {ownerPassword}, "repeat": {ownerPassword}, "key_saved": {"yes"},
	})
	if got.status != http.StatusOK || got.path != "/" {
		b.t.Fatalf("set-up ended at %s with %d:\n%s", got.path, got.status, got.body)
	}
}

// lockedBuffer is a buffer that many goroutines write and a test reads.
type lockedBuffer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// read returns what was written, and a channel that is closed when there is more.
func (b *lockedBuffer) read() (text string, more <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.buf.String(), b.changed
}

// waitFor returns what find finds in what the console wrote, waiting for more as long as the console lives.
func (p *process) waitFor(tb testing.TB, written *lockedBuffer, find func(text string) string) string {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for ended := false; ; {
		text, more := written.read()
		if found := find(text); found != "" {
			return found
		}
		if ended {
			tb.Fatalf("it never appears in:\n%s", text)
		}
		select {
		case <-more:
		case <-p.ended:
			ended = true // What it wrote at last counts.
		case <-deadline.C:
			ended = true
		}
	}
}

// patience bounds every wait for something that happens by itself. It is long because it matters only when
// something is broken: a busy machine takes its time.
const patience = 2 * time.Minute

// poll waits until it is so, and reports whether it was in time.
func poll(ctx context.Context, done func() bool) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		if done() {
			return true
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// admin may do everything.
func admin() access.Actor { return access.CommandLine("root") }

// waitFor loads a page until it has the status: what is stored asynchronously appears a moment later.
func (b *browser) waitFor(target string, status int) page { //nolint:unparam // The call says what it waits for.
	b.t.Helper()
	return b.waitUntil(target, func(got page) bool { return got.status == status })
}

// waitForText loads a page until it holds the text.
func (b *browser) waitForText(target, text string) {
	b.t.Helper()
	b.waitUntil(target, func(got page) bool { return strings.Contains(got.body, text) })
}

func (b *browser) waitUntil(target string, done func(page) bool) page {
	b.t.Helper()
	var got page
	if !poll(b.t.Context(), func() bool {
		got = b.get(target)
		return done(got)
	}) {
		b.t.Fatalf("%s never shows what it should, but %d:\n%s", target, got.status, got.body)
	}
	return got
}
