package cache

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// header reads lines "Name: value".
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(name, value)
	}
	return h
}

func date(d time.Duration) string { return noon().Add(d).Format(http.TimeFormat) }

// got is an answer to a GET that was asked for and came at noon.
func got(h http.Header) answer {
	return newAnswer(http.MethodGet, http.StatusOK, h, noon(), noon())
}

func TestRFC9111Section3Storable(t *testing.T) {
	t.Parallel()
	fresh := "Cache-Control: max-age=60"
	for name, tt := range map[string]struct {
		method  string
		status  int
		header  http.Header
		request http.Header
		policy  Policy
		want    string // why not; empty: it is
	}{
		"GET with a lifetime":            {header: header(fresh)},
		"HEAD":                           {method: "HEAD", header: header(fresh)},
		"POST":                           {method: "POST", header: header(fresh), want: "method"},
		"no error is kept":               {status: 404, header: header(fresh), want: "status"},
		"no server error":                {status: 500, header: header(fresh), want: "status"},
		"no temporary redirect":          {status: 302, header: header(fresh), want: "status"},
		"permanent redirect":             {status: 308, header: header(fresh)},
		"3.3 no partial answer":          {status: 206, header: header(fresh), want: "status"},
		"3.3 no range under a 200":       {header: header(fresh, "Content-Range: bytes 0-1/2"), want: "partial"},
		"5.2.1.5 request no-store":       {header: header(fresh), request: header("Cache-Control: no-store"), want: "request_no_store"},
		"5.2.2.5 answer no-store":        {header: header("Cache-Control: max-age=60, no-store"), want: "no_store"},
		"5.2.2.5 also with an override":  {header: header("Cache-Control: no-store"), policy: Policy{Mode: ModeOverride, TTL: time.Hour}, want: "no_store"},
		"5.2.2.3 must-understand":        {header: header("Cache-Control: max-age=60, no-store, must-understand")},
		"5.2.2.7 private: this one is":   {header: header("Cache-Control: private, max-age=60")},
		"3.5 Authorization: also so":     {header: header(fresh), request: header("Authorization: Bearer x")},
		"4.1 Vary: *":                    {header: header(fresh, "Vary: Accept, *"), want: "vary"},
		"nothing that gives a lifetime":  {header: header(), want: "no_freshness"},
		"expired, and no validator":      {header: header("Cache-Control: max-age=0"), want: "no_freshness"},
		"a validator is enough":          {header: header("Etag: \"1\"")},
		"no-cache with a validator":      {header: header("Cache-Control: no-cache", "Last-Modified: "+date(-time.Hour))},
		"no-cache without one":           {header: header("Cache-Control: no-cache"), policy: Policy{Mode: ModeRespect, StaleIfError: time.Hour}, want: "no_freshness"},
		"as a fallback":                  {header: header(), policy: Policy{Mode: ModeFallback, StaleIfError: time.Hour}},
		"as a fallback, must-revalidate": {header: header("Cache-Control: must-revalidate"), policy: Policy{Mode: ModeFallback, StaleIfError: time.Hour}, want: "no_freshness"},
		"an override":                    {header: header(), policy: Policy{Mode: ModeOverride, TTL: time.Hour}},
		"event stream":                   {header: header(fresh, "Content-Type: text/event-stream; charset=utf-8"), want: "stream"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.method == "" {
				tt.method = http.MethodGet
			}
			if tt.status == 0 {
				tt.status = http.StatusOK
			}
			if tt.policy.Mode == ModeOff {
				tt.policy.Mode = ModeRespect
			}
			a := newAnswer(tt.method, tt.status, tt.header, noon(), noon())
			ok, why := a.storable(requestControl(tt.request), &tt.policy)
			if why != tt.want || ok != (tt.want == "") {
				t.Errorf("storable %v, %q; want %q", ok, why, tt.want)
			}
		})
	}
}

