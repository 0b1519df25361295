package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"switchgear/internal/fault"
)

// Rule opens addresses that are closed by default, or further ports. Host, network and port must all
// match: a name that resolves elsewhere, or another name for the same address, stays closed.
type Rule struct {
	// Host is the host as the URL writes it, in lower case: a name, *.suffix, or an address.
	Host   string
	Prefix netip.Prefix
	// Ports is empty for every port. Loopback needs them named.
	Ports []PortRange
}

// PortRange is an inclusive range of ports.
type PortRange struct{ First, Last uint16 }

// String writes the rule the way [ParseRules] reads it.
func (r Rule) String() string {
	ports := make([]string, len(r.Ports))
	for i, p := range r.Ports {
		ports[i] = strconv.Itoa(int(p.First))
		if p.Last != p.First {
			ports[i] += "-" + strconv.Itoa(int(p.Last))
		}
	}
	if len(ports) == 0 {
		ports = []string{"*"}
	}
	return r.Host + "=" + r.Prefix.String() + ":" + strings.Join(ports, "+")
}

// ParseRules reads rules of the form HOST=CIDR:PORTS. HOST is a name, *.suffix or an address; PORTS is
// 443, 9000-9100, 80+443 or *. A rule that could never open anything is an error (fault.Invalid), because
// somebody relies on it.
func ParseRules(texts []string) ([]Rule, error) {
	rules := make([]Rule, 0, len(texts))
	for _, text := range texts {
		r, err := parseRule(text)
		if err != nil {
			return nil, fault.Newf(fault.Invalid, "The egress rule %q %v (example 127.0.0.1=127.0.0.0/8:9000-9100).", text, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(text string) (Rule, error) {
	host, rest, ok := strings.Cut(text, "=")
	colon := strings.LastIndex(rest, ":")
	if !ok || colon < 0 {
		return Rule{}, errors.New("is not HOST=CIDR:PORTS")
	}
	suffix, wildcard := strings.CutPrefix(host, "*.")
	name := normalHost(suffix)
	if addr, err := netip.ParseAddr(name); (err == nil && (wildcard || addr.Zone() != "")) || (err != nil && !validName(name)) {
		return Rule{}, errors.New("has no valid host before the = sign")
	}
	if wildcard {
		name = "*." + name
	}
	prefix, err := netip.ParsePrefix(rest[:colon])
	switch {
	case err != nil:
		return Rule{}, fmt.Errorf("has no valid network: %q is not like 10.0.0.0/8", rest[:colon])
	case prefix.Addr().Is4In6():
		return Rule{}, errors.New("has an IPv4 network in IPv6 notation; write it as IPv4")
	case prefix != prefix.Masked():
		return Rule{}, fmt.Errorf("names an address inside a network; write %s", prefix.Masked())
	}
	ports, err := parsePorts(rest[colon+1:])
	if err != nil {
		return Rule{}, err
	}
	for _, closed := range alwaysClosed() {
		if closed.Prefix.Bits() <= prefix.Bits() && closed.Prefix.Contains(prefix.Addr()) {
			return Rule{}, fmt.Errorf("can never apply: %s stays closed (%s)", prefix, closed.Why)
		}
	}
	if prefix.Addr().IsLoopback() && len(ports) == 0 {
		return Rule{}, errors.New("opens loopback and must name its ports instead of *")
	}
	return Rule{Host: name, Prefix: prefix, Ports: ports}, nil
}

func parsePorts(text string) ([]PortRange, error) {
	if text == "*" {
		return nil, nil
	}
	var ports []PortRange
	for part := range strings.SplitSeq(text, "+") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 16)
		last, err2 := strconv.ParseUint(high, 10, 16)
		if err1 != nil || err2 != nil || first == 0 || last < first {
			return nil, fmt.Errorf("has no valid ports: %q is not 443, 9000-9100, 80+443 or *", text)
		}
		ports = append(ports, PortRange{uint16(first), uint16(last)})
	}
	return ports, nil
}

// opens reports whether the rule is about this host and opens this address.
func (r Rule) opens(host string, addr netip.AddrPort) bool {
	return r.matchesHost(host) && r.Prefix.Contains(addr.Addr()) && r.matchesPort(addr.Port()) &&
		(len(r.Ports) > 0 || !addr.Addr().IsLoopback())
}

func (r Rule) matchesHost(host string) bool {
	if suffix, ok := strings.CutPrefix(r.Host, "*"); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return r.Host == host
}

func (r Rule) matchesPort(port uint16) bool {
	if len(r.Ports) == 0 {
		return true
	}
	for _, p := range r.Ports {
		if p.First <= port && port <= p.Last {
			return true
		}
	}
	return false
}

// normalHost brings a host into the form that rules are written in: lower case, without the final dot,
// addresses in their shortest form.
func normalHost(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); err == nil {
		return addr.Unmap().String()
	}
	return host
}

func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
