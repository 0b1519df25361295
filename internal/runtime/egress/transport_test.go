package egress_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"switchgear/internal/runtime/egress"
)

// nameServer answers over UDP whatever its answers say, one after the other, and keeps to the last.
type nameServer struct {
	mu      sync.Mutex
	answers [][]string
	asked   int
}

func (s *nameServer) set(answers ...[]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = answers
}

func (s *nameServer) queries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *nameServer) next() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return answer
}

// serve starts it and returns a resolver that asks nobody else.
func (s *nameServer) serve(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := s.reply(buffer[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	address := conn.LocalAddr().String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", address)
	}}
}

func (s *nameServer) reply(query []byte) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil
	}
	question, err := p.Question()
	if err != nil {
		return nil
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true})
	_ = b.StartQuestions()
	_ = b.Question(question)
	_ = b.StartAnswers()
	if question.Type == dnsmessage.TypeA {
		for _, a := range s.next() {
			_ = b.AResource(dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class}, dnsmessage.AResource{A: netip.MustParseAddr(a).As4()})
		}
	}
	reply, _ := b.Finish()
	return reply
}

func parse(t *testing.T, texts ...string) []egress.Rule {
	t.Helper()
	r, err := egress.ParseRules(texts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// reply is what tests look at in an answer.
type reply struct {
	status, major int
	header        http.Header
}

func get(t *testing.T, rt http.RoundTripper, target string, header http.Header) (reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return reply{resp.StatusCode, resp.ProtoMajor, resp.Header}, nil
}

func port(t *testing.T, server *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func TestRebindingGainsNothing(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(upstream.Close)
	names := &nameServer{}
	names.set([]string{"127.0.0.1"})
	g := egress.New(egress.Config{
		Rules:    parse(t, "inside.test=127.0.0.1/32:"+port(t, upstream), "inside.test=10.0.0.0/8:"+port(t, upstream)),
		Resolver: names.serve(t),
	})
	transport := g.NewTransport(egress.TransportConfig{})
	transport.DisableKeepAlives = true
	t.Cleanup(transport.CloseIdleConnections)

	if _, err := get(t, transport, "http://inside.test:"+port(t, upstream), nil); err != nil || hits.Load() != 1 {
		t.Fatalf("the rule does not open it: %v, %d requests", err, hits.Load())
	}
	// The same name, later: the next answer is judged again.
	for _, answer := range [][]string{{"169.254.169.254"}, {"127.0.0.2"}, {"0.0.0.0"}, {"192.168.0.1"}, {"169.254.169.254", "127.0.0.2"}} {
		names.set(answer)
		if _, err := get(t, transport, "http://inside.test:"+port(t, upstream), nil); !errors.Is(err, egress.ErrDenied) {
			t.Errorf("%v: %v, want it denied", answer, err)
		}
	}
	// Another name for the allowed address has no rule.
	names.set([]string{"127.0.0.1"})
	if _, err := get(t, transport, "http://outside.test:"+port(t, upstream), nil); !errors.Is(err, egress.ErrDenied) {
		t.Errorf("another name: %v, want it denied", err)
	}
	// One good answer among bad ones: the bad ones are passed over, the good one is used.
	names.set([]string{"127.0.0.2", "127.0.0.1"})
	if _, err := get(t, transport, "http://inside.test:"+port(t, upstream), nil); err != nil {
		t.Errorf("mixed answer: %v", err)
	}
	if hits.Load() != 2 {
		t.Errorf("the upstream saw %d requests, want 2", hits.Load())
	}
	if names.queries() < 8 {
		t.Errorf("only %d queries: names were cached", names.queries())
	}
}

// The classic: the check sees a public address, the connection goes inside.
func TestRebindingBetweenCheckAndUse(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the upstream was reached") }))
	t.Cleanup(upstream.Close)
	names := &nameServer{}
	names.set([]string{"93.184.215.14"}, []string{"127.0.0.1"})
	resolver := names.serve(t)
	g := egress.New(egress.Config{Resolver: resolver})
	if err := g.CheckURL(&url.URL{Scheme: "http", Host: "flip.test"}); err != nil {
		t.Fatal(err)
	}
	first, err := resolver.LookupNetIP(t.Context(), "ip4", "flip.test")
	if err != nil || first[0].String() != "93.184.215.14" {
		t.Fatalf("first answer %v, %v", first, err)
	}
	transport := g.NewTransport(egress.TransportConfig{})
	if _, err := get(t, transport, "http://flip.test/", nil); !errors.Is(err, egress.ErrDenied) {
		t.Errorf("%v, want it denied", err)
	}
}

func TestTransportsShareNothing(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(upstream.Close)
	open := egress.New(egress.Config{Rules: parse(t, "127.0.0.1=127.0.0.0/8:"+port(t, upstream))})
	first, second := open.NewTransport(egress.TransportConfig{}), open.NewTransport(egress.TransportConfig{})
	shut := egress.New(egress.Config{}).NewTransport(egress.TransportConfig{})
	t.Cleanup(first.CloseIdleConnections)
	t.Cleanup(second.CloseIdleConnections)
	if first == second {
		t.Fatal("the same transport twice")
	}
	if _, err := get(t, first, upstream.URL, nil); err != nil {
		t.Fatal(err)
	}
	// The first one holds an idle connection now; the closed policy must not find it.
	if _, err := get(t, shut, upstream.URL, nil); !errors.Is(err, egress.ErrDenied) {
		t.Errorf("the closed transport: %v, want it denied", err)
	}
	if _, err := get(t, second, upstream.URL, nil); err != nil {
		t.Error(err)
	}
}

func TestCredentialsDoNotFollowRedirects(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host was asked: %s, %v", r.URL, r.Header)
	}))
	t.Cleanup(other.Close)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"/301": 301, "/302": 302, "/303": 303, "/307": 307, "/308": 308}[r.URL.Path]
		w.Header().Set("Location", other.URL+"/stolen")
		w.WriteHeader(status)
	}))
	t.Cleanup(upstream.Close)
	g := egress.New(egress.Config{Rules: parse(t, "127.0.0.1=127.0.0.0/8:"+port(t, upstream)+"+"+port(t, other))})
	transport := g.NewTransport(egress.TransportConfig{})
	t.Cleanup(transport.CloseIdleConnections)
	for _, path := range []string{"/301", "/302", "/303", "/307", "/308"} {
		resp, err := get(t, transport, upstream.URL+path, http.Header{"Authorization": {"Bearer x"}, "X-Api-Key": {"x"}})
		if err != nil || "/"+strconv.Itoa(resp.status) != path || !strings.HasSuffix(resp.header.Get("Location"), "/stolen") {
			t.Errorf("%s: %v, %v", path, resp, err)
		}
	}
}

