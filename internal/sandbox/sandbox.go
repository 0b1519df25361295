package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"switchgear/internal/fault"
)

const (
	defaultReceived = 1000
	// maxBody bounds what of a request is read; a longer one is answered 413.
	maxBody = 8 << 20
)

// Deps are what a Sandbox works with; all are required.
type Deps struct {
	Logger *slog.Logger
	// Now is the clock of tokens, limits and signatures.
	Now func() time.Time
}

// Config says what the sandbox pretends to be. The zero value is a provider without any API or client.
type Config struct {
	APIs  []API
	OAuth OAuth
	// Scripts are in force from the start, and again after a reset.
	Scripts []Script
	// MaxReceived is how many requests are remembered. 0 = 1000.
	MaxReceived int
	// ControlToken opens the control API. Empty: there is none.
	ControlToken string
	// AllowTarget opens addresses beyond loopback to webhooks. nil opens none.
	AllowTarget func(netip.AddrPort) bool
}

// Sandbox is one pretend provider. It is safe for concurrent use.
type Sandbox struct {
	cfg    Config
	logger *slog.Logger
	now    func() time.Time
	sender *http.Client

	mu       sync.Mutex // guards what follows
	scripts  []*running
	received received
	apis     []*apiState
	oauth    *oauthState

	closed    chan struct{}
	closeOnce sync.Once
}

// New returns a sandbox; a configuration that makes no sense is a fault.Invalid.
func New(d Deps, cfg Config) (*Sandbox, error) {
	if d.Logger == nil || d.Now == nil {
		return nil, errors.New("sandbox: every dependency is required")
	}
	if cfg.MaxReceived <= 0 {
		cfg.MaxReceived = defaultReceived
	}
	for _, a := range cfg.APIs {
		if err := a.check(); err != nil {
			return nil, err
		}
	}
	if err := cfg.OAuth.check(); err != nil {
		return nil, err
	}
	if err := checkScripts(cfg.Scripts); err != nil {
		return nil, err
	}
	s := &Sandbox{cfg: cfg, logger: d.Logger, now: d.Now, closed: make(chan struct{})}
	s.sender = s.newSender()
	s.Reset()
	return s, nil
}

// Reset brings everything back to the configuration: scripts, tokens, records, limits and what was
// received.
func (s *Sandbox) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts = start(s.cfg.Scripts)
	s.received = received{max: s.cfg.MaxReceived}
	s.oauth = newOAuthState()
	s.apis = nil
	for _, a := range s.cfg.APIs {
		s.apis = append(s.apis, newAPIState(a))
	}
}

// Close ends the requests that hang or wait by script. A server that is shut down waits for them in vain
// otherwise. What arrives afterwards is answered without waiting.
func (s *Sandbox) Close() {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.sender.CloseIdleConnections()
	})
}

// ServeHTTP implements http.Handler.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	sum := sha256.Sum256(body)
	s.mu.Lock()
	step, scripted := s.nextStep(r.Method, r.URL.Path)
	seq := s.received.add(Received{
		Time: s.now().UTC(), Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: noted(r),
		BodyBytes: len(body), BodySHA256: hex.EncodeToString(sum[:]), Scripted: scripted,
	})
	s.mu.Unlock()
	s.play(w, r, step, seq, func() answer {
		if err != nil {
			return problem(fault.New(fault.TooLarge, "", "The body is too large, or broke off."))
		}
		return s.answer(r, body)
	})
}

// noted is the header of a request as it is remembered, with the host it was sent to.
func noted(r *http.Request) http.Header {
	h := r.Header.Clone()
	h.Set("Host", r.Host)
	return h
}

// answer is what the provider says when nothing is scripted.
func (s *Sandbox) answer(r *http.Request, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.answerOAuth(r, body); ok {
		return a
	}
	// The longest prefix wins, so that /shop/v2 can stand beside /shop.
	var found *apiState
	for _, a := range s.apis {
		under := r.URL.Path == a.Prefix || strings.HasPrefix(r.URL.Path, a.Prefix+"/")
		if under && (found == nil || len(a.Prefix) > len(found.Prefix)) {
			found = a
		}
	}
	if found == nil {
		return problem(fault.New(fault.NotFound, "", "The sandbox has nothing at this path."))
	}
	return s.answerAPI(found, r, body)
}

// Received is a request that arrived.
type Received struct {
	Seq        int64       `json:"seq"` // from 1, without gaps
	Time       time.Time   `json:"time"`
	Method     string      `json:"method"`
	Path       string      `json:"path"` // as it was escaped
	Query      string      `json:"query,omitempty"`
	Header     http.Header `json:"header"`
	BodyBytes  int         `json:"body_bytes"`
	BodySHA256 string      `json:"body_sha256"`
	// Status is what was answered: 0 while nothing is, and when the connection was broken before.
	Status int `json:"status"`
	// Scripted says that a step of a script had a part in the answer.
	Scripted bool `json:"scripted"`
}

// ReceivedQuery selects requests; empty fields select every one.
type ReceivedQuery struct {
	Method string
	// Path is exact, or a prefix when it ends in *.
	Path string
	// After is a Seq; only later requests are returned.
	After int64
}

// Received returns what arrived, oldest first, as far as it is remembered.
func (s *Sandbox) Received(q ReceivedQuery) []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Received
	for _, r := range s.received.items {
		if r.Seq > q.After && matches(q.Method, q.Path, r.Method, r.Path) {
			found = append(found, r)
		}
	}
	return found
}

// ForgetReceived empties the list of what arrived; numbers go on.
func (s *Sandbox) ForgetReceived() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received.items = nil
}

// received remembers the latest requests.
type received struct {
	items []Received
	last  int64
	max   int
}

func (l *received) add(r Received) int64 {
	l.last++
	r.Seq = l.last
	if len(l.items) >= l.max { // drop a quarter at once, so that not every request moves the rest
		l.items = slices.Delete(l.items, 0, max(1, l.max/4))
	}
	l.items = append(l.items, r)
	return l.last
}

func (l *received) answered(seq int64, status int) {
	for i := range slices.Backward(l.items) {
		if l.items[i].Seq == seq {
			l.items[i].Status = status
			return
		}
	}
}

func (s *Sandbox) answered(seq int64, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received.answered(seq, status)
}

// matches reports whether a request is one that a method and a path stand for. An empty method or path
// stands for all; a path that ends in * for everything below.
func matches(wantMethod, wantPath, method, path string) bool {
	if wantMethod != "" && wantMethod != method {
		return false
	}
	if prefix, ok := strings.CutSuffix(wantPath, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return wantPath == "" || wantPath == path
}
