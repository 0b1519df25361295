package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/telemetry"
	"switchgear/internal/webaddress"
)

// Names of settings that the rules below speak about.
const (
	envAddr         = Prefix + "ADDR"
	envGatewayAddr  = Prefix + "GATEWAY_ADDR"
	envMetricsAddr  = Prefix + "METRICS_ADDR"
	envData         = Prefix + "DATA"
	envKeyFile      = Prefix + "KEY_FILE"
	envKey          = Prefix + "KEY"
	envPrevious     = Prefix + "KEY_PREVIOUS"
	envPreviousFile = Prefix + "KEY_PREVIOUS_FILE"
	envPublicURL    = Prefix + "PUBLIC_URL"
	envEgress       = Prefix + "EGRESS_ALLOW"
	envProxies      = Prefix + "TRUSTED_PROXIES"
	envLogLevel     = Prefix + "LOG_LEVEL"
	envInsecureHTTP = Prefix + "INSECURE_HTTP"
	envLogCalls     = Prefix + "LOG_CALLS"
	envOTLP         = Prefix + "OTLP_ENDPOINT"
	envOTLPHeaders  = Prefix + "OTLP_HEADERS"
	envTraceRatio   = Prefix + "TRACE_RATIO"
	envDrain        = Prefix + "DRAIN_TIMEOUT"
	envDelay        = Prefix + "DRAIN_DELAY"
	envSession      = Prefix + "SESSION_LIFETIME"
)

const maxTrustedProxies = 10

// check applies the rules that one value, or several together, must keep. It also brings PublicURL into
// its canonical form.
func (p *problems) check(c *Config) {
	p.checkAddresses(c)
	p.checkPublicURL(c)
	p.checkKey(c)
	for _, rule := range c.EgressAllow {
		if err := checkEgressRule(rule); err != nil {
			p.add(envEgress, "%q %v (example 127.0.0.1=127.0.0.0/8:9000-9100)", clip(rule), err)
		}
	}
	if !p.has(envProxies) && (c.TrustedProxies < 0 || c.TrustedProxies > maxTrustedProxies) {
		p.add(envProxies, "%d is not between 0 and %d", c.TrustedProxies, maxTrustedProxies)
	}
	p.checkTraces(c)
	switch c.LogCalls {
	case "all", "failures", "off":
	default:
		p.add(envLogCalls, "%q is none of all, failures, off", clip(c.LogCalls))
	}
	p.checkDuration(envDrain, c.DrainTimeout, time.Second, 10*time.Minute)
	p.checkDuration(envDelay, c.DrainDelay, 0, time.Minute)
	if !p.has(envDrain) && !p.has(envDelay) && c.DrainDelay >= c.DrainTimeout {
		p.add(envDelay, "%s leaves nothing of the drain timeout (%s)", short(c.DrainDelay), short(c.DrainTimeout))
	}
	p.checkDuration(envSession, c.SessionLifetime, 5*time.Minute, 30*24*time.Hour)
}

func (p *problems) checkDuration(name string, d, low, high time.Duration) {
	if !p.has(name) && (d < low || d > high) {
		p.add(name, "%s is not between %s and %s", short(d), short(low), short(high))
	}
}

func (p *problems) checkAddresses(c *Config) {
	taken := map[string]string{}
	for _, a := range []struct{ name, value, example string }{
		{envAddr, c.Addr, "127.0.0.1:8080"},
		{envGatewayAddr, c.GatewayAddr, "127.0.0.1:8081"},
		{envMetricsAddr, c.MetricsAddr, "127.0.0.1:9464"},
	} {
		if a.value == "" {
			continue
		}
		if !validAddr(a.value) {
			p.add(a.name, "%q is not host:port (example %s)", clip(a.value), a.example)
			continue
		}
		if _, port, _ := net.SplitHostPort(a.value); port == "0" {
			continue
		}
		if other, ok := taken[a.value]; ok {
			p.add(a.name, "%s is already used by %s; choose another port", a.value, other)
			continue
		}
		taken[a.value] = a.name
	}
}

// validAddr accepts host:port with a name, an address or nothing as the host, and a number as the port.
func validAddr(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	return host == "" || validHost(host)
}

