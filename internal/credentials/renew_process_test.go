package credentials

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"switchgear/db"
	"switchgear/internal/credentials/oauth"
	"switchgear/internal/credentials/oauthtest"
	"switchgear/internal/dbtest"
	"switchgear/internal/telemetry"
)

// renewals plays a process that uses the account of a directory, whose token endpoint is at a port of this machine.
// It does what the lines of its standard input say: "go" has eight calls authorized at once, and answers with a
// line; "later" moves its clock by a minute.
func renewals(ctx context.Context, port int, dir string) error {
	i := installationIn(dir)
	if err := i.open(ctx); err != nil {
		return err
	}
	sealer, err := i.ring.Sealer(PurposeCredential)
	if err != nil {
		return err
	}
	var ahead atomic.Int64
	v, err := NewVault(VaultDeps{
		DB: i.db, Sealer: sealer, Key: callingKey, Changed: func(context.Context, string, string) {}, Logger: telemetry.Discard(),
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		Endpoint: &oauthtest.Endpoint{Answer: func(ctx context.Context, _ string, _ oauth.Config, refresh string) (oauth.Token, error) {
			return askServer(ctx, port, refresh)
		}},
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var work sync.WaitGroup
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "later" {
			ahead.Add(int64(time.Minute))
			continue
		}
		work.Go(func() { fmt.Println(useAccount(ctx, i.db, v)) })
	}
	work.Wait()
	return errors.Join(lines.Err(), i.close()) //nolint:contextcheck // Close takes none.
}

// askServer asks the endpoint of the test for a new token.
func askServer(ctx context.Context, port int, refresh string) (oauth.Token, error) {
	none := &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeNoAnswer, Unknown: true}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/?refresh=%s", port, url.QueryEscape(refresh)), http.NoBody)
	if err != nil {
		return oauth.Token{}, err
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return oauth.Token{}, none
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return oauth.Token{}, &oauth.Error{Step: oauth.StepToken, Code: oauth.CodeInvalidGrant, Status: resp.StatusCode}
	}
	token := oauth.Token{ExpiresIn: time.Hour}
	if n, _ := fmt.Fscan(resp.Body, &token.Access, &token.Refresh); n != 2 {
		return oauth.Token{}, none
	}
	return token, nil
}

// useAccount has eight calls authorized at once, and says what they got.
func useAccount(ctx context.Context, d *db.DB, v *Vault) string {
	var set *Set
	if err := d.InTx(ctx, func(tx *db.Tx) (err error) {
		set, err = v.Load(ctx, tx, "con_1")
		return err
	}); err != nil {
		return err.Error()
	}
	set = set.At(upstream)
	var (
		mu   sync.Mutex
		got  = map[string]bool{}
		work sync.WaitGroup
	)
	for range 8 {
		work.Go(func() {
			header, err := authorized(ctx, set)
			if err != nil {
				header = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			got[header] = true
		})
	}
	work.Wait()
	out := make([]string, 0, len(got))
	for header := range got {
		out = append(out, header)
	}
	return strings.Join(out, " and ")
}

// process is a child that uses the account.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
}

// rotatingServer counts renewals; each refresh token is good for one.
type rotatingServer struct {
	*httptest.Server
	mu             sync.Mutex
	renewed, wrong int
	// hold keeps the next request until its client is gone, and says that it is there.
	hold chan struct{}
}

func (s *rotatingServer) counts() (renewed, wrong int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewed, s.wrong
}

func (s *rotatingServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	hold := s.hold
	s.hold = nil
	s.mu.Unlock()
	if hold != nil {
		close(hold)
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Query().Get("refresh") != fmt.Sprintf("refresh-%d", s.renewed) {
		s.wrong++
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.renewed++
	_, _ = fmt.Fprintf(w, "access-%d refresh-%d", s.renewed, s.renewed)
}

// start starts a process on the data directory of another. A directory is locked to one process; without the lock
// nothing but the lease stands between two of them, which is how it is with a database that they share.
func (s *rotatingServer) start(t *testing.T, dir string) *process {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "data", "console.lock")); err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), binary)}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=renew:%s:%s", childEnv, port, dir))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.in.Close(); _ = p.cmd.Wait() })
	p.wantSaid("ready")
	return p
}

func (p *process) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) wantSaid(want string) {
	p.t.Helper()
	if line, err := p.lines.ReadString('\n'); err != nil || line != want+"\n" {
		p.t.Errorf("a process said %q, %v; want %q", line, err, want)
	}
}

// Two processes on one database, as operating system processes: each token that has ended is renewed once, however
// many calls of both need it at once; and one that is killed during a renewal keeps nobody from the next.
func TestTwoProcessesRenewOnce(t *testing.T) {
	t.Parallel()
	i := installationIn(t.TempDir())
	i.reopen(t)
	t.Cleanup(func() { _ = i.db.Close() })
	dbtest.Exec(t, i.db, connectionInsert)
	i.tx(t, func(ctx context.Context, tx *db.Tx) error {
		_, err := i.vault.Put(ctx, tx, holderOf(DefaultAccount), "oauth2_authorization_code", map[string]string{
			"authorize_url": "https://as.example.com/authorize", "token_url": "https://as.example.com/token", "client_id": "c", "client_secret": canary,
		})
		if err == nil {
			_, err = i.vault.PutToken(ctx, tx, holderOf(DefaultAccount), oauth.Token{Access: "access-0", Refresh: "refresh-0", ExpiresIn: time.Hour})
		}
		return err
	})
	server := &rotatingServer{}
	server.Server = httptest.NewServer(server)
	t.Cleanup(server.Close)
	first, second := server.start(t, i.dir), server.start(t, i.dir)
	const rounds = 6
	end := func() { dbtest.Exec(t, i.db, `UPDATE credential_tokens SET expires_at = 1, renew_at = NULL`) }
	for round := 1; round <= rounds; round++ {
		end()
		first.say("go")
		second.say("go")
		want := fmt.Sprintf("Bearer access-%d", round)
		first.wantSaid(want)
		second.wantSaid(want)
		if renewed, wrong := server.counts(); renewed != round || wrong > 0 {
			t.Fatalf("round %d: %d renewals, %d with a token that was used up", round, renewed, wrong)
		}
	}

	// The first is killed while the server has its request: the second waits for the lease to end, and renews.
	end()
	held := make(chan struct{})
	server.mu.Lock()
	server.hold = held
	server.mu.Unlock()
	first.say("go")
	died := make(chan struct{})
	go func() {
		defer close(died)
		_, _ = first.lines.ReadString('\n') // It says nothing more, and ends when it is killed.
	}()
	select {
	case <-held:
	case <-died:
		t.Fatal("the first process did not ask for a token")
	}
	second.say("go")
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	second.say("later")
	want := fmt.Sprintf("Bearer access-%d", rounds+1)
	second.wantSaid(want)
	third := server.start(t, i.dir)
	third.say("go")
	third.wantSaid(want)
	if renewed, wrong := server.counts(); renewed != rounds+1 || wrong > 0 {
		t.Errorf("after the kill: %d renewals, %d with a token that was used up", renewed, wrong)
	}
}
