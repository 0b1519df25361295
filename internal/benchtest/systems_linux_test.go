package benchtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const body = `{"id":"ch_3PqLwT2eZvKYlo2C","object":"charge","amount":2000,"currency":"eur","captured":true,"customer":"cus_9s6XKzkNRiz8i3","metadata":{"order":"6735"}}`

// system is one way to the upstream.
type system struct {
	name    string
	address string
	request []byte
	pid     int // its first process; the time of its children counts as well
}

// tool is the program that an environment variable names; make bench sets them.
func tool(b *testing.B, variable string) string {
	b.Helper()
	path := os.Getenv(variable)
	if path == "" {
		b.Fatalf("%s is not set. Run this with: make bench", variable)
	}
	if _, err := exec.LookPath(path); err != nil {
		b.Fatalf("%s: %v. make bench installs it", variable, err)
	}
	return path
}

// freePort finds a port for a program that cannot say which one it got.
func freePort(b *testing.B) string {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return port
}

// spawn starts a program that ends with the benchmark, and waits until it listens.
func spawn(b *testing.B, port string, environ []string, name string, args ...string) int {
	b.Helper()
	// Ended by a signal and not by the context, which would kill nginx and leave its workers behind.
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), name, args...)
	cmd.Env = append(os.Environ(), environ...)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	listening := poll(func() bool {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp4", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	if !listening {
		b.Fatalf("%s does not listen on port %s: %s", name, port, said.String())
	}
	return cmd.Process.Pid
}

// poll asks for up to ten seconds.
func poll(done func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if done() {
			return true
		}
		<-tick.C
	}
	return false
}

func waitForFile(b *testing.B, path string) string {
	b.Helper()
	var text []byte
	if !poll(func() bool { text, _ = os.ReadFile(path); return len(text) > 0 }) {
		b.Fatalf("%s does not appear", path)
	}
	return strings.TrimSpace(string(text))
}

func request(path, host string, headers ...string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nAccept: application/json\r\n" + strings.Join(headers, "") + "\r\n")
}