func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`).MatchString(host)
}

// loopback reports whether host can only be reached from this machine. No host means every address.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (p *problems) checkPublicURL(c *Config) {
	if c.PublicURL != "" {
		origin, err := parseOrigin(c.PublicURL)
		if err != nil {
			p.add(envPublicURL, "%v (example https://switchgear.example.com)", err)
			return
		}
		c.PublicURL = origin
	}
	if c.InsecureHTTP || c.SecureCookies() || p.has(envInsecureHTTP) {
		return
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err == nil && !loopback(u.Hostname()) {
			p.add(envPublicURL, "%q would carry passwords over plain HTTP; use https, or set %s=true on a network you trust", c.PublicURL, envInsecureHTTP)
			return
		}
	}
	if p.has(envAddr) {
		return
	}
	if host, _, err := net.SplitHostPort(c.Addr); err == nil && !loopback(host) {
		p.add(envAddr, "%q can be reached from other machines over plain HTTP; put a TLS proxy in front and set %s=https://…, listen on 127.0.0.1, or set %s=true on a network you trust", c.Addr, envPublicURL, envInsecureHTTP)
	}
}

// parseOrigin reads an absolute http or https URL that is nothing but an origin. Its errors do not
// repeat the URL, which may hold a password.
func parseOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", errors.New("is not a URL")
	case u.User != nil:
		return "", errors.New("must not hold a user name or password")
	}
	scheme := strings.ToLower(u.Scheme)
	switch {
	case scheme != "http" && scheme != "https", u.Opaque != "", u.Hostname() == "":
		return "", fmt.Errorf("%q is not an absolute http or https URL", clip(s))
	case !validHost(u.Hostname()):
		return "", fmt.Errorf("%q has no valid host", clip(s))
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, strings.Contains(s, "#"):
		return "", fmt.Errorf("%q must be scheme and host only, without path, query or fragment", clip(s))
	}
	if !webaddress.ValidPort(u) {
		return "", fmt.Errorf("%q has no valid port", clip(s))
	}
	host := strings.ToLower(u.Host)
	// Browsers leave the default port out of the Origin header.
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	return scheme + "://" + host, nil
}

func (p *problems) checkKey(c *Config) {
	p.checkPreviousKey(c)
	if !c.Key.IsZero() {
		if !validKey(c.Key) {
			p.add(envKey, "is not 32 bytes in base64; `openssl rand -base64 32` makes one")
		}
		if c.KeyFile != "" {
			p.add(envKeyFile, "and %s are both set; keep one", envKey)
		}
		return
	}
	data := filepath.Clean(c.Data)
	if base := filepath.Base(data); base == ".." {
		p.add(envData, "%q does not name a directory; give its name (example ./data)", c.Data)
		return
	}
	file := c.EffectiveKeyFile()
	if !inside(data, file) {
		return
	}
	if c.KeyFile == "" {
		p.add(envData, "%q would hold its own key file; name a directory below it (example ./data) or set %s", c.Data, envKeyFile)
		return
	}
	p.add(envKeyFile, "%q lies inside the data directory %q; a copy of the data would carry its key, so keep it elsewhere", c.KeyFile, c.Data)
}

func (p *problems) checkPreviousKey(c *Config) {
	if !c.KeyPrevious.IsZero() && !validKey(c.KeyPrevious) {
		p.add(envPrevious, "is not 32 bytes in base64")
	}
	if c.KeyPreviousFile != "" && inside(filepath.Clean(c.Data), c.KeyPreviousFile) {
		p.add(envPreviousFile, "%q lies inside the data directory %q; a copy of the data would carry its key, so keep it elsewhere", c.KeyPreviousFile, c.Data)
	}
}

func validKey(key telemetry.Secret) bool {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(key.Reveal()))
	return err == nil && len(raw) == 32
}

// inside reports whether a file lies inside a folder. Whether a relative path lies inside an absolute one
// depends on the working directory, which Load does not know: such a pair passes.
func inside(folder, file string) bool {
	rel, err := filepath.Rel(folder, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// checkEgressRule checks the form HOST=CIDR:PORTS.
func checkEgressRule(rule string) error {
	host, rest, ok := strings.Cut(rule, "=")
	if !ok {
		return errors.New("is not HOST=CIDR:PORTS")
	}
	if !validHost(strings.TrimPrefix(host, "*.")) {
		return fmt.Errorf("has no valid host before the = sign: %q", clip(host))
	}
	colon := strings.LastIndex(rest, ":")
	if colon < 0 {
		return errors.New("names no ports after the last colon")
	}
	prefix, err := netip.ParsePrefix(rest[:colon])
	if err != nil {
		return fmt.Errorf("has no valid network: %q is not like 10.0.0.0/8", clip(rest[:colon]))
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("names an address inside a network; write %s", prefix.Masked())
	}
	return checkPorts(rest[colon+1:])
}

func checkPorts(ports string) error {
	if ports == "*" {
		return nil
	}
	for part := range strings.SplitSeq(ports, "+") {
		low, high, isRange := strings.Cut(part, "-")
		first, err1 := parsePort(low)
		last := first
		var err2 error
		if isRange {
			last, err2 = parsePort(high)
		}
		if err1 != nil || err2 != nil || last < first {
			return fmt.Errorf("has no valid ports: %q is not 443, 9000-9100, 80+443 or *", clip(ports))
		}
	}
	return nil
}

func parsePort(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && n == 0 {
		return 0, errors.New("port 0")
	}
	return n, err
}