func TestRFC9111Section3_1StoredHeader(t *testing.T) {
	t.Parallel()
	h := storedHeader(header("Content-Type: text/plain", "Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: 5", "Transfer-Encoding: chunked",
		"Set-Cookie: a=b", "Age: 7", "Cache-Status: cdn; hit", "Switchgear-Attempts: 3", "X-Ratelimit-Remaining: 7", "Ratelimit: x", "Etag: \"1\""))
	if diff := cmp.Diff(header("Content-Type: text/plain", "Etag: \"1\""), h); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRFC9111Section3_2Merge(t *testing.T) {
	t.Parallel()
	kept := header("Content-Type: text/plain", "Content-Encoding: gzip", "Etag: \"1\"", "Cache-Control: max-age=1", "X-Old: 1")
	merged := merge(kept, header("Cache-Control: max-age=60", "Content-Length: 0", "Content-Encoding: br", "X-New: 2", "Set-Cookie: a=b", "Connection: close"))
	want := header("Content-Type: text/plain", "Content-Encoding: gzip", "Etag: \"1\"", "Cache-Control: max-age=60", "X-Old: 1", "X-New: 2")
	if diff := cmp.Diff(want, merged); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if kept.Get("Cache-Control") != "max-age=1" {
		t.Error("the kept header was changed in place")
	}
}

func TestRFC9111Section4_2_1Lifetime(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header http.Header
		policy Policy
		want   time.Duration
	}{
		"max-age":                            {header("Cache-Control: max-age=60"), Policy{}, time.Minute},
		"max-age in quotes":                  {header(`Cache-Control: max-age="60"`), Policy{}, time.Minute},
		"max-age before Expires":             {header("Cache-Control: max-age=60", "Expires: "+date(time.Hour)), Policy{}, time.Minute},
		"s-maxage is not for a private one":  {header("Cache-Control: s-maxage=600, max-age=60"), Policy{}, time.Minute},
		"Expires against Date":               {header("Date: "+date(-time.Minute), "Expires: "+date(time.Hour)), Policy{}, 61 * time.Minute},
		"5.3 Expires without Date":           {header("Expires: " + date(time.Hour)), Policy{}, time.Hour},
		"5.3 Expires 0":                      {header("Expires: 0"), Policy{}, 0},
		"5.3 Expires in the past":            {header("Expires: " + date(-time.Hour)), Policy{}, 0},
		"two Expires":                        {header("Expires: "+date(time.Hour), "Expires: "+date(time.Hour)), Policy{}, 0},
		"duplicates: the shorter":            {header("Cache-Control: max-age=60, max-age=30"), Policy{}, 30 * time.Second},
		"unreadable: stale":                  {header("Cache-Control: max-age=soon"), Policy{}, 0},
		"negative: stale":                    {header("Cache-Control: max-age=-1"), Policy{}, 0},
		"1.2.2 too large":                    {header("Cache-Control: max-age=99999999999999999999999"), Policy{}, maxDelta},
		"4.2.2 heuristic is off":             {header("Last-Modified: " + date(-10*time.Hour)), Policy{}, 0},
		"4.2.2 heuristic":                    {header("Last-Modified: " + date(-10*time.Hour)), Policy{Heuristic: true}, time.Hour},
		"4.2.2 heuristic, at most a day":     {header("Last-Modified: " + date(-1000*time.Hour)), Policy{Heuristic: true}, 24 * time.Hour},
		"4.2.2 not where a lifetime is said": {header("Cache-Control: max-age=0", "Last-Modified: "+date(-10*time.Hour)), Policy{Heuristic: true}, 0},
		"by default":                         {header("Age: 60"), Policy{TTL: time.Hour}, 61 * time.Minute},
		"by default, unless it is said":      {header("Cache-Control: max-age=0"), Policy{TTL: time.Hour}, 0},
		"by default, unless Expires":         {header("Expires: -1"), Policy{TTL: time.Hour}, 0},
		"override":                           {header("Cache-Control: max-age=0"), Policy{Mode: ModeOverride, TTL: time.Hour}, time.Hour},
		"override, from when it came":        {header("Age: 60"), Policy{Mode: ModeOverride, TTL: time.Hour}, 61 * time.Minute},
		"fallback only":                      {header("Cache-Control: max-age=60"), Policy{Mode: ModeFallback}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.policy.Mode == ModeOff {
				tt.policy.Mode = ModeRespect
			}
			a := got(tt.header)
			if d := a.lifetime(&tt.policy); d != tt.want {
				t.Errorf("%s, want %s", d, tt.want)
			}
		})
	}
}