func write(b *testing.B, path, text string) string {
	b.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// startNginx runs nginx with a server block of ours, on both processors and without a log.
func startNginx(b *testing.B, name, port, block string) system {
	b.Helper()
	dir := filepath.Join(b.TempDir(), name)
	for _, sub := range []string{"", "body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	conf := write(b, filepath.Join(dir, "nginx.conf"), user+`daemon off;
worker_processes auto;
pid `+dir+`/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path `+dir+`/body;
  proxy_temp_path `+dir+`/proxy;
  fastcgi_temp_path `+dir+`/fastcgi;
  uwsgi_temp_path `+dir+`/uwsgi;
  scgi_temp_path `+dir+`/scgi;
  keepalive_requests 100000000;
  tcp_nodelay on;
`+block+`
}
`)
	pid := spawn(b, port, nil, tool(b, "BENCH_NGINX"), "-p", dir, "-c", conf, "-e", "stderr")
	return system{name: name, address: "127.0.0.1:" + port, request: request("/v1/charges?limit=3", "127.0.0.1:"+port), pid: pid}
}

func startUpstream(b *testing.B) system {
	b.Helper()
	port := freePort(b)
	return startNginx(b, "direct", port, `  server {
    listen 127.0.0.1:`+port+`;
    default_type application/json;
    location / { return 200 '`+body+`'; }
  }`)
}

func startNginxProxy(b *testing.B, upstream string) system {
	b.Helper()
	port := freePort(b)
	return startNginx(b, "nginx", port, `  upstream up { server `+upstream+`; keepalive 64; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:`+port+`;
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }`)
}

func startCaddy(b *testing.B, upstream string) system {
	b.Helper()
	port, dir := freePort(b), b.TempDir()
	conf := write(b, filepath.Join(dir, "caddy.json"), `{"admin":{"disabled":true,"config":{"persist":false}},"logging":{"logs":{"default":{"level":"ERROR"}}},
"apps":{"http":{"servers":{"bench":{"listen":["127.0.0.1:`+port+`"],"automatic_https":{"disable":true},"protocols":["h1"],
"routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"`+upstream+`"}],"transport":{"protocol":"http","keep_alive":{"max_idle_conns_per_host":64}}}]}]}}}}}`)
	pid := spawn(b, port, []string{"XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "HOME=" + dir},
		tool(b, "BENCH_CADDY"), "run", "--config", conf)
	return system{name: "caddy", address: "127.0.0.1:" + port, request: request("/v1/charges?limit=3", "127.0.0.1:"+port), pid: pid}
}

// console is a running one, with its first owner signed in.
type console struct {
	address string
	pid     int
	environ []string
	owner   *http.Client
}

// password is that of everybody.
const password = "a password for this benchmark only"

// startConsole runs the console as anybody would, set up by its page.
func startConsole(b *testing.B, upstream string) *console {
	b.Helper()
	port, dir := freePort(b), b.TempDir()
	_, upstreamPort, err := net.SplitHostPort(upstream)
	if err != nil {
		b.Fatal(err)
	}
	c := &console{address: "127.0.0.1:" + port, owner: newBrowser(b), environ: []string{
		"SWITCHGEAR_ADDR=127.0.0.1:" + port, "SWITCHGEAR_DATA=" + filepath.Join(dir, "data"),
		"SWITCHGEAR_KEY_FILE=" + filepath.Join(dir, "key"), "SWITCHGEAR_EGRESS_ALLOW=127.0.0.1=127.0.0.0/8:" + upstreamPort,
	}}
	c.pid = spawn(b, port, c.environ, tool(b, "BENCH_CONSOLE"), "serve")
	setUp, err := url.Parse(waitForFile(b, filepath.Join(dir, "data", "setup-link")))
	if err != nil {
		b.Fatal(err)
	}
	c.post(b, c.owner, "/setup", "/", url.Values{
		"token": {setUp.Query().Get("token")}, "email": {"bench@example.com"}, "name": {"Bench"},
		"password": {password}, "repeat": {password}, "key_saved": {"yes"},
	})
	return c
}

func newBrowser(b *testing.B) *http.Client {
	b.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{MaxIdleConnsPerHost: viewers}}
}

func (c *console) base() string { return "http://" + c.address }

// post sends a form, which must lead to the page that is wanted.
func (c *console) post(b *testing.B, client *http.Client, path, want string, form url.Values) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, c.base()+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {c.base()}, "Sec-Fetch-Site": {"same-origin"}}
	resp, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, _ := io.ReadAll(resp.Body); resp.Request.URL.Path != want {
		b.Fatalf("%s ended at %s with %d:\n%s", path, resp.Request.URL, resp.StatusCode, text)
	}
}

// connect defines a connection to the upstream, as its page does.
func (c *console) connect(b *testing.B, slug, upstream string) {
	b.Helper()
	c.post(b, c.owner, "/connections/new", "/connections/"+slug, url.Values{
		"provider": {"generic-rest"}, "name": {slug}, "slug": {slug}, "environment": {"production"}, "kind": {"rest"},
		"base_url": {"http://" + upstream}, "auth_type": {"bearer"}, "auth.token": {"upstream-token"},
	})
}

// command runs a command of the console's own, and returns what it printed.
func (c *console) command(b *testing.B, input string, args ...string) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), tool(b, "BENCH_CONSOLE"), args...)
	cmd.Env = append(os.Environ(), c.environ...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// key makes an API key with a scope.
func (c *console) key(b *testing.B, scope string) string {
	b.Helper()
	return c.command(b, "", "key", "create", "--name", "bench", "--scope", scope, "--quiet")
}

// call is a request through the gateway.
func (c *console) call(slug, key string) []byte {
	return request("/proxy/"+slug+"/v1/charges?limit=3", c.address, "Authorization: Bearer "+key+"\r\n")
}

// startGateway runs the console with one connection, and a key from its command line.
func startGateway(b *testing.B, upstream string) system {
	b.Helper()
	c := startConsole(b, upstream)
	c.connect(b, "bench", upstream)
	return system{name: "switchgear", address: c.address, pid: c.pid, request: c.call("bench", c.key(b, "call:bench"))}
}

// processes are a process and its children.
func processes(b *testing.B, pid int) []int {
	b.Helper()
	pids := []int{pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		b.Fatal(err)
	}
	for field := range strings.FieldsSeq(string(children)) {
		child, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		pids = append(pids, child)
	}
	return pids
}

// processorTime is what the processes of a system have used so far.
func (s system) processorTime(b *testing.B) time.Duration {
	b.Helper()
	total := int64(0)
	for _, pid := range processes(b, s.pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatalf("%s: %v", s.name, err)
		}
		_, after, ok := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		if !ok || len(fields) < 13 {
			b.Fatalf("%s: /proc/%d/stat cannot be read", s.name, pid)
		}
		for _, field := range fields[11:13] { // user and system time, in hundredths of a second
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += ticks
		}
	}
	return time.Duration(total) * (time.Second / 100)
}
