package ratelimit_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchgear/internal/providers"
	"switchgear/internal/runtime/ratelimit"
)

// TestEveryDialectOfTheCatalogue: a provider cannot name a dialect that nobody reads.
func TestEveryDialectOfTheCatalogue(t *testing.T) {
	t.Parallel()
	want, got := slices.Sorted(slices.Values(providers.Dialects())), slices.Sorted(slices.Values(ratelimit.Dialects()))
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, name := range got {
		if _, err := ratelimit.Read(name, 200, nil, time.Now()); err != nil {
			t.Error(err)
		}
	}
	if _, err := ratelimit.Read("klingon", 200, nil, time.Now()); err == nil {
		t.Error("an unknown dialect was read")
	}
}

const unknown = ratelimit.Unknown

func quota(limit, remaining int64, reset time.Duration) ratelimit.Quota {
	return ratelimit.Quota{Unit: "requests", Limit: limit, Remaining: remaining, Reset: reset}
}

func named(q ratelimit.Quota, name string, window time.Duration) ratelimit.Quota {
	q.Name, q.Window = name, window
	return q
}

func unit(q ratelimit.Quota, name string) ratelimit.Quota {
	q.Name, q.Unit = name, name
	return q
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	const s = time.Second
	refill := named(quota(40, 28, unknown), "bucket", 0)
	refill.Refill = 2
	for name, c := range map[string]struct {
		dialect string
		header  http.Header
		want    []ratelimit.Quota
	}{
		"draft 10": {"ratelimit-draft", header("RateLimit", `"permin";r=20;t=23`, "RateLimit-Policy", `"permin";q=50;w=60`), []ratelimit.Quota{named(quota(50, 20, 23*s), "permin", time.Minute)}},
		"draft 10, several": {
			"ratelimit-draft", header("RateLimit", `"a";r=1;t=2;pk=:cHsdsRa894==:,  "b" ; r=3`, "RateLimit-Policy", `"b";q=9;w=86400;qu="content-bytes"`, "RateLimit-Policy", `"a";q=5;w=1`),
			[]ratelimit.Quota{named(quota(5, 1, 2*s), "a", s), {Name: "b", Unit: "content-bytes", Limit: 9, Remaining: 3, Reset: unknown, Window: 24 * time.Hour}},
		},
		"draft 10, policy broken":       {"ratelimit-draft", header("RateLimit", `"a";r=1;t=2`, "RateLimit-Policy", `"a";q="`), []ratelimit.Quota{named(quota(unknown, 1, 2*s), "a", 0)}},
		"draft 08, a token":             {"ratelimit-draft", header("RateLimit", `default;r=50;t=30;l=100`), []ratelimit.Quota{named(quota(100, 50, 30*s), "default", 0)}},
		"draft 07":                      {"ratelimit-draft", header("RateLimit", "limit=100, remaining=50, reset=5", "RateLimit-Policy", "10;w=1, 100;w=60"), []ratelimit.Quota{named(quota(100, 50, 5*s), "", time.Minute)}},
		"l, r and t":                    {"ratelimit-draft", header("RateLimit", "l=100, r=50, t=5"), []ratelimit.Quota{quota(100, 50, 5*s)}},
		"draft 03":                      {"ratelimit-draft", header("RateLimit-Limit", "100, 100;w=60", "RateLimit-Remaining", "7", "RateLimit-Reset", "50"), []ratelimit.Quota{named(quota(100, 7, 50*s), "", time.Minute)}},
		"draft, no remaining":           {"ratelimit-draft", header("RateLimit", `"a";t=5`), nil},
		"draft, negative":               {"ratelimit-draft", header("RateLimit", `"a";r=-5;t=5`), nil},
		"draft, t broken":               {"ratelimit-draft", header("RateLimit", `"a";r=5;t=soon`), nil},
		"draft, garbage":                {"ratelimit-draft", header("RateLimit", `"a;r=5`), nil},
		"draft, garbage behind":         {"ratelimit-draft", header("RateLimit", `"a";r=5;t=1, "b`), nil},
		"draft, trailing comma":         {"ratelimit-draft", header("RateLimit", `"a";r=5;t=1,`), nil},
		"draft, a number for a name":    {"ratelimit-draft", header("RateLimit", `5;r=5`), nil},
		"draft, garbage, old beside it": {"ratelimit-draft", header("RateLimit", `???`, "RateLimit-Remaining", "3"), []ratelimit.Quota{quota(unknown, 3, unknown)}},
		"epoch":                         {"ratelimit-epoch", header("RateLimit-Limit", "60", "RateLimit-Remaining", "59", "RateLimit-Reset", at(61*s)), []ratelimit.Quota{quota(60, 59, 61*s)}},
		"x, delta":                      {"x-ratelimit", header("X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "59", "X-RateLimit-Reset", "30"), []ratelimit.Quota{quota(60, 59, 30*s)}},
		"x, epoch":                      {"x-ratelimit", header("X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "59", "X-RateLimit-Reset", at(30*s)), []ratelimit.Quota{quota(60, 59, 30*s)}},
		"x, milliseconds":               {"x-ratelimit", header("X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "59", "X-RateLimit-Reset", at(30*s)+"500"), []ratelimit.Quota{quota(60, 59, 30500*time.Millisecond)}},
		"x, RFC 3339":                   {"x-ratelimit", header("X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "59", "X-RateLimit-Reset", "2026-03-01T12:00:30Z"), []ratelimit.Quota{quota(60, 59, 30*s)}},
		"x, in the past":                {"x-ratelimit", header("X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "59", "X-RateLimit-Reset", at(-30*s)), []ratelimit.Quota{quota(60, 59, 0)}},
		"x, period":                     {"x-ratelimit", header("X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "59", "X-RateLimit-Period", "3600"), []ratelimit.Quota{named(quota(60, 59, unknown), "", time.Hour)}},
		"x, one for each window":        {"x-ratelimit", header("X-RateLimit-Limit-Minute", "60", "X-RateLimit-Remaining-Minute", "59"), []ratelimit.Quota{named(quota(60, 59, unknown), "minute", time.Minute)}},
		"x, a clock that is off":        {"x-ratelimit", header("Date", now.Add(time.Hour).Format(http.TimeFormat), "X-RateLimit-Remaining", "1", "X-RateLimit-Reset", at(time.Hour+9*s)), []ratelimit.Quota{quota(unknown, 1, 9*s)}},
		"x, garbage":                    {"x-ratelimit", header("X-RateLimit-Limit", "many", "X-RateLimit-Remaining", "-1", "X-RateLimit-Reset", "1e3"), nil},
		"x, too much":                   {"x-ratelimit", header("X-RateLimit-Remaining", strings.Repeat("9", 20), "X-RateLimit-Reset", "0x10"), nil},
		"x, not taken up":               {"none", header("X-RateLimit-Remaining", "1"), nil},
		"hyphen, no remaining":          {"x-rate-limit", header("X-Rate-Limit-Limit", "300", "X-Rate-Limit-Reset", "60", "X-Rate-Limit-Interval", "60"), []ratelimit.Quota{named(quota(300, unknown, 60*s), "", time.Minute)}},
		"hyphen":                        {"x-rate-limit", header("X-Rate-Limit-Limit", "300", "X-Rate-Limit-Remaining", "4", "X-Rate-Limit-Reset", "60"), []ratelimit.Quota{quota(300, 4, 60*s)}},
		"github":                        {"github", header("X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "4999", "X-RateLimit-Reset", at(time.Hour), "X-RateLimit-Resource", "core"), []ratelimit.Quota{named(quota(5000, 4999, time.Hour), "core", 0)}},
		"sentry":                        {"sentry", header("X-Sentry-Rate-Limit-Limit", "40", "X-Sentry-Rate-Limit-Remaining", "39", "X-Sentry-Rate-Limit-Reset", at(s)), []ratelimit.Quota{quota(40, 39, s)}},
		"linear":                        {"linear", header("X-RateLimit-Requests-Limit", "1500", "X-RateLimit-Requests-Remaining", "1", "X-RateLimit-Requests-Reset", at(60*s)+"000"), []ratelimit.Quota{quota(1500, 1, 60*s)}},
		"shopify":                       {"shopify", header("X-Shopify-Shop-Api-Call-Limit", "12/40"), []ratelimit.Quota{refill}},
		"shopify, garbage":              {"shopify", header("X-Shopify-Shop-Api-Call-Limit", "12/0"), nil},
		"hubspot": {
			"hubspot", header("X-HubSpot-RateLimit-Max", "100", "X-HubSpot-RateLimit-Remaining", "98", "X-HubSpot-RateLimit-Interval-Milliseconds", "10000", "X-HubSpot-RateLimit-Daily", "250000", "X-HubSpot-RateLimit-Daily-Remaining", "249999"),
			[]ratelimit.Quota{named(quota(100, 98, unknown), "burst", 10*s), named(quota(250000, 249999, unknown), "daily", 24*time.Hour)},
		},
		"openai": {
			"openai", header("x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "59", "x-ratelimit-reset-requests", "1s", "x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-tokens", "6m0s"),
			[]ratelimit.Quota{unit(quota(60, 59, s), "requests"), unit(quota(150000, 149984, 6*time.Minute), "tokens")},
		},
		"openai, negative": {"openai", header("x-ratelimit-remaining-requests", "59", "x-ratelimit-reset-requests", "-1s"), []ratelimit.Quota{unit(quota(unknown, 59, unknown), "requests")}},
		"anthropic": {
			"anthropic", header("anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "49", "anthropic-ratelimit-requests-reset", "2026-03-01T12:00:02Z", "anthropic-ratelimit-input-tokens-remaining", "7"),
			[]ratelimit.Quota{unit(quota(50, 49, 2*s), "requests"), unit(quota(unknown, 7, unknown), "input-tokens")},
		},
		"discord":             {"discord", header("X-RateLimit-Limit", "5", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1470173023.123", "X-RateLimit-Reset-After", "64.57", "X-RateLimit-Bucket", "abcd1234"), []ratelimit.Quota{named(quota(5, 0, 64570*time.Millisecond), "abcd1234", 0)}},
		"salesforce":          {"salesforce", header("Sforce-Limit-Info", "api-usage=18/5000, per-app-api-usage=17/250(appName=sample)"), []ratelimit.Quota{named(quota(5000, 4982, unknown), "api-usage", 24*time.Hour)}},
		"salesforce, above":   {"salesforce", header("Sforce-Limit-Info", "api-usage=5018/5000"), []ratelimit.Quota{named(quota(5000, 0, unknown), "api-usage", 24*time.Hour)}},
		"salesforce, garbage": {"salesforce", header("Sforce-Limit-Info", "api-usage=x/y"), nil},
		"xero": {
			"xero", header("X-MinLimit-Remaining", "59", "X-DayLimit-Remaining", "4999", "X-AppMinLimit-Remaining", "9999"),
			[]ratelimit.Quota{named(quota(unknown, 59, unknown), "minute", time.Minute), named(quota(unknown, 4999, unknown), "day", 24*time.Hour), named(quota(unknown, 9999, unknown), "app minute", time.Minute)},
		},
		"zendesk":              {"zendesk", header("X-Rate-Limit", "700", "X-Rate-Limit-Remaining", "699"), []ratelimit.Quota{named(quota(700, 699, unknown), "minute", time.Minute)}},
		"unknown, draft first": {"", header("RateLimit", `"a";r=1;t=2`, "X-RateLimit-Remaining", "9"), []ratelimit.Quota{named(quota(unknown, 1, 2*s), "a", 0)}},
		"unknown, x":           {"", header("X-RateLimit-Remaining", "9"), []ratelimit.Quota{quota(unknown, 9, unknown)}},
		"unknown, hyphen":      {"", header("X-Rate-Limit-Remaining", "9"), []ratelimit.Quota{quota(unknown, 9, unknown)}},
		"from a cache":         {"x-ratelimit", header("X-RateLimit-Remaining", "9", "Age", "3"), nil},
		"not from a cache":     {"x-ratelimit", header("X-RateLimit-Remaining", "9", "Age", "0", "Cache-Status", "edge; fwd=miss"), []ratelimit.Quota{quota(unknown, 9, unknown)}},
		"a hit":                {"x-ratelimit", header("X-RateLimit-Remaining", "9", "Cache-Status", "edge; fwd=miss, origin; hit; ttl=3"), nil},
		"x-cache":              {"x-ratelimit", header("X-RateLimit-Remaining", "9", "X-Cache", "Hit from cloudfront"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := ratelimit.Read(c.dialect, 200, c.header, now)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, r.Quotas); d != "" {
				t.Error(d)
			}
			if r.Throttled || r.Unavailable || r.Delay != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	unix := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	const s = time.Second
	for name, c := range map[string]struct {
		dialect                string
		status                 int
		header                 http.Header
		throttled, unavailable bool
		delay                  time.Duration
		source                 string
	}{
		"seconds":                   {"none", 429, header("Retry-After", "41"), true, false, 41 * s, "Retry-After"},
		"a date":                    {"none", 429, header("Retry-After", date(41*s)), true, false, 41 * s, "Retry-After"},
		"a date, their clock":       {"none", 429, header("Retry-After", date(41*s), "Date", date(-19*s)), true, false, time.Minute, "Retry-After"},
		"a date, cached":            {"none", 429, header("Retry-After", date(41*s), "Date", date(-30*s), "Age", "30"), true, false, 41 * s, "Retry-After"},
		"a date that has passed":    {"none", 429, header("Retry-After", date(-41*s)), true, false, 0, "Retry-After"},
		"now":                       {"none", 429, header("Retry-After", "0"), true, false, 0, "Retry-After"},
		"a Unix time":               {"none", 429, header("Retry-After", unix(9*s)), true, false, 9 * s, "Retry-After"},
		"ten days":                  {"none", 429, header("Retry-After", "864000"), true, false, 240 * time.Hour, "Retry-After"},
		"never":                     {"none", 429, header("Retry-After", "999999999999999999999999"), true, false, 366 * 24 * time.Hour, "Retry-After"},
		"negative":                  {"none", 429, header("Retry-After", "-5"), true, false, 0, ""},
		"garbage":                   {"none", 429, header("Retry-After", "a while"), true, false, 0, ""},
		"nothing":                   {"none", 429, nil, true, false, 0, ""},
		"Retry-After wins":          {"ratelimit-draft", 429, header("Retry-After", "41", "RateLimit", `"a";r=0;t=5`), true, false, 41 * s, "Retry-After"},
		"the reset":                 {"ratelimit-draft", 429, header("RateLimit", `"a";r=0;t=5, "b";r=9;t=500, "c";r=0;t=7`), true, false, 7 * s, "the reset of its limit"},
		"not the reason":            {"ratelimit-draft", 429, header("RateLimit", `"a";r=10;t=5`), true, false, 0, ""},
		"403, an ordinary one":      {"github", 403, header("X-RateLimit-Remaining", "5"), false, false, 0, ""},
		"403, used up":              {"github", 403, header("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", unix(60*s)), true, false, time.Minute, "the reset of its limit"},
		"403, secondary":            {"github", 403, header("Retry-After", "60", "X-RateLimit-Remaining", "500"), true, false, time.Minute, "Retry-After"},
		"403, salesforce":           {"salesforce", 403, header("Sforce-Limit-Info", "api-usage=5018/5000"), true, false, 0, ""},
		"503":                       {"none", 503, nil, false, false, 0, ""},
		"503 with Retry-After":      {"none", 503, header("Retry-After", "120"), false, true, 2 * time.Minute, "Retry-After"},
		"500 with Retry-After":      {"none", 500, header("Retry-After", "120"), false, false, 0, ""},
		"301 with Retry-After":      {"none", 301, header("Retry-After", "120"), false, false, 0, ""},
		"404 with nothing left":     {"x-ratelimit", 404, header("X-RateLimit-Remaining", "0"), false, false, 0, ""},
		"cached, with nothing left": {"x-ratelimit", 403, header("X-RateLimit-Remaining", "0", "Age", "60"), false, false, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := ratelimit.Read(c.dialect, c.status, c.header, now)
			if err != nil {
				t.Fatal(err)
			}
			if r.Throttled != c.throttled || r.Unavailable != c.unavailable || r.Delay != c.delay || r.Source != c.source {
				t.Errorf("%+v", r)
			}
		})
	}
	if d, ok := ratelimit.ParseRetryAfter(header("Retry-After", "3"), now); !ok || d != 3*s {
		t.Error(d, ok)
	}
	if _, ok := ratelimit.ParseRetryAfter(nil, now); ok {
		t.Error("read from nothing")
	}
}

func TestWhatIsAboutAGroup(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dialect       string
		header        http.Header
		quota, refuse bool
	}{
		"discord, a route":  {"discord", header("Retry-After", "1"), true, true},
		"discord, global":   {"discord", header("Retry-After", "1", "X-RateLimit-Global", "true"), false, false},
		"github, core":      {"github", header("X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "core"), false, false},
		"github, search":    {"github", header("X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "search"), true, true},
		"github, secondary": {"github", header("X-RateLimit-Remaining", "9", "X-RateLimit-Resource", "search", "Retry-After", "60"), true, false},
	} {
		r, err := ratelimit.Read(c.dialect, 429, c.header, time.Now())
		if err != nil || r.PerGroup != c.quota || r.RefusedGroup != c.refuse {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

// sane is what must hold of every reading, whatever the headers were.
func sane(t *testing.T, r ratelimit.Reading) {
	t.Helper()
	const longest = 366 * 24 * time.Hour
	if r.Delay < 0 || r.Delay > longest {
		t.Errorf("delay %s", r.Delay)
	}
	for _, q := range r.Quotas {
		if q.Limit < unknown || q.Remaining < unknown || q.Reset < unknown || q.Reset > longest || q.Window < 0 || q.Window > longest || !(q.Refill >= 0) || q.Unit == "" {
			t.Errorf("%+v", q)
		}
	}
}

func readAll(t *testing.T, names []string, h http.Header) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l, err := ratelimit.New(ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for _, status := range []int{200, 403, 429, 503} {
			r, err := ratelimit.Read(name, status, h, now)
			if err != nil {
				t.Fatal(err)
			}
			sane(t, r)
		}
		if err := l.Configure(ratelimit.Config{Dialect: name}); err != nil {
			t.Fatal(err)
		}
		if g, err := l.Reserve(t.Context(), ratelimit.Key{Group: "g", Credential: "c"}, 0); err == nil {
			g.Answered(200, h)
		}
		l.Snapshot()
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"120", "Sun, 01 Mar 2026 12:00:41 GMT", "-1", "1e9", "1772366400", "1772366400000", "999999999999999999", "1.5", "2026-03-01T12:00:30Z"} {
		f.Add(s, "Sun, 01 Mar 2026 12:00:00 GMT", "3")
	}
	f.Fuzz(func(t *testing.T, after, date, age string) {
		readAll(t, []string{"retry-after-only", "github"}, http.Header{"Retry-After": {after}, "Date": {date}, "Age": {age}})
	})
}

func FuzzDraft(f *testing.F) {
	f.Add(`"permin";r=20;t=23`, `"permin";q=50;w=60`, "100, 100;w=60")
	f.Add(`limit=100, remaining=50, reset=5`, `10;w=1, 100;w=60`, "")
	f.Add(`"a\"b";r=1;pk=:cHsdsRa894==:;x;y=?1`, `a;q=1`, ";w=")
	f.Fuzz(func(t *testing.T, limit, policy, old string) {
		readAll(t, []string{"ratelimit-draft", ""}, http.Header{
			"Ratelimit": {limit}, "Ratelimit-Policy": {policy}, "Ratelimit-Limit": {old}, "Ratelimit-Remaining": {old}, "Ratelimit-Reset": {old},
		})
	})
}

func FuzzXRateLimit(f *testing.F) {
	f.Add("60", "59", "30", "60")
	f.Add("", "0", "1772366400000", "core")
	f.Add("9999999999999999", "1.5", "2026-03-01T12:00:30Z", "x")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, other string) {
		h := http.Header{}
		for _, prefix := range []string{"Ratelimit-", "X-Ratelimit-", "X-Rate-Limit-", "X-Sentry-Rate-Limit-", "X-Ratelimit-Requests-"} {
			h[prefix+"Limit"], h[prefix+"Remaining"], h[prefix+"Reset"] = []string{limit}, []string{remaining}, []string{reset}
		}
		h["X-Ratelimit-Resource"], h["X-Ratelimit-Period"], h["X-Rate-Limit-Interval"] = []string{other}, []string{other}, []string{other}
		readAll(t, []string{"ratelimit-epoch", "x-ratelimit", "x-rate-limit", "github", "sentry", "linear", ""}, h)
	})
}

func FuzzVendor(f *testing.F) {
	f.Add("12/40", "59", "6m0s")
	f.Add("api-usage=18/5000", "0", "2026-03-01T12:00:30Z")
	f.Add("9999999999999999/99999999999999999", "1e5", "64.57")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		h := http.Header{}
		for _, name := range []string{
			"X-Shopify-Shop-Api-Call-Limit", "Sforce-Limit-Info", "X-Hubspot-Ratelimit-Max", "X-Hubspot-Ratelimit-Daily", "X-Ratelimit-Limit-Tokens",
			"Anthropic-Ratelimit-Tokens-Limit", "X-Ratelimit-Limit", "X-Rate-Limit", "X-Ratelimit-Bucket",
		} {
			h[name] = []string{a}
		}
		for _, name := range []string{
			"X-Hubspot-Ratelimit-Remaining", "X-Hubspot-Ratelimit-Daily-Remaining", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Remaining-Requests",
			"Anthropic-Ratelimit-Requests-Remaining", "X-Ratelimit-Remaining", "X-Minlimit-Remaining", "X-Daylimit-Remaining", "X-Rate-Limit-Remaining",
		} {
			h[name] = []string{b}
		}
		for _, name := range []string{
			"X-Hubspot-Ratelimit-Interval-Milliseconds", "X-Ratelimit-Reset-Tokens", "X-Ratelimit-Reset-Requests", "Anthropic-Ratelimit-Requests-Reset",
			"X-Ratelimit-Reset-After", "Ratelimit-Reset",
		} {
			h[name] = []string{c}
		}
		readAll(t, []string{"shopify", "hubspot", "openai", "anthropic", "discord", "salesforce", "xero", "zendesk"}, h)
	})
}