func TestRFC9111Section4_2_3Age(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header http.Header
		delay  time.Duration
		want   time.Duration // 10 s after it came
	}{
		"just made":                {header("Date: " + date(0)), 0, 10 * time.Second},
		"apparent age":             {header("Date: " + date(-time.Minute)), 0, 70 * time.Second},
		"a clock ahead of ours":    {header("Date: " + date(time.Minute)), 0, 10 * time.Second},
		"Age":                      {header("Age: 30", "Date: "+date(0)), 0, 40 * time.Second},
		"Age and the delay":        {header("Age: 30", "Date: "+date(0)), 5 * time.Second, 45 * time.Second},
		"the larger of both":       {header("Age: 30", "Date: "+date(-time.Minute)), 5 * time.Second, 70 * time.Second},
		"5.1 Age: the first":       {header("Age: 30, 99"), 0, 40 * time.Second},
		"5.1 Age unreadable":       {header("Age: old"), 0, 10 * time.Second},
		"neither: only the delay":  {header(), 2 * time.Second, 12 * time.Second},
		"Date in another notation": {header("Date: Tuesday, 24-Nov-26 11:59:00 GMT"), 0, 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAnswer(http.MethodGet, 200, tt.header, noon().Add(-tt.delay), noon())
			if d := a.age(noon().Add(10 * time.Second)); d != tt.want {
				t.Errorf("%s, want %s", d, tt.want)
			}
		})
	}
}

