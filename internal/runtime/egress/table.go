package egress

import (
	"net/netip"

	"code.dny.dev/ssrf"
)

// closedRange is a range that no rule opens, and why.
type closedRange struct {
	Prefix netip.Prefix
	Why    string
}

// alwaysClosed lists what stays closed whatever the rules say. Loopback is not in it, because a rule that
// names ports opens it.
func alwaysClosed() []closedRange {
	p := netip.MustParsePrefix
	return []closedRange{
		{p("0.0.0.0/8"), "this network"},
		{p("169.254.0.0/16"), "link-local, cloud metadata"},
		{p("224.0.0.0/4"), "multicast"},
		{p("255.255.255.255/32"), "broadcast"},
		{p("168.63.129.16/32"), "Azure platform service"},
		{p("100.100.100.200/32"), "Alibaba Cloud metadata"},
		{p("192.0.0.192/32"), "Oracle Cloud metadata"},
		{p("::/128"), "unspecified"},
		{p("::ffff:0:0:0/96"), "IPv4 in IPv6"},
		{p("64:ff9b::/96"), "NAT64"},
		{p("64:ff9b:1::/48"), "NAT64"},
		{p("2001::/32"), "Teredo"},
		{p("2002::/16"), "6to4"},
		{p("fe80::/10"), "link-local"},
		{p("ff00::/8"), "multicast"},
		{p("fd00:ec2::254/128"), "AWS metadata"},
		{p("fd20:ce::254/128"), "Google Cloud metadata"},
	}
}

// public reports whether IANA lists addr as ordinary, globally reachable unicast. addr is unmapped.
func public(addr netip.Addr) bool {
	denied := ssrf.IPv4DeniedPrefixes
	if addr.Is6() {
		if !ssrf.IPv6GlobalUnicast.Contains(addr) {
			return false
		}
		denied = ssrf.IPv6DeniedPrefixes
	}
	for _, p := range denied {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}
