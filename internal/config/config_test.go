package config_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchgear/internal/config"
	"switchgear/internal/fault"
	"switchgear/internal/telemetry"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := config.Load(map[string]string{"PATH": "/bin", "SWITCHGEARX": "no prefix"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Addr: "127.0.0.1:8080", Data: "./data", LogLevel: slog.LevelInfo, LogCalls: "failures", TraceRatio: 1,
		DrainTimeout: 25 * time.Second, SessionLifetime: 12 * time.Hour,
		APIKeyLimits:    config.Rates{{100, time.Second}, {3000, time.Minute}},
		APIClientLimits: config.Rates{{200, time.Second}, {6000, time.Minute}},
	}
	if diff := cmp.Diff(want, got, compare()...); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.EffectiveKeyFile() != "switchgear.key" || got.SecureCookies() || got.Origin() != "" {
		t.Errorf("key file %q, secure cookies %v, origin %q", got.EffectiveKeyFile(), got.SecureCookies(), got.Origin())
	}
	for _, f := range got.Fields() {
		if f.Source != config.SourceDefault || f.Value != f.Default {
			t.Errorf("%s = %q from %s, want the default %q", f.Env, f.Value, f.Source, f.Default)
		}
	}
}

func compare() []cmp.Option {
	return []cmp.Option{
		cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b telemetry.Secret) bool { return a.Reveal() == b.Reveal() }),
	}
}

