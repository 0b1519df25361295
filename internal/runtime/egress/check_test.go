package egress

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"code.dny.dev/ssrf"

	"switchgear/internal/fault"
)

func rules(tb testing.TB, texts ...string) []Rule {
	tb.Helper()
	r, err := ParseRules(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// Each row is one address, judged with and without rules: the table says what is expected of both.
func TestCheck(t *testing.T) {
	t.Parallel()
	const (
		allow  = "" // with and without rules
		denied = "denied"
		ruled  = "only by a rule"
	)
	own := netip.MustParseAddrPort("127.0.0.1:9050")
	open := New(Config{
		Rules: rules(t,
			"api.test=127.0.0.0/8:9000-9100", "api.test=::1/128:9000", "api.test=10.0.0.0/8:443+8443", "api.test=fd00::/8:443",
			"api.test=0.0.0.0/0:7000", "api.test=::/0:7000", "api.test=100.64.0.0/10:*", "*.wide.test=0.0.0.0/0:*", "10.9.9.9=10.9.9.9/32:443"),
		Deny: func(a netip.AddrPort) bool { return a == own },
	})
	closed := New(Config{})
	for _, c := range []struct {
		host, address, want string
	}{
		// Public.
		{"api.test", "8.8.8.8:443", allow},
		{"api.test", "8.8.8.8:80", allow},
		{"api.test", "[2606:4700::1111]:443", allow},
		{"api.test", "[::ffff:8.8.8.8]:443", allow},
		{"api.test", "8.8.8.8:22", denied},
		{"api.test", "8.8.8.8:8443", denied},
		{"api.test", "8.8.8.8:7000", ruled},
		{"other.test", "8.8.8.8:7000", denied},
		{"api.test", "[2606:4700::1111]:7000", ruled},
		{"api.test", "8.8.8.8:0", denied},
		// Loopback, in every notation that reaches the dial.
		{"api.test", "127.0.0.1:443", denied},
		{"api.test", "127.0.0.1:80", denied},
		{"api.test", "127.0.0.1:9000", ruled},
		{"api.test", "127.1.2.3:9100", ruled},
		{"api.test", "127.0.0.1:9101", denied},
		{"api.test", "127.0.0.1:7000", ruled}, // 0.0.0.0/0 with the port named
		{"other.test", "127.0.0.1:9000", denied},
		{"x.wide.test", "127.0.0.1:9000", denied}, // every port is not a named port
		{"api.test", "[::1]:9000", ruled},
		{"api.test", "[::1]:9001", denied},
		{"api.test", "[::ffff:127.0.0.1]:80", denied},
		{"api.test", "[::ffff:127.0.0.1]:9000", ruled},
		{"api.test", "[::ffff:7f00:1]:80", denied},
		{"api.test", "127.0.0.1:9050", denied}, // our own listener
		{"api.test", "[::ffff:127.0.0.1]:9050", denied},
		// Unspecified means this host.
		{"api.test", "0.0.0.0:80", denied},
		{"api.test", "0.0.0.0:7000", denied},
		{"api.test", "0.1.2.3:80", denied},
		{"api.test", "[::]:80", denied},
		{"api.test", "[::]:7000", denied},
		// Private.
		{"api.test", "10.0.0.1:443", ruled},
		{"api.test", "10.0.0.1:8443", ruled},
		{"api.test", "10.0.0.1:80", denied},
		{"other.test", "10.0.0.1:443", denied},
		{"y.x.wide.test", "10.0.0.1:5432", ruled},
		{"wide.test", "10.0.0.1:5432", denied},
		{"evilwide.test", "10.0.0.1:5432", denied},
		{"API.Test.", "10.0.0.1:443", ruled},
		{"10.9.9.9", "10.9.9.9:443", ruled},
		{"10.9.9.9", "10.9.9.8:443", denied},
		{"api.test", "[::ffff:10.0.0.1]:443", ruled},
		{"api.test", "172.16.0.1:443", denied},
		{"api.test", "172.31.255.255:443", denied},
		{"api.test", "172.32.0.1:443", allow},
		{"api.test", "192.168.0.1:443", denied},
		{"api.test", "[fd00::1]:443", ruled},
		{"api.test", "[fc00::1]:443", denied},
		{"api.test", "[fec0::1]:443", denied},
		// Link-local and metadata.
		{"api.test", "169.254.169.254:80", denied},
		{"api.test", "169.254.169.254:7000", denied},
		{"api.test", "[::ffff:169.254.169.254]:80", denied},
		{"api.test", "[fe80::1]:443", denied},
		{"api.test", "[fe80::1%eth0]:443", denied},
		{"api.test", "[fd00:ec2::254]:443", denied},
		{"api.test", "[fd20:ce::254]:443", denied},
		{"api.test", "168.63.129.16:80", denied},
		{"api.test", "168.63.129.16:7000", denied},
		{"api.test", "168.63.129.17:80", allow},
		{"api.test", "100.100.100.200:80", denied},
		{"api.test", "100.64.0.1:80", ruled},
		{"api.test", "192.0.0.192:80", denied},
		{"x.wide.test", "192.0.0.192:80", denied},
		// IPv4 inside IPv6.
		{"api.test", "[64:ff9b::7f00:1]:80", denied},
		{"api.test", "[64:ff9b::7f00:1]:7000", denied},
		{"api.test", "[64:ff9b:1::a00:1]:7000", denied},
		{"api.test", "[2002:7f00:1::]:80", denied},
		{"api.test", "[2002:7f00:1::]:7000", denied},
		{"api.test", "[2001::1]:80", denied},
		{"api.test", "[2001:0:53aa:64c::1]:7000", denied},
		{"api.test", "[::ffff:0:7f00:1]:7000", denied},
		{"api.test", "[::127.0.0.1]:80", denied},
		// Special purpose.
		{"api.test", "192.0.2.1:80", denied},
		{"api.test", "198.18.0.1:80", denied},
		{"api.test", "198.51.100.1:80", denied},
		{"api.test", "203.0.113.1:80", denied},
		{"api.test", "192.88.99.1:80", denied},
		{"api.test", "224.0.0.1:80", denied},
		{"api.test", "239.255.255.255:7000", denied},
		{"api.test", "240.0.0.1:80", denied},
		{"api.test", "255.255.255.255:80", denied},
		{"api.test", "255.255.255.255:7000", denied},
		{"api.test", "[ff02::1]:80", denied},
		{"api.test", "[ff02::1]:7000", denied},
		{"api.test", "[2001:db8::1]:80", denied},
		{"api.test", "[100::1]:80", denied},
		// Nonsense.
		{"api.test", "", denied},
		{"api.test", "8.8.8.8", denied},
		{"api.test", "api.test:443", denied},
		{"api.test", "127.1:443", denied},
		{"api.test", "2130706433:443", denied},
		{"api.test", "8.8.8.8:443:443", denied},
	} {
		withRules, without := open.check(network(c.address), c.address, c.host), closed.check(network(c.address), c.address, c.host)
		for _, err := range []error{withRules, without} {
			if err != nil && !errors.Is(err, ErrDenied) {
				t.Errorf("%s (%s): %v is not ErrDenied", c.address, c.host, err)
			}
		}
		if got, want := withRules == nil, c.want != denied; got != want {
			t.Errorf("%s (%s) with rules: %v, want %q", c.address, c.host, withRules, c.want)
		}
		if got, want := without == nil, c.want == allow; got != want {
			t.Errorf("%s (%s) without rules: %v, want %q", c.address, c.host, without, c.want)
		}
	}
	for _, network := range []string{"udp4", "udp", "tcp", "unix", "ip4:icmp", ""} {
		if err := open.check(network, "8.8.8.8:443", "api.test"); !errors.Is(err, ErrDenied) {
			t.Errorf("network %q: %v", network, err)
		}
	}
}

// One listener can be admitted: that address and port, asked for as such, and nothing around it.
func TestAdmitOpensOneAddress(t *testing.T) {
	t.Parallel()
	admitted, own := netip.MustParseAddrPort("127.0.0.1:9050"), netip.MustParseAddrPort("127.0.0.1:8080")
	open := true
	g := New(Config{
		Deny:  func(a netip.AddrPort) bool { return a == own },
		Admit: func(a netip.AddrPort) bool { return open && (a == admitted || a == own || !a.Addr().IsLoopback()) },
	})
	for _, c := range []struct {
		host, address string
		want          bool
	}{
		{"127.0.0.1", "127.0.0.1:9050", true},
		{"127.0.0.1", "127.0.0.1:9051", false},
		{"localhost", "127.0.0.1:9050", false},
		{"rebound.test", "127.0.0.1:9050", false},
		{"127.0.0.2", "127.0.0.2:9050", false},
		{"::1", "[::1]:9050", false},
		{"127.0.0.1", "127.0.0.1:8080", false},           // our own listener, whatever is admitted
		{"169.254.169.254", "169.254.169.254:80", false}, // always closed, whatever is admitted
	} {
		if err := g.check(network(c.address), c.address, c.host); (err == nil) != c.want {
			t.Errorf("%s as %s: %v", c.address, c.host, err)
		}
	}
	u, err := url.Parse("http://127.0.0.1:9050/shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.CheckURL(u); err != nil {
		t.Errorf("the URL: %v", err)
	}
	open = false
	if err := g.CheckURL(u); err == nil {
		t.Error("the URL stays open after the end")
	}
	if err := g.check("tcp4", "127.0.0.1:9050", "127.0.0.1"); !errors.Is(err, ErrDenied) {
		t.Errorf("after the end: %v", err)
	}
}

func network(address string) string {
	if strings.HasPrefix(address, "[") {
		return "tcp6"
	}
	return "tcp4"
}

// FuzzCheck compares with the library whose table is used: without rules we never allow what it denies,
// and what we deny beyond it is in our own list. With a rule for everything, the closed ranges stay so.
func FuzzCheck(f *testing.F) {
	for _, a := range []string{"8.8.8.8", "127.0.0.1", "::1", "::ffff:127.0.0.1", "168.63.129.16", "100.100.100.200", "64:ff9b::1", "2002::1", "2001::1", "2606:4700::1111", "fe80::1", "0.0.0.0", "::"} {
		b := netip.MustParseAddr(a).As16()
		f.Add(b[:], uint16(443))
	}
	library := ssrf.New()
	none := New(Config{})
	everything := New(Config{Rules: rules(f, "a.test=0.0.0.0/0:1-65535", "a.test=::/0:1-65535")})
	f.Fuzz(func(t *testing.T, raw []byte, port uint16) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		address := netip.AddrPortFrom(addr, port).String()
		unmapped := addr.Unmap()
		inClosed := false
		for _, c := range alwaysClosed() {
			inClosed = inClosed || c.Prefix.Contains(unmapped)
		}
		net := network(address)
		ours := none.check(net, address, "a.test")
		theirs := library.SafeAddrPort(netip.AddrPortFrom(unmapped, port))
		switch {
		case ours == nil && theirs != nil:
			t.Errorf("%s is allowed, but the library says %v", address, theirs)
		case ours != nil && theirs == nil && !inClosed:
			t.Errorf("%s is denied (%v) without being in the list", address, ours)
		}
		if err := everything.check(net, address, "a.test"); inClosed && err == nil {
			t.Errorf("a rule opened %s", address)
		} else if !inClosed && port != 0 && err != nil {
			t.Errorf("a rule for everything did not open %s: %v", address, err)
		}
	})
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	g := New(Config{Rules: rules(t, "127.0.0.1=127.0.0.0/8:9000-9100", "db.corp.test=10.0.0.0/8:8443", "localhost=127.0.0.0/8:9000")})
	for text, want := range map[string]string{
		"https://api.stripe.com":              "",
		"https://api.stripe.com/v1?x=1":       "",
		"http://api.test.:80":                 "",
		"https://[2606:4700::1111]/":          "",
		"http://127.0.0.1:9000":               "",
		"http://localhost:9000":               "",
		"https://db.corp.test:8443":           "",
		"ftp://api.test":                      "INVALID_BASE_URL",
		"//api.test":                          "INVALID_BASE_URL",
		"unix:/var/run/docker.sock":           "INVALID_BASE_URL",
		"https:///path":                       "INVALID_BASE_URL",
		"https://user:pass@api.test":          "INVALID_BASE_URL",
		"https://api.test/#x":                 "INVALID_BASE_URL",
		"https://api.test:0":                  "INVALID_BASE_URL",
		"https://api.test:":                   "INVALID_BASE_URL",
		"https://bücher.test":                 "INVALID_BASE_URL",
		"http://①②⑦.0.0.1":                    "INVALID_BASE_URL",
		"http://2130706433/":                  "INVALID_BASE_URL",
		"http://0x7f000001/":                  "INVALID_BASE_URL",
		"http://0x7f.1/":                      "INVALID_BASE_URL",
		"http://127.1/":                       "INVALID_BASE_URL",
		"http://0177.0.0.1/":                  "INVALID_BASE_URL",
		"http://127.0.0.1/":                   "EGRESS_DENIED",
		"http://127.0.0.1:9101/":              "EGRESS_DENIED",
		"http://[::1]/":                       "EGRESS_DENIED",
		"http://[::ffff:7f00:1]/":             "EGRESS_DENIED",
		"http://[fe80::1%25eth0]/":            "EGRESS_DENIED",
		"http://169.254.169.254/latest":       "EGRESS_DENIED",
		"http://localhost/":                   "EGRESS_DENIED",
		"http://a.localhost/":                 "EGRESS_DENIED",
		"https://api.test:8443":               "EGRESS_DENIED",
		"https://db.corp.test:9000":           "EGRESS_DENIED",
		"https://" + strings.Repeat("a", 300): "INVALID_BASE_URL",
	} {
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		err = g.CheckURL(u)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Invalid || e.Code != want || e.Details.Field != "base_url" {
			t.Errorf("%s: %v, want %s on base_url", text, err, want)
		}
	}
	if err := g.CheckURL(nil); err == nil {
		t.Error("no URL passes")
	}
}

// WithPorts opens its ports on public addresses of the guard that it returns, and nowhere else.
func TestWithPorts(t *testing.T) {
	t.Parallel()
	plain := New(Config{})
	mail := plain.WithPorts(587)
	for _, tt := range []struct {
		guard   *Guard
		address string
		reason  string
	}{
		{mail, "93.184.216.34:587", ""},
		{mail, "93.184.216.34:443", ""},
		{mail, "93.184.216.34:25", "port 25 is not 80, 443 or 587"},
		{mail, "127.0.0.1:587", "loopback"},
		{mail, "10.0.0.1:587", "not a public address"},
		{plain, "93.184.216.34:587", "port 587 is not 80 or 443"},
	} {
		err := tt.guard.check("tcp4", tt.address, "mail.example.com")
		denied, _ := errors.AsType[*DeniedError](err)
		if tt.reason == "" && err != nil || tt.reason != "" && (denied == nil || denied.Reason != tt.reason) {
			t.Errorf("%s: %v, want %q", tt.address, err, tt.reason)
		}
	}
}
