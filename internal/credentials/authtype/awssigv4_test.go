package authtype

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// keeping returns a request whose body can be read for a signature, and is still there afterwards.
func keeping(ctx context.Context, method, address, contentType, body string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	if body == "" {
		r.Body, r.GetBody = http.NoBody, nil
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// The signatures that AWS publishes in its test suite for Signature Version 4 (aws-sig-v4-test-suite; the
// names are those of its cases). There, paths come unescaped and are encoded once.
func TestSigV4Suite(t *testing.T) {
	t.Parallel()
	const unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, c := range []struct {
		name, method, target string
		header               http.Header
		body, want           string
		once                 bool
	}{
		{name: "get-vanilla", method: "GET", target: "/", want: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "get-vanilla-query-order-key-case", method: "GET", target: "/?Param2=value2&Param1=value1", want: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{name: "get-vanilla-query-unreserved", method: "GET", target: "/?" + unreserved + "=" + unreserved, want: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{name: "get-vanilla-utf8-query", method: "GET", target: "/?%E1%88%B4=bar", want: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{name: "get-unreserved", method: "GET", target: "/" + unreserved, want: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{name: "get-utf8", method: "GET", target: "/%E1%88%B4", once: true, want: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{name: "normalize-path/get-space", method: "GET", target: "/example%20space/", once: true, want: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
		{name: "normalize-path/get-relative", method: "GET", target: "/example/..", want: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "normalize-path/get-relative-relative", method: "GET", target: "/example1/example2/../..", want: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "normalize-path/get-slash", method: "GET", target: "//", want: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "normalize-path/get-slash-dot-slash", method: "GET", target: "/./", want: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{name: "normalize-path/get-slash-pointless-dot", method: "GET", target: "/./example", want: "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
		{name: "normalize-path/get-slashes", method: "GET", target: "//example//", want: "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
		{
			name: "get-header-value-trim", method: "GET", target: "/", header: http.Header{"My-Header1": {" value1"}, "My-Header2": {` "a   b   c"`}},
			want: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
		},
		{
			name: "get-header-key-duplicate", method: "GET", target: "/", header: http.Header{"My-Header1": {"value2", "value2", "value1"}},
			want: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
		},
		{name: "post-vanilla", method: "POST", target: "/", want: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{
			name: "post-x-www-form-urlencoded", method: "POST", target: "/", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			body: "Param1=value1", want: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
		},
	} {
		r := keeping(t.Context(), c.method, "https://example.amazonaws.com/", "", c.body)
		u, err := url.Parse("https://example.amazonaws.com" + c.target)
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.Header = u, http.Header{"X-Amz-Date": {"20150830T123600Z"}}
		maps.Copy(r.Header, c.header)
		hash, err := awsSigV4{}.payloadHash(r, map[string]string{"payload": "signed"})
		if err != nil {
			t.Fatal(err)
		}
		s := sigV4{
			accessKey: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region: "us-east-1", service: "service",
			at: time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC), payload: hash, s3: c.once,
		}
		got := s.authorization(r, func(string) bool { return true })
		if _, signature, _ := strings.Cut(got, ", Signature="); signature != c.want {
			t.Errorf("%s: %s, want the signature %s", c.name, got, c.want)
		}
	}
}

// Paths are encoded twice but for S3, which takes them as they are, slashes and dots included.
func TestSigV4Path(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sent, twice, once string }{
		{"", "/", "/"},
		{"/a%20b/c+d", "/a%2520b/c%2Bd", "/a%20b/c%2Bd"},
		{"/a%2Fb", "/a%252Fb", "/a/b"},
		{"/model/a:0/invoke", "/model/a%3A0/invoke", "/model/a%3A0/invoke"},
		{"//a/./b/../c/", "/a/c/", "//a/./b/../c/"},
		{"/a/b/..", "/a/", "/a/b/.."},
	} {
		u, err := url.Parse("https://h" + c.sent)
		if err != nil {
			t.Fatal(err)
		}
		if twice, once := (sigV4{}).path(u), (sigV4{s3: true}).path(u); twice != c.twice || once != c.once {
			t.Errorf("%q: %q and %q for S3, want %q and %q", c.sent, twice, once, c.twice, c.once)
		}
	}
}

// What is signed is what is sent: a plus is read in different ways, so it goes out as what it means.
func TestSigV4Plus(t *testing.T) {
	t.Parallel()
	r := keeping(t.Context(), http.MethodGet, "https://api.example.com/?b=2+3&a=%2B", "", "")
	shared := r.URL
	if err := (awsSigV4{}).Apply(r, useOf(awsValues())); err != nil {
		t.Fatal(err)
	}
	if r.URL.RawQuery != "b=2%203&a=%2B" || shared.RawQuery != "b=2+3&a=%2B" {
		t.Errorf("sent %s, and the shared URL became %s", r.URL.RawQuery, shared.RawQuery)
	}
	if got := canonicalQuery("b=2%203&a=%2B&B&b=1&&%zz=1"); got != "%25zz=1&B=&a=%2B&b=1&b=2%203" {
		t.Error(got)
	}
}

func TestSigV4Refused(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]map[string]string{
		"unsigned, not S3":        awsValues("payload", "unsigned"),
		"slash in the region":     awsValues("region", "eu/central"),
		"comma in the key":        awsValues("access_key_id", "A,B"),
		"space in the secret":     awsValues("secret_access_key", "a b"),
		"line in the session":     awsValues("session_token", "a\nb"),
		"placeholder as a region": awsValues("region", "{region}"),
	} {
		if Validate(awsSigV4{}, values) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	r := keeping(t.Context(), http.MethodPut, "http://minio.example.com/b/k", "", "x")
	if err := (awsSigV4{}).Apply(r, useOf(awsValues("service", "s3", "payload", "unsigned"))); err == nil || r.Header.Get("Authorization") != "" {
		t.Errorf("an unsigned body goes out over http: %v", err)
	}
}

// A kind that signs the body refuses one that was not kept, instead of signing another.
func TestBodyNotKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ    BodySigner
		values map[string]string
	}{
		{awsSigV4{}, awsValues()},
		{hmacSignature{}, hmacValues()},
		{hmacSignature{}, hmacValues("string_to_sign", "{body}")},
		{oauth1{}, map[string]string{"signature_method": "HMAC-SHA1", "consumer_key": "ck", "consumer_secret": canary}},
	} {
		const form = "application/x-www-form-urlencoded"
		if !c.typ.SignsBody(c.values, form) {
			t.Errorf("%s does not say that it signs", c.typ.Kind())
		}
		r := keeping(t.Context(), http.MethodPost, "https://api.example.com/", form, "a=1")
		r.GetBody = nil
		if err := c.typ.Apply(r, useOf(c.values)); err == nil || r.Header.Get("Authorization") != "" {
			t.Errorf("%s signs a body that it cannot read: %v", c.typ.Kind(), err)
		}
	}
	if (awsSigV4{}).SignsBody(awsValues("payload", "unsigned"), "") || (hmacSignature{}).SignsBody(hmacValues("string_to_sign", "{method}"), "") ||
		(oauth1{}).SignsBody(nil, "application/json") {
		t.Error("a body would be kept for nothing")
	}
}