func TestRFC9111Section4Reuse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer  string
		request string
		after   time.Duration
		policy  Policy
		want    use
	}{
		"fresh":                                 {"max-age=60", "", 59 * time.Second, Policy{}, useFresh},
		"4.2 stale at its lifetime":             {"max-age=60", "", 60 * time.Second, Policy{}, useNone},
		"5.2.2.4 no-cache":                      {"max-age=60, no-cache", "", 0, Policy{}, useNone},
		"5.2.2.4 no-cache of a field":           {`max-age=60, no-cache="Set-Cookie"`, "", 0, Policy{}, useNone},
		"5.2.2.4 no-cache with an override":     {"no-cache", "", 0, Policy{Mode: ModeOverride, TTL: time.Hour}, useNone},
		"5.2.2.2 must-revalidate while fresh":   {"max-age=60, must-revalidate", "", 0, Policy{}, useFresh},
		"5.2.2.2 must-revalidate with override": {"max-age=0, must-revalidate", "", time.Second, Policy{Mode: ModeOverride, TTL: time.Hour}, useFresh},
		"5.2.2.2 must-revalidate, max-stale":    {"max-age=60, must-revalidate", "max-stale", 61 * time.Second, Policy{}, useNone},
		"5.2.1.4 request no-cache":              {"max-age=60", "no-cache", 0, Policy{}, useNone},
		"5.2.1.1 max-age, young enough":         {"max-age=60", "max-age=30", 30 * time.Second, Policy{}, useFresh},
		"5.2.1.1 max-age, too old":              {"max-age=60", "max-age=30", 31 * time.Second, Policy{}, useNone},
		"5.2.1.3 min-fresh, enough":             {"max-age=60", "min-fresh=20", 40 * time.Second, Policy{}, useFresh},
		"5.2.1.3 min-fresh, too little":         {"max-age=60", "min-fresh=20", 41 * time.Second, Policy{}, useNone},
		"5.2.1.3 min-fresh unreadable":          {"max-age=60", "min-fresh=x", 0, Policy{}, useNone},
		"5.2.1.2 max-stale, within":             {"max-age=60", "max-stale=10", 70 * time.Second, Policy{}, useStale},
		"5.2.1.2 max-stale, beyond":             {"max-age=60", "max-stale=10", 71 * time.Second, Policy{}, useNone},
		"5.2.1.2 max-stale without limit":       {"max-age=60", "max-stale", 2 * time.Hour, Policy{}, useStale},
		"5.2.1.2 never beyond the policy":       {"max-age=60", "max-stale", 2 * time.Hour, Policy{MaxStale: time.Hour}, useNone},
		"5861 3 while revalidating":             {"max-age=60, stale-while-revalidate=30", "", 90 * time.Second, Policy{}, useWhileRevalidating},
		"5861 3 no longer":                      {"max-age=60, stale-while-revalidate=30", "", 91 * time.Second, Policy{}, useNone},
		"5861 3 by the policy":                  {"max-age=60", "", 90 * time.Second, Policy{StaleWhileRevalidate: time.Minute}, useWhileRevalidating},
		"5861 3 bounded by the policy":          {"max-age=60, stale-while-revalidate=9999", "", time.Hour, Policy{MaxStale: time.Minute}, useNone},
		"5861 3 must-revalidate":                {"max-age=60, must-revalidate, stale-while-revalidate=30", "", 70 * time.Second, Policy{}, useNone},
		"5861 3 not for who wants it young":     {"max-age=60, stale-while-revalidate=90", "max-age=600", 70 * time.Second, Policy{}, useNone},
		"fallback only":                         {"max-age=60", "", 0, Policy{Mode: ModeFallback}, useNone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.policy.Mode == ModeOff {
				tt.policy.Mode = ModeRespect
			}
			a := got(header("Cache-Control: " + tt.answer))
			request := http.Header{}
			if tt.request != "" {
				request.Set("Cache-Control", tt.request)
			}
			if u := a.judge(requestControl(request), &tt.policy, noon().Add(tt.after)); u != tt.want {
				t.Errorf("got %d, want %d", u, tt.want)
			}
		})
	}
	a := got(header("Cache-Control: max-age=60"))
	respect := Policy{Mode: ModeRespect}
	if a.judge(requestControl(header("Pragma: no-cache")), &respect, noon()) != useNone {
		t.Error("5.4: Pragma alone was ignored")
	}
	if a.judge(requestControl(header("Pragma: no-cache", "Cache-Control: max-age=5")), &respect, noon()) != useFresh {
		t.Error("5.4: Pragma counted beside Cache-Control")
	}
}

func TestRFC5861Section4StaleIfError(t *testing.T) {
	t.Parallel()
	hour := Policy{Mode: ModeRespect, StaleIfError: time.Hour}
	for name, tt := range map[string]struct {
		answer, request string
		after           time.Duration
		policy          Policy
		want            bool
	}{
		"by the policy":                     {"max-age=60", "", 61 * time.Minute, hour, true},
		"no longer":                         {"max-age=60", "", 61*time.Minute + time.Second, hour, false},
		"off":                               {"max-age=60", "", time.Minute, Policy{Mode: ModeRespect}, false},
		"by the upstream":                   {"max-age=60, stale-if-error=600", "", 11 * time.Minute, Policy{Mode: ModeRespect}, true},
		"by the caller":                     {"max-age=60", "stale-if-error=600", 11 * time.Minute, Policy{Mode: ModeRespect}, true},
		"never beyond the hard limit":       {"max-age=60, stale-if-error=99999", "stale-if-error=99999", 3 * time.Hour, Policy{Mode: ModeRespect, MaxStale: time.Hour}, false},
		"must-revalidate":                   {"max-age=60, must-revalidate", "", 2 * time.Minute, hour, false},
		"no-cache":                          {"no-cache", "", time.Second, hour, false},
		"request no-cache":                  {"max-age=60", "no-cache", time.Second, hour, false},
		"request max-age":                   {"max-age=60", "max-age=5", 2 * time.Minute, hour, false},
		"request max-age with max-stale":    {"max-age=60", "max-age=5, max-stale=600", 2 * time.Minute, hour, true},
		"fallback only, a fresh one":        {"max-age=60", "", time.Second, Policy{Mode: ModeFallback, StaleIfError: time.Hour}, true},
		"override: after the TTL":           {"", "", 90 * time.Minute, Policy{Mode: ModeOverride, TTL: time.Hour, StaleIfError: time.Hour}, true},
		"override: must-revalidate forbids": {"must-revalidate", "", 90 * time.Minute, Policy{Mode: ModeOverride, TTL: time.Hour, StaleIfError: time.Hour}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := got(header("Cache-Control: " + tt.answer))
			ok, why := a.forFailure(parseControl([]string{tt.request}), &tt.policy, noon().Add(tt.after))
			if ok != tt.want || ok != (why == "") {
				t.Errorf("usable %v, %q", ok, why)
			}
		})
	}
}