func TestEnvironmentProxyIsIgnored(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	transport := egress.New(egress.Config{}).NewTransport(egress.TransportConfig{})
	if transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	if _, err := get(t, transport, "http://10.0.0.1/", nil); !errors.Is(err, egress.ErrDenied) {
		t.Errorf("%v, want it denied", err)
	}
}

func TestTransportSettings(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 70<<10)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("Accept-Encoding %q was added", r.Header.Get("Accept-Encoding"))
		}
		if r.URL.Path == "/large" {
			w.Header().Set("X-Large", large)
		}
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	g := egress.New(egress.Config{Rules: parse(t, "127.0.0.1=127.0.0.0/8:"+port(t, upstream))})
	strict := g.NewTransport(egress.TransportConfig{})
	if _, err := get(t, strict, upstream.URL, nil); err == nil {
		t.Error("an unknown certificate authority was accepted")
	}
	trusted, _ := upstream.Client().Transport.(*http.Transport)
	transport := g.NewTransport(egress.TransportConfig{RootCAs: trusted.TLSClientConfig.RootCAs})
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := get(t, transport, upstream.URL, nil)
	if err != nil || resp.major != 2 {
		t.Fatalf("%v, %v; want HTTP/2", resp, err)
	}
	if _, err := get(t, transport, upstream.URL+"/large", nil); err == nil {
		t.Error("70 KiB of response headers were accepted")
	}
}

// A name whose answers alternate is judged at every single dial: good answers pass, bad ones never do, and
// what listens at the bad address hears nothing.
func TestRebindingThatAlternates(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(upstream.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.2:"+port(t, upstream))
	if err != nil {
		t.Fatal(err)
	}
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	_ = inside.Listener.Close()
	inside.Listener = listener
	inside.Start()
	t.Cleanup(inside.Close)
	const rounds = 20
	names, answers := &nameServer{}, make([][]string, 0, 2*rounds)
	for range rounds {
		answers = append(answers, []string{"127.0.0.1"}, []string{"127.0.0.2"})
	}
	names.set(answers...)
	g := egress.New(egress.Config{Rules: parse(t, "flip.test=127.0.0.1/32:"+port(t, upstream)), Resolver: names.serve(t)})
	transport := g.NewTransport(egress.TransportConfig{})
	transport.DisableKeepAlives = true
	t.Cleanup(transport.CloseIdleConnections)
	for n := range 2 * rounds {
		_, err := get(t, transport, "http://flip.test:"+port(t, upstream), nil)
		if denied := errors.Is(err, egress.ErrDenied); denied != (n%2 == 1) || !denied && err != nil {
			t.Errorf("dial %d, answered %v: %v", n, answers[n], err)
		}
	}
	if hits.Load() != rounds || names.queries() != 2*rounds {
		t.Errorf("%d requests and %d queries for %d dials", hits.Load(), names.queries(), 2*rounds)
	}
}
