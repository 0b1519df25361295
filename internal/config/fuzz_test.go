package config_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"switchgear/internal/config"
	"switchgear/internal/fault"
)

// FuzzLoad feeds one line of KEY=VALUE each and checks what every accepted configuration must keep.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "ADDR=:80\nPUBLIC_URL=https://a", "ADDR=[::]:1\nINSECURE_HTTP=1", "DATA=..\nKEY_FILE=../k", "KEY=AAAA", "DRAIN_TIMEOUT=1h\nDEV=t",
		"EGRESS_ALLOW=a=10.0.0.0/8:1-2+3,b=::/0:*", "PUBLIC_URL=http://u:p@[::1%25eth0]:99999/#", "LOG_LEVEL=Error\nTRUSTED_PROXIES=0x1", "ADDRR=1\nPORT=tcp://",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		environ := map[string]string{}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			environ[config.Prefix+name] = value
		}
		c, err := config.Load(environ, nil)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("not a list of problems: %v", err)
			}
			return
		}
		host, _, err := net.SplitHostPort(c.Addr)
		if err != nil {
			t.Errorf("accepted the address %q", c.Addr)
		}
		ip := net.ParseIP(host)
		local := strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
		if !local && !c.SecureCookies() && !c.InsecureHTTP {
			t.Errorf("accepted %q over plain HTTP", c.Addr)
		}
		if c.PublicURL != c.Origin() {
			t.Errorf("public URL %q is not the origin %q", c.PublicURL, c.Origin())
		}
		if c.DrainTimeout < time.Second || c.SessionLifetime < time.Minute {
			t.Errorf("accepted the durations %s and %s", c.DrainTimeout, c.SessionLifetime)
		}
		if c.EffectiveKeyFile() == "" || c.Data == "" {
			t.Error("no key file or data directory")
		}
		again, err := config.Load(environ, map[string]string{"SWITCHGEAR_PUBLIC_URL": c.PublicURL})
		if err != nil || again.PublicURL != c.PublicURL {
			t.Errorf("the canonical public URL %q is not stable: %q, %v", c.PublicURL, again.PublicURL, err)
		}
	})
}
