package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"switchgear/internal/fault"
)

// ErrDenied is in the chain of every refusal.
var ErrDenied = errors.New("egress denied")

// DeniedError says what was refused and why. It is for operators and the log of calls; who merely calls
// learns only that it was refused.
type DeniedError struct {
	Host    string // as asked for, may be empty
	Address string // as it would have been dialled
	Reason  string
}

// Error implements error.
func (e *DeniedError) Error() string {
	return "egress to " + e.Host + " (" + e.Address + ") denied: " + e.Reason
}

// Is makes every DeniedError an [ErrDenied].
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// Config says what a [Guard] opens beyond public addresses on ports 80 and 443.
type Config struct {
	Rules []Rule
	// Deny closes further addresses, above all rules: the listeners of this process.
	Deny func(netip.AddrPort) bool
	// Admit opens single addresses of this host beyond the rules, while they are asked for by their address
	// and not by a name: the pretend provider of the demonstration. Deny and what is always closed win.
	Admit func(netip.AddrPort) bool
	// DialTimeout bounds the time to a TCP connection, the name included. 0 = 5s.
	DialTimeout time.Duration
	// Resolver looks names up. nil = the system's.
	Resolver *net.Resolver
}

// Guard checks addresses. It is immutable and safe for concurrent use.
type Guard struct {
	rules    []Rule
	closed   []closedRange
	deny     func(netip.AddrPort) bool
	admit    func(netip.AddrPort) bool
	timeout  time.Duration
	resolver *net.Resolver
	ports    []uint16 // of public addresses
}

// New makes a guard.
func New(cfg Config) *Guard {
	g := &Guard{
		rules: append([]Rule(nil), cfg.Rules...), closed: alwaysClosed(),
		deny: cfg.Deny, admit: cfg.Admit, timeout: cfg.DialTimeout, resolver: cfg.Resolver, ports: []uint16{80, 443},
	}
	if g.timeout <= 0 {
		g.timeout = 5 * time.Second
	}
	return g
}

// WithPorts returns a guard that opens further ports of public addresses, for a protocol that is at home there.
// Everything else stays as it is.
func (g *Guard) WithPorts(ports ...uint16) *Guard {
	next := *g
	next.ports = append(slices.Clone(g.ports), ports...)
	return &next
}

// Dial connects to host:port over TCP where the guard allows it, for protocols that are not HTTP.
func (g *Guard) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.dial(ctx, network, addr)
}

// dial connects to addr if every address that is tried passes the check. The host is remembered here
// because the check itself sees nothing but an address.
func (g *Guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &DeniedError{Address: addr, Reason: "not host:port"}
	}
	d := net.Dialer{
		Timeout: g.timeout, Resolver: g.resolver,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			return g.check(network, address, host)
		},
	}
	return d.DialContext(ctx, network, addr)
}

// check is the decision. It gets the network and the address of one connection that is about to be made,
// and the host that was asked for.
func (g *Guard) check(network, address, host string) error {
	refuse := func(reason string) error { return &DeniedError{Host: host, Address: address, Reason: reason} }
	if network != "tcp4" && network != "tcp6" {
		return refuse("only TCP is allowed")
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse("the address cannot be read")
	}
	if to.Addr().Zone() != "" {
		return refuse("an address with a zone belongs to a link")
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if to.Port() == 0 {
		return refuse("port 0")
	}
	for _, c := range g.closed {
		if c.Prefix.Contains(to.Addr()) {
			return refuse(c.Why)
		}
	}
	if g.deny != nil && g.deny(to) {
		return refuse("it is a listener of this process")
	}
	host = normalHost(host)
	if g.admit != nil && host == to.Addr().String() && g.admit(to) {
		return nil
	}
	for _, r := range g.rules {
		if r.opens(host, to) {
			return nil
		}
	}
	switch {
	case to.Addr().IsLoopback():
		return refuse("loopback")
	case !public(to.Addr()):
		return refuse("not a public address")
	case !slices.Contains(g.ports, to.Port()):
		return refuse("port " + strconv.Itoa(int(to.Port())) + " is not " + g.openPorts())
	}
	return nil
}

func (g *Guard) openPorts() string {
	names := make([]string, len(g.ports))
	for i, p := range g.ports {
		names[i] = strconv.Itoa(int(p))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// CheckURL judges a base URL when it is written, so that a mistake shows beside the field. It is a hint:
// what a name resolves to is judged at every dial. Errors are fault.Invalid about the field base_url.
func (g *Guard) CheckURL(u *url.URL) error {
	bad := func(code, message string) error { return fault.Field(code, "base_url", message) }
	const invalid = "INVALID_BASE_URL"
	switch {
	case u == nil || (u.Scheme != "http" && u.Scheme != "https"):
		return bad(invalid, "The URL must begin with https:// or http://.")
	case u.Opaque != "" || u.Hostname() == "":
		return bad(invalid, "The URL has no host.")
	case u.User != nil:
		return bad(invalid, "The URL must not carry a user name or password; put them into the credential.")
	case u.Fragment != "" || u.RawFragment != "":
		return bad(invalid, "The URL must not have a # part.")
	}
	port := uint16(443)
	if u.Scheme == "http" {
		port = 80
	}
	if text := u.Port(); text != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return bad(invalid, "The port must be a number from 1 to 65535.")
		}
		port = uint16(n)
	}
	host := normalHost(u.Hostname())
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return g.checkName(host, port, bad)
	}
	network := "tcp4"
	if addr.Is6() {
		network = "tcp6"
	}
	if err := g.check(network, netip.AddrPortFrom(addr, port).String(), host); err != nil {
		denied, _ := errors.AsType[*DeniedError](err)
		return fault.Field("EGRESS_DENIED", "base_url", "The egress rules do not allow this address: "+denied.Reason+".").
			WithSuggestion("An operator can allow it with SWITCHGEAR_EGRESS_ALLOW=" + host + "=" + addr.String() + "/" + strconv.Itoa(addr.BitLen()) + ":" + strconv.Itoa(int(port)) + ".")
	}
	return nil
}

func (g *Guard) checkName(host string, port uint16, bad func(code, message string) error) error {
	if !validName(host) {
		return bad("INVALID_BASE_URL", "The host is not a valid name; write international names in their ASCII form (xn--…).")
	}
	// 2130706433, 0x7f.1 and 127.1 are addresses to some programs and names to others.
	last := host[strings.LastIndexByte(host, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		return bad("INVALID_BASE_URL", "Write the address in full, such as 203.0.113.7.")
	}
	ruled := false
	for _, r := range g.rules {
		ruled = ruled || r.matchesHost(host) && r.matchesPort(port)
	}
	switch {
	case ruled:
		return nil
	case host == "localhost" || strings.HasSuffix(host, ".localhost"):
		return bad("EGRESS_DENIED", "The egress rules do not allow this machine itself.")
	case port != 80 && port != 443:
		return bad("EGRESS_DENIED", "The egress rules allow ports 80 and 443 only; an operator can add a rule for this host and port.")
	}
	return nil
}