func TestRFC9111Section4_1Vary(t *testing.T) {
	t.Parallel()
	h := hasher{}
	names := varies(header("Vary: user-agent, Origin", "Vary: origin"))
	if diff := cmp.Diff([]string{"Origin", "User-Agent"}, names); diff != "" {
		t.Fatal(diff)
	}
	base := h.variant(names, header("User-Agent: a", "Origin: b"))
	for name, tt := range map[string]struct {
		request http.Header
		same    bool
	}{
		"the same":               {header("User-Agent: a", "Origin: b", "Accept: c"), true},
		"space around it":        {header("User-Agent:  a ", "Origin: b"), true},
		"another value":          {header("User-Agent: a", "Origin: c"), false},
		"without it":             {header("User-Agent: a"), false},
		"values changed places":  {header("User-Agent: b", "Origin: a"), false},
		"a value more":           {header("User-Agent: a", "Origin: b", "Origin: b"), false},
		"cut at another place":   {header("User-Agent: ab", "Origin: "), false},
		"nothing of what varies": {header(), false},
	} {
		if got := h.variant(names, tt.request) == base; got != tt.same {
			t.Errorf("%s: same %v", name, got)
		}
	}
}

// What an upstream selects by, named in Vary or not, is part of the key.
func TestRFC9111Section2Key(t *testing.T) {
	t.Parallel()
	c := newCache(t, Config{})
	scope := Scope{Connection: "con_1", Account: "default", Credential: "cred_1", CredentialVersion: 1}
	policy := Policy{Mode: ModeRespect, IgnoreHeaders: []string{"X-Trace"}}
	of := func(s Scope, method, u string, h http.Header) key {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		return c.hasher.key(s, method, parsed, h, &policy)
	}
	const u = "https://api.example.com/v1/a?x=1"
	base := of(scope, "GET", u, header("Accept: a"))
	with := func(change func(*Scope)) Scope {
		s := scope
		change(&s)
		return s
	}
	for name, tt := range map[string]struct {
		key  key
		same bool
	}{
		"the same":             {of(scope, "GET", u, header("Accept: a")), true},
		"headers for no one":   {of(scope, "GET", u, header("Accept: a", "User-Agent: x", "Traceparent: y", "If-None-Match: z", "X-Trace: 1")), true},
		"another connection":   {of(with(func(s *Scope) { s.Connection = "con_2" }), "GET", u, header("Accept: a")), false},
		"another account":      {of(with(func(s *Scope) { s.Account = "eu" }), "GET", u, header("Accept: a")), false},
		"another credential":   {of(with(func(s *Scope) { s.Credential = "cred_2" }), "GET", u, header("Accept: a")), false},
		"a new version of it":  {of(with(func(s *Scope) { s.CredentialVersion = 2 }), "GET", u, header("Accept: a")), false},
		"borders of the parts": {of(with(func(s *Scope) { s.Account, s.Credential = "defaultc", "red_1" }), "GET", u, header("Accept: a")), false},
		"another method":       {of(scope, "HEAD", u, header("Accept: a")), false},
		"another base URL":     {of(scope, "GET", "https://api.example.org/v1/a?x=1", header("Accept: a")), false},
		"another scheme":       {of(scope, "GET", "http://api.example.com/v1/a?x=1", header("Accept: a")), false},
		"another path":         {of(scope, "GET", "https://api.example.com/v1/a%2F?x=1", header("Accept: a")), false},
		"another query":        {of(scope, "GET", "https://api.example.com/v1/a?x=2", header("Accept: a")), false},
		"another Accept":       {of(scope, "GET", u, header("Accept: b")), false},
		"a header of the API":  {of(scope, "GET", u, header("Accept: a", "Stripe-Account: acct_2")), false},
	} {
		if got := tt.key == base; got != tt.same {
			t.Errorf("%s: same %v", name, got)
		}
	}
}