func TestEverySettingIsRead(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	environ := map[string]string{
		"SWITCHGEAR_ADDR": "0.0.0.0:80", "SWITCHGEAR_GATEWAY_ADDR": "[::1]:81", "SWITCHGEAR_METRICS_ADDR": "localhost:82",
		"SWITCHGEAR_DATA": "/srv/data/", "SWITCHGEAR_KEY": key, "SWITCHGEAR_PUBLIC_URL": "HTTPS://Console.Example.com:443/",
		"SWITCHGEAR_EGRESS_ALLOW": "127.0.0.1=127.0.0.0/8:9000-9100,*.corp.example=fd00::/8:80+443,db=10.1.0.0/16:*",
		"SWITCHGEAR_LOG_LEVEL":    "WARN", "SWITCHGEAR_TRUSTED_PROXIES": "2", "SWITCHGEAR_INSECURE_HTTP": "true", "SWITCHGEAR_DEV": "1",
		"SWITCHGEAR_DRAIN_TIMEOUT": "5s", "SWITCHGEAR_SESSION_LIFETIME": "90m",
		"SWITCHGEAR_LOG_CALLS": "all", "SWITCHGEAR_OTLP_ENDPOINT": "http://127.0.0.1:4318", "SWITCHGEAR_TRACE_RATIO": "0.25",
		"SWITCHGEAR_OTLP_HEADERS":   "authorization=Bearer c2VjcmV0LXRva2Vu==, x-tenant=a b",
		"SWITCHGEAR_API_KEY_LIMITS": "5/1s, 500/24h", "SWITCHGEAR_API_CLIENT_LIMITS": "1/90s",
	}
	got, err := config.Load(environ, map[string]string{"SWITCHGEAR_DRAIN_TIMEOUT": "6s", "SWITCHGEAR_DEV": ""})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		Addr: "0.0.0.0:80", GatewayAddr: "[::1]:81", MetricsAddr: "localhost:82", Data: "/srv/data/",
		Key: telemetry.NewSecret(key), PublicURL: "https://console.example.com",
		EgressAllow: []string{"127.0.0.1=127.0.0.0/8:9000-9100", "*.corp.example=fd00::/8:80+443", "db=10.1.0.0/16:*"},
		LogLevel:    slog.LevelWarn, TrustedProxies: 2, InsecureHTTP: true, Dev: false,
		DrainTimeout: 6 * time.Second, SessionLifetime: 90 * time.Minute,
		LogCalls: "all", OTLPEndpoint: "http://127.0.0.1:4318/v1/traces", TraceRatio: 0.25,
		OTLPHeaders:  telemetry.NewSecret("authorization=Bearer c2VjcmV0LXRva2Vu==, x-tenant=a b"),
		APIKeyLimits: config.Rates{{5, time.Second}, {500, 24 * time.Hour}}, APIClientLimits: config.Rates{{1, 90 * time.Second}},
	}
	if diff := cmp.Diff(want, got, compare()...); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.EffectiveKeyFile() != "/srv/switchgear.key" || !got.SecureCookies() || got.Origin() != "https://console.example.com" {
		t.Errorf("key file %q, secure cookies %v, origin %q", got.EffectiveKeyFile(), got.SecureCookies(), got.Origin())
	}

	type seen struct {
		Value  string
		Source config.Source
	}
	fields := map[string]seen{}
	for _, f := range got.Fields() {
		fields[f.Env] = seen{f.Value, f.Source}
	}
	for env, want := range map[string]seen{
		"SWITCHGEAR_KEY":              {telemetry.Redacted, config.SourceEnvironment},
		"SWITCHGEAR_DRAIN_TIMEOUT":    {"6s", config.SourceFlag},
		"SWITCHGEAR_DEV":              {"false", config.SourceDefault},
		"SWITCHGEAR_SESSION_LIFETIME": {"1h30m", config.SourceEnvironment},
		"SWITCHGEAR_LOG_LEVEL":        {"warn", config.SourceEnvironment},
		"SWITCHGEAR_KEY_FILE":         {"", config.SourceDefault},
	} {
		if fields[env] != want {
			t.Errorf("%s = %v, want %v", env, fields[env], want)
		}
	}
	shown, err := json.Marshal(got.Fields())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(shown), fmt.Sprintf("%+v %#v", got, got)} {
		if strings.Contains(text, key) {
			t.Errorf("the key is shown: %s", text)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, f := range (config.Config{}).Fields() {
		got[f.Env] = f.Flag
		if f.Description == "" || f.Env == config.Prefix || (f.Example == "" && f.Type != "secret") {
			t.Errorf("a tag is missing: %+v", f)
		}
		if f.Example != "" {
			// Alone, an example may lack its companion (an address wants https); it must never be malformed.
			if _, err := config.Load(map[string]string{f.Env: f.Example, "SWITCHGEAR_INSECURE_HTTP": "true"}, nil); err != nil {
				t.Errorf("the example of %s is refused: %v", f.Env, err)
			}
		}
	}
	for env, flag := range map[string]string{"SWITCHGEAR_ADDR": "addr", "SWITCHGEAR_INSECURE_HTTP": "insecure-http", "SWITCHGEAR_KEY": ""} {
		if got[env] != flag {
			t.Errorf("flag of %s is %q, want %q", env, got[env], flag)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	const canary = "canary-90f"
	for name, c := range map[string]struct {
		env, flags map[string]string
		want       []string // one for each expected line, in order
	}{
		"address":              {env: m("ADDR", "x"), want: []string{`SWITCHGEAR_ADDR: "x" is not host:port (example 127.0.0.1:8080)`}},
		"port too big":         {env: m("ADDR", "127.0.0.1:65536"), want: []string{`SWITCHGEAR_ADDR: "127.0.0.1:65536" is not host:port`}},
		"port name":            {env: m("METRICS_ADDR", "127.0.0.1:http"), want: []string{`SWITCHGEAR_METRICS_ADDR: "127.0.0.1:http" is not host:port`}},
		"host with space":      {env: m("GATEWAY_ADDR", "a b:80"), want: []string{`SWITCHGEAR_GATEWAY_ADDR: "a b:80" is not host:port (example 127.0.0.1:8081)`}},
		"flag":                 {flags: m("ADDR", "x"), want: []string{`SWITCHGEAR_ADDR (--addr): "x" is not host:port`}},
		"same address":         {env: m("METRICS_ADDR", "127.0.0.1:8080"), want: []string{`SWITCHGEAR_METRICS_ADDR: 127.0.0.1:8080 is already used by SWITCHGEAR_ADDR`}},
		"typing error":         {env: m("ADRR", canary), want: []string{`SWITCHGEAR_ADRR: is not a setting; did you mean SWITCHGEAR_ADDR?`}},
		"unknown":              {env: m("COLOUR_OF_MY_HAT", canary), want: []string{"SWITCHGEAR_COLOUR_OF_MY_HAT: is not a setting; `console config` lists them"}},
		"level":                {env: m("LOG_LEVEL", "info+2"), want: []string{`SWITCHGEAR_LOG_LEVEL: "info+2" is not one of debug, info, warn, error (example debug)`}},
		"number":               {env: m("TRUSTED_PROXIES", "one"), want: []string{`SWITCHGEAR_TRUSTED_PROXIES: "one" is not a whole number (example 1)`}},
		"negative number":      {env: m("TRUSTED_PROXIES", "-1"), want: []string{`SWITCHGEAR_TRUSTED_PROXIES: -1 is not between 0 and 10`}},
		"calls to log":         {env: m("LOG_CALLS", "some"), want: []string{`SWITCHGEAR_LOG_CALLS: "some" is none of all, failures, off`}},
		"public URL, zeros":    {env: m("PUBLIC_URL", "https://example.com:0443"), want: []string{`SWITCHGEAR_PUBLIC_URL: "https://example.com:0443" has no valid port`}},
		"collector's port":     {env: m("OTLP_ENDPOINT", "http://127.0.0.1:04318"), want: []string{`SWITCHGEAR_OTLP_ENDPOINT: is not an http or https URL`}},
		"collector":            {env: m("OTLP_ENDPOINT", "127.0.0.1:4318"), want: []string{`SWITCHGEAR_OTLP_ENDPOINT: is not an http or https URL`}},
		"collector with user":  {env: m("OTLP_ENDPOINT", "http://a:"+canary+"@b"), want: []string{`SWITCHGEAR_OTLP_ENDPOINT: is not an http or https URL`}},
		"collector's headers":  {env: m("OTLP_HEADERS", canary), want: []string{`SWITCHGEAR_OTLP_HEADERS: is not a comma-separated list of NAME=VALUE`}},
		"header's name":        {env: m("OTLP_HEADERS", "a b="+canary), want: []string{`SWITCHGEAR_OTLP_HEADERS: is not a comma-separated list of NAME=VALUE`}},
		"ratio":                {env: m("TRACE_RATIO", "1.5"), want: []string{`SWITCHGEAR_TRACE_RATIO: 1.5 is not between 0 and 1`}},
		"ratio, no number":     {env: m("TRACE_RATIO", "NaN"), want: []string{`SWITCHGEAR_TRACE_RATIO: NaN is not between 0 and 1`}},
		"boolean":              {env: m("DEV", "maybe"), want: []string{`SWITCHGEAR_DEV: "maybe" is not true or false (example true)`}},
		"duration":             {env: m("DRAIN_TIMEOUT", "25"), want: []string{`SWITCHGEAR_DRAIN_TIMEOUT: "25" is not a duration (example 25s)`}},
		"negative duration":    {env: m("DRAIN_TIMEOUT", "-1s"), want: []string{`SWITCHGEAR_DRAIN_TIMEOUT: -1s is not between 1s and 10m`}},
		"endless session":      {env: m("SESSION_LIFETIME", "9000h"), want: []string{`SWITCHGEAR_SESSION_LIFETIME: 9000h is not between 5m and 720h`}},
		"open without TLS":     {env: m("ADDR", ":8080"), want: []string{`SWITCHGEAR_ADDR: ":8080" can be reached from other machines over plain HTTP`}},
		"plain public URL":     {env: m("PUBLIC_URL", "http://console.example.com"), want: []string{`SWITCHGEAR_PUBLIC_URL: "http://console.example.com" would carry passwords over plain HTTP`}},
		"public URL path":      {env: m("PUBLIC_URL", "https://example.com/console"), want: []string{`SWITCHGEAR_PUBLIC_URL: "https://example.com/console" must be scheme and host only`}},
		"public URL query":     {env: m("PUBLIC_URL", "https://example.com?"), want: []string{`SWITCHGEAR_PUBLIC_URL: "https://example.com?" must be scheme and host only`}},
		"public URL fragment":  {env: m("PUBLIC_URL", "https://example.com#"), want: []string{`SWITCHGEAR_PUBLIC_URL: "https://example.com#" must be scheme and host only`}},
		"public URL relative":  {env: m("PUBLIC_URL", "example.com"), want: []string{`SWITCHGEAR_PUBLIC_URL: "example.com" is not an absolute http or https URL`}},
		"public URL scheme":    {env: m("PUBLIC_URL", "ftp://example.com"), want: []string{`SWITCHGEAR_PUBLIC_URL: "ftp://example.com" is not an absolute http or https URL`}},
		"public URL port":      {env: m("PUBLIC_URL", "https://example.com:0"), want: []string{`SWITCHGEAR_PUBLIC_URL: "https://example.com:0" has no valid port`}},
		"public URL user":      {env: m("PUBLIC_URL", "https://me:"+canary+"@example.com"), want: []string{`SWITCHGEAR_PUBLIC_URL: must not hold a user name or password`}},
		"public URL broken":    {env: m("PUBLIC_URL", "https://me:"+canary+"@exa mple.com"), want: []string{`SWITCHGEAR_PUBLIC_URL: is not a URL`}},
		"key":                  {env: m("KEY", canary), want: []string{`SWITCHGEAR_KEY: is not 32 bytes in base64`}},
		"key and file":         {env: m("KEY", canary, "KEY_FILE", "/k"), want: []string{`SWITCHGEAR_KEY: is not`, `SWITCHGEAR_KEY_FILE: and SWITCHGEAR_KEY are both set; keep one`}},
		"key file in data":     {env: m("KEY_FILE", "data/../data/k"), want: []string{`SWITCHGEAR_KEY_FILE: "data/../data/k" lies inside the data directory "./data"`}},
		"previous key":         {env: m("KEY_PREVIOUS", canary, "KEY_PREVIOUS_FILE", "data/k"), want: []string{`SWITCHGEAR_KEY_PREVIOUS: is not 32 bytes`, `SWITCHGEAR_KEY_PREVIOUS_FILE: "data/k" lies inside the data directory "./data"`}},
		"key file is the data": {env: m("KEY_FILE", "./data"), want: []string{`SWITCHGEAR_KEY_FILE: "./data" lies inside`}},
		"data is here":         {env: m("DATA", "."), want: []string{`SWITCHGEAR_DATA: "." would hold its own key file`}},
		"data is the root":     {env: m("DATA", "/"), want: []string{`SWITCHGEAR_DATA: "/" would hold its own key file`}},
		"data is above":        {env: m("DATA", "../.."), want: []string{`SWITCHGEAR_DATA: "../.." does not name a directory`}},
		"limits, form":         {env: m("API_KEY_LIMITS", "5"), want: []string{`SWITCHGEAR_API_KEY_LIMITS: "5" is not a list of REQUESTS/WINDOW (example 20/1s,500/1m)`}},
		"limits, none":         {env: m("API_KEY_LIMITS", "0/1s"), want: []string{`SWITCHGEAR_API_KEY_LIMITS: "0/1s" is not a list`}},
		"limits, too short":    {env: m("API_CLIENT_LIMITS", "1/100ms"), want: []string{`SWITCHGEAR_API_CLIENT_LIMITS: "1/100ms" is not a list`}},
		"limits, too many":     {env: m("API_CLIENT_LIMITS", "1/1s,1/2s,1/3s,1/4s,1/5s"), want: []string{`SWITCHGEAR_API_CLIENT_LIMITS: "1/1s,1/2s,1/3s,1/4s,1/5s" is not a list`}},
		"egress form":          {env: m("EGRESS_ALLOW", "db"), want: []string{`SWITCHGEAR_EGRESS_ALLOW: "db" is not HOST=CIDR:PORTS (example`}},
		"egress rules": {
			env:  m("EGRESS_ALLOW", "a=10.0.0.0/8:443,b=10.0.0.1/8:443,c=10.0.0.1:443,d=10.0.0.0/8,e=10.0.0.0/8:9-1,f=10.0.0.0/8:0,=10.0.0.0/8:1,g=10.0.0.0/8:1++2"),
			want: []string{`"b=10.0.0.1/8:443" names an address inside a network; write 10.0.0.0/8`, `"c=10.0.0.1:443" has no valid network`, `"d=10.0.0.0/8" names no ports`, `"e=10.0.0.0/8:9-1" has no valid ports: "9-1"`, `"f=10.0.0.0/8:0" has no valid ports`, `"=10.0.0.0/8:1" has no valid host`, `"g=10.0.0.0/8:1++2" has no valid ports`},
		},
		"all at once": {
			env:  m("ADDR", "x", "DRAIN_TIMEOUT", "y", "LOG_LEVEL", "z", "ZZZ", "1"),
			want: []string{"SWITCHGEAR_ADDR: ", "SWITCHGEAR_DRAIN_TIMEOUT: ", "SWITCHGEAR_LOG_LEVEL: ", "SWITCHGEAR_ZZZ: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(c.env, c.flags)
			if !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != "INVALID_CONFIGURATION" {
				t.Fatalf("error %v, want an invalid configuration", err)
			}
			heading, list, _ := strings.Cut(err.Error(), "\n")
			if lines := strings.Split(list, "\n"); len(lines) != len(c.want) {
				t.Errorf("%d problems, want %d: %v", len(lines), len(c.want), err)
			}
			if many := fmt.Sprintf("has %d problems", len(c.want)); len(c.want) > 1 && !strings.Contains(heading, many) {
				t.Errorf("heading %q", heading)
			}
			for _, want := range c.want {
				_, rest, ok := strings.Cut(list, want)
				if !ok {
					t.Errorf("missing %q in:\n%s", want, err)
					continue
				}
				list = rest
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats what may be a secret: %v", err)
			}
		})
	}
}

func TestNoProblems(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"empty is not set":         m("ADDR", "", "NO_SUCH_SETTING", ""),
		"open behind a proxy":      m("ADDR", ":8080", "PUBLIC_URL", "https://example.com"),
		"open on purpose":          m("ADDR", "0.0.0.0:8080", "INSECURE_HTTP", "true"),
		"local name":               m("ADDR", "localhost:0", "PUBLIC_URL", "http://localhost:8080"),
		"IPv6":                     m("ADDR", "[::1]:8080", "PUBLIC_URL", "https://[2001:db8::1]:8443"),
		"ports chosen by system":   m("ADDR", "127.0.0.1:0", "METRICS_ADDR", "127.0.0.1:0"),
		"injected by Kubernetes":   m("SERVICE_HOST", "10.0.0.1", "SERVICE_PORT_HTTP", "80", "PORT", "tcp://10.0.0.1:80", "PORT_80_TCP_ADDR", "10.0.0.1"),
		"key file beside the data": m("DATA", "/srv/data", "KEY_FILE", "/srv/data.key"),
		"dots in a name":           m("DATA", "/srv/data", "KEY_FILE", "/srv/..data/key"),
	} {
		if _, err := config.Load(env, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// m makes an environment from names without their prefix.
func m(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[config.Prefix+pairs[i]] = pairs[i+1]
	}
	return out
}
