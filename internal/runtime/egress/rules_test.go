package egress_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/internal/fault"
	"switchgear/internal/runtime/egress"
)

func TestParseRules(t *testing.T) {
	t.Parallel()
	got, err := egress.ParseRules([]string{
		"127.0.0.1=127.0.0.0/8:9000-9100", "*.Corp.Example=fd00::/8:80+443", "db.=10.1.0.0/16:*", "::1=::1/128:9000",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []egress.Rule{
		{Host: "127.0.0.1", Prefix: netip.MustParsePrefix("127.0.0.0/8"), Ports: []egress.PortRange{{First: 9000, Last: 9100}}},
		{Host: "*.corp.example", Prefix: netip.MustParsePrefix("fd00::/8"), Ports: []egress.PortRange{{First: 80, Last: 80}, {First: 443, Last: 443}}},
		{Host: "db", Prefix: netip.MustParsePrefix("10.1.0.0/16")},
		{Host: "::1", Prefix: netip.MustParsePrefix("::1/128"), Ports: []egress.PortRange{{First: 9000, Last: 9000}}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	for i, text := range []string{"127.0.0.1=127.0.0.0/8:9000-9100", "*.corp.example=fd00::/8:80+443", "db=10.1.0.0/16:*"} {
		if got[i].String() != text {
			t.Errorf("String() = %q, want %q", got[i], text)
		}
	}
}

func TestParseRulesRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "is not HOST=CIDR:PORTS",
		"db":                          "is not HOST=CIDR:PORTS",
		"db=10.0.0.0/8":               "is not HOST=CIDR:PORTS",
		"=10.0.0.0/8:443":             "no valid host",
		"a b=10.0.0.0/8:443":          "no valid host",
		"*.=10.0.0.0/8:443":           "no valid host",
		"*.10.0.0.1=10.0.0.0/8:443":   "no valid host",
		"fe80::1%eth0=fe80::/10:443":  "no valid host",
		"db=10.0.0.1:443":             "no valid network",
		"db=10.0.0.1/8:443":           "write 10.0.0.0/8",
		"db=::ffff:10.0.0.0/104:443":  "write it as IPv4",
		"db=10.0.0.0/8:0":             "no valid ports",
		"db=10.0.0.0/8:9-1":           "no valid ports",
		"db=10.0.0.0/8:65536":         "no valid ports",
		"db=10.0.0.0/8:":              "no valid ports",
		"db=10.0.0.0/8:1++2":          "no valid ports",
		"m=169.254.169.254/32:80":     "stays closed (link-local, cloud metadata)",
		"m=168.63.129.16/32:*":        "stays closed (Azure",
		"m=64:ff9b::7f00:1/128:80":    "stays closed (NAT64)",
		"m=fd00:ec2::254/128:80":      "stays closed (AWS",
		"localhost=127.0.0.0/8:*":     "must name its ports",
		"localhost=::1/128:*":         "must name its ports",
		"localhost=127.0.0.1/32:*+80": "no valid ports",
	} {
		_, err := egress.ParseRules([]string{"ok=10.0.0.0/8:443", text})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRules(%q) = %v, want %q", text, err, want)
		}
	}
}