func TestRFC9110Section13Conditions(t *testing.T) {
	t.Parallel()
	kept := header(`Etag: W/"a,b"`, "Last-Modified: "+date(-time.Hour))
	for name, tt := range map[string]struct {
		request http.Header
		want    bool
	}{
		"none":                          {header(), false},
		"13.1.2 the same":               {header(`If-None-Match: W/"a,b"`), true},
		"13.1.2 compared weakly":        {header(`If-None-Match: "a,b"`), true},
		"13.1.2 in a list":              {header(`If-None-Match: "x" , "a,b", "y"`), true},
		"13.1.2 over two fields":        {header(`If-None-Match: "x"`, `If-None-Match: "a,b"`), true},
		"13.1.2 another":                {header(`If-None-Match: "a", "b"`), false},
		"13.1.2 any":                    {header("If-None-Match: *"), true},
		"13.1.3 since then":             {header("If-Modified-Since: " + date(-time.Hour)), true},
		"13.1.3 changed":                {header("If-Modified-Since: " + date(-time.Hour-time.Second)), false},
		"13.1.3 not a date":             {header("If-Modified-Since: yesterday"), false},
		"13.1.3 not beside an ETag":     {header(`If-None-Match: "x"`, "If-Modified-Since: "+date(0)), false},
		"13.1.2 an empty one is no tag": {header("If-None-Match: "), false},
	} {
		if got := notModified(tt.request, kept); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if notModified(header("If-None-Match: *"), header()) {
		t.Error("an answer without an ETag matched")
	}
}

func FuzzControl(f *testing.F) {
	for _, s := range []string{"max-age=60, no-store", `no-cache="a, b", max-age="1\"2"`, "max-stale", ",,=,", `max-age=99999999999999999999`, `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := parseControl([]string{s})
		for _, d := range []time.Duration{c.maxAge, c.minFresh, c.maxStale, c.staleIfError, c.staleWhileRevalidate} {
			if d != absent && (d < 0 || d > maxDelta) {
				t.Errorf("%q: %s", s, d)
			}
		}
		// A directive more never makes reuse longer.
		if more := parseControl([]string{s, "max-age=5, no-store"}); !more.noStore || more.maxAge > 5*time.Second {
			t.Errorf("%q hid what came after it", s)
		}
	})
}

func FuzzETagList(f *testing.F) {
	f.Add(`"a", W/"b,c"`, `"d"`)
	f.Add(`"`, `""`)
	f.Fuzz(func(t *testing.T, list, tag string) {
		_ = matchesETag([]string{list}, tag)
		etag := `"` + strings.Map(func(r rune) rune {
			if r == '"' {
				return -1
			}
			return r
		}, tag) + `"`
		if !matchesETag([]string{`"x", ` + etag}, etag) {
			t.Errorf("%q was not found", etag)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add("12", "Tue, 24 Nov 2026 11:00:00 GMT", "0", "max-age=1", "Accept, *")
	f.Fuzz(func(t *testing.T, age, when, expires, control, vary string) {
		h := http.Header{"Age": {age}, "Date": {when}, "Expires": {expires}, "Cache-Control": {control}, "Vary": {vary}}
		a := got(h)
		p := Policy{Mode: ModeRespect, Heuristic: true}
		if a.initialAge < 0 || a.lifetime(&p) < 0 || a.age(noon().Add(-time.Hour)) < 0 {
			t.Errorf("negative time from %v", h)
		}
		for i, name := range varies(h) {
			if i > 0 && varies(h)[i-1] >= name {
				t.Errorf("%q is out of order", name)
			}
		}
	})
}
