// Package config is the process's configuration: one struct, read once, passed on by value.
//
// The tags of [Config] are the only source: they drive loading, flags, `console config` and
// docs/configuration.md. Invariants:
//
//   - [Load] is pure. It sees the environment it is given and touches neither the process nor the disk.
//   - Every problem is reported at once, so that a start is repaired in one go.
//   - An unknown SWITCHGEAR_ variable is a problem: a setting with a typing error must not be ignored.
//   - The value of a secret appears in no message, table or document.
package config

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"switchgear/internal/telemetry"
)

// Prefix is what the name of every environment variable of ours begins with.
const Prefix = "SWITCHGEAR_"

// Config is the effective configuration. The zero value is not usable; [Load] makes a checked one.
type Config struct {
	Addr            string           `env:"ADDR" envDefault:"127.0.0.1:8080" example:"127.0.0.1:8080" desc:"Where the console listens, as host:port. Port 0 lets the system choose one."`
	GatewayAddr     string           `env:"GATEWAY_ADDR" example:"127.0.0.1:8081" desc:"A separate listener for the gateway and webhook ingest. Empty: the console listener serves them."`
	MetricsAddr     string           `env:"METRICS_ADDR" example:"127.0.0.1:9464" desc:"A separate listener for /metrics, without authentication. Empty: the console listener serves it to API keys."`
	Data            string           `env:"DATA" envDefault:"./data" example:"/var/lib/switchgear/data" desc:"The data directory. It is created with mode 0700; one process at a time uses it."`
	KeyFile         string           `env:"KEY_FILE" example:"/etc/switchgear/switchgear.key" desc:"The file that holds the master key. It must lie outside the data directory. Empty: switchgear.key beside the data directory."`
	Key             telemetry.Secret `env:"KEY" desc:"The master key itself, 32 bytes in base64, for platforms that inject secrets. Empty: it is read from the key file. It has no flag, because other users can read the flags of a process."`
	KeyPrevious     telemetry.Secret `env:"KEY_PREVIOUS" desc:"The master key before a rotation, 32 bytes in base64. A database that it still wraps opens, and is wrapped with the present key. It has no flag, because other users can read the flags of a process."`
	KeyPreviousFile string           `env:"KEY_PREVIOUS_FILE" example:"/etc/switchgear/switchgear.key.previous" desc:"The file that holds the master key before a rotation. Empty: what a rotation left beside the key file. It must lie outside the data directory."`
	PublicURL       string           `env:"PUBLIC_URL" example:"https://switchgear.example.com" desc:"How browsers and providers reach the console: scheme and host, no path. Needed behind a reverse proxy; https makes cookies secure."`
	EgressAllow     []string         `env:"EGRESS_ALLOW" example:"127.0.0.1=127.0.0.0/8:9000-9100" desc:"Private addresses that connections may reach, as a comma-separated list of HOST=CIDR:PORTS. PORTS is 443, 9000-9100, 80+443 or *. Public addresses need no rule."`
	APIKeyLimits    Rates            `env:"API_KEY_LIMITS" envDefault:"100/1s,3000/1m" example:"20/1s,500/1m" desc:"What one API key may ask of the machine API, as a comma-separated list of REQUESTS/WINDOW that all hold at once. Calls through the gateway do not count."`
	APIClientLimits Rates            `env:"API_CLIENT_LIMITS" envDefault:"200/1s,6000/1m" example:"50/1s,1000/1m" desc:"The same for one client address, whatever key it shows; an IPv6 client is its /64 network."`
	LogLevel        slog.Level       `env:"LOG_LEVEL" envDefault:"info" example:"debug" desc:"The least severe level that is logged: debug, info, warn or error."`
	LogCalls        string           `env:"LOG_CALLS" envDefault:"failures" example:"all" desc:"Which calls through the gateway get a line in the log: all, failures (errors of ours and what counts against the upstream) or off. Every call is in the call log and in the metrics all the same."`
	OTLPEndpoint    string           `env:"OTLP_ENDPOINT" example:"http://127.0.0.1:4318" desc:"Where traces are sent, over OTLP/HTTP: the base URL of a collector (/v1/traces is added), or the whole URL. Any address may be given, whatever the egress rules say. Empty: no traces; the traceparent of callers passes on all the same."`
	OTLPHeaders     telemetry.Secret `env:"OTLP_HEADERS" desc:"Headers for the collector, as a comma-separated list of NAME=VALUE. It has no flag, because a credential may be among them."`
	TraceRatio      float64          `env:"TRACE_RATIO" envDefault:"1" example:"0.1" desc:"Which part of the traces that begin here is recorded, from 0 to 1. A trace that a caller began is recorded when the caller says so."`
	TrustedProxies  int              `env:"TRUSTED_PROXIES" envDefault:"0" example:"1" desc:"How many reverse proxies stand in front. That many entries at the end of X-Forwarded-For are believed; 0 believes none."`
	InsecureHTTP    bool             `env:"INSECURE_HTTP" envDefault:"false" example:"true" desc:"Allow the console over plain HTTP beyond this machine. Passwords and sessions can then be read on the network."`
	Dev             bool             `env:"DEV" envDefault:"false" example:"true" desc:"Development mode: serve the gallery of components at /dev/gallery."`
	DrainTimeout    time.Duration    `env:"DRAIN_TIMEOUT" envDefault:"25s" example:"25s" desc:"How long running requests may take to finish after a request to stop. Between 1s and 10m."`
	DrainDelay      time.Duration    `env:"DRAIN_DELAY" envDefault:"0s" example:"5s" desc:"How long /readyz answers 503 before the listeners close, so that a load balancer sends nothing new. Part of the drain timeout. Between 0s and 1m."`
	SessionLifetime time.Duration    `env:"SESSION_LIFETIME" envDefault:"12h" example:"12h" desc:"How long a sign-in lasts. Between 5m and 720h."`

	// sources tells where each value came from, by environment name; Fields reports it.
	sources map[string]Source
}

// EffectiveKeyFile is the file the master key is read from: KeyFile, or switchgear.key beside the data
// directory.
func (c Config) EffectiveKeyFile() string {
	if c.KeyFile != "" {
		return c.KeyFile
	}
	return filepath.Join(filepath.Dir(filepath.Clean(c.Data)), "switchgear.key")
}

// SecureCookies reports whether browsers reach the console over https, so that cookies can be limited
// to it.
func (c Config) SecureCookies() bool {
	u, err := url.Parse(c.PublicURL)
	return err == nil && u.Scheme == "https"
}

// Origin is the origin of PublicURL (scheme://host[:port], lower case), empty when none is set.
func (c Config) Origin() string {
	if c.PublicURL == "" {
		return ""
	}
	origin, err := parseOrigin(c.PublicURL)
	if err != nil {
		return ""
	}
	return origin
}
