package runtime_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"switchgear/internal/fault"
	"switchgear/internal/runtime"
)

func TestJoinPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ base, rest, query, want string }{
		{"https://api.test", "", "", "https://api.test/"},
		{"https://api.test/", "", "", "https://api.test/"},
		{"https://api.test/v1", "", "", "https://api.test/v1"},
		{"https://api.test/v1", "charges", "", "https://api.test/v1/charges"},
		{"https://api.test/v1/", "charges/", "", "https://api.test/v1/charges/"},
		{"https://api.test:8443/v1", "a", "b=c&d=%20+e", "https://api.test:8443/v1/a?b=c&d=%20+e"},
		{"https://api.test/v1?api-version=2", "a", "b=c", "https://api.test/v1/a?api-version=2&b=c"},
		{"https://api.test/v1?api-version=2", "a", "", "https://api.test/v1/a?api-version=2"},
		// Escaped bytes stay.
		{"https://api.test", "group%2Fname/files/a%20b%3Fc%23d", "", "https://api.test/group%2Fname/files/a%20b%3Fc%23d"},
		{"https://api.test", "%E2%82%AC/%e2%82%ac", "", "https://api.test/%E2%82%AC/%e2%82%ac"},
		{"https://api.test/a%2Fb", "c", "", "https://api.test/a%2Fb/c"},
		{"https://api.test", "a;v=1/b,c/!$&'()*+=:@[]~", "", "https://api.test/a;v=1/b,c/!$&'()*+=:@[]~"},
		{"https://api.test", "100%25", "", "https://api.test/100%25"},
		{"https://api.test", "a%0D%0Ab", "", "https://api.test/a%0D%0Ab"},
		// Bytes that have no place in a path are escaped, the rest around them is not.
		{"https://api.test", `a|b^c"<>{}` + "`" + `%2F\é?#`, "", "https://api.test/a%7Cb%5Ec%22%3C%3E%7B%7D%60%2F%5C%C3%A9%3F%23"},
		// Other hosts are segments.
		{"https://api.test", "/evil.test/x", "", "https://api.test//evil.test/x"},
		{"https://api.test/v1", "//evil.test", "", "https://api.test/v1///evil.test"},
		{"https://api.test", `\evil.test`, "", "https://api.test/%5Cevil.test"},
		{"https://api.test", `/\evil.test`, "", "https://api.test//%5Cevil.test"},
		{"https://api.test", "@evil.test", "", "https://api.test/@evil.test"},
		{"https://api.test", ":80@evil.test", "", "https://api.test/:80@evil.test"},
		{"https://api.test", "http://evil.test/", "", "https://api.test/http://evil.test/"},
		{"https://api.test", ".evil.test", "", "https://api.test/.evil.test"},
		// Dots that stay below.
		{"https://api.test/v1", "a/../b", "", "https://api.test/v1/a/../b"},
		{"https://api.test/v1", "a/%2e%2e/b", "", "https://api.test/v1/a/%2e%2e/b"},
		{"https://api.test/v1", "a/./b/...", "", "https://api.test/v1/a/./b/..."},
		{"https://api.test/v1", "v1..v2/a..b", "", "https://api.test/v1/v1..v2/a..b"},
		{"https://api.test/v1", "files/..%2Fx", "", "https://api.test/v1/files/..%2Fx"},
	} {
		base, err := url.Parse(c.base)
		if err != nil {
			t.Fatal(err)
		}
		got, err := runtime.JoinPath(base, c.rest, c.query)
		if err != nil {
			t.Errorf("%s + %q: %v", c.base, c.rest, err)
			continue
		}
		// As it goes over the wire; String() would guard // at the front.
		if wire := got.Scheme + "://" + got.Host + got.RequestURI(); wire != c.want {
			t.Errorf("%s + %q = %s, want %s", c.base, c.rest, wire, c.want)
		}
	}
}

func TestJoinPathRefuses(t *testing.T) {
	t.Parallel()
	base := &url.URL{Scheme: "https", Host: "api.test", Path: "/v1"}
	for _, rest := range []string{
		"..", "../", "../admin", "/../admin", "a/../../admin", "./../x", "a//../../x", "a/./../../x",
		"%2e%2e", "%2E%2e/admin", ".%2e/x", "%2e./x", "a/%2e%2e/%2e%2e/x",
		"..;/admin", "..;a=b/admin", "a/..;/..;x/admin", "%2e%2e;/x", "..%3b/x",
		`..\admin`, `a\..\..\x`, "..%5cadmin", "..%2fadmin", "%2e%2e%2fadmin", "a%2f..%2f..%2fx",
		"%252e%252e/x", "%252e%252e%252fx", "..%252fx", "%25252e%25252e/x", "%2525252525252e",
		"..%00/x", "..%00.json", "..%20/x", "..%09/x", "%c0%ae%c0%ae/x", "..%c0%afx", "..%c1%9cx",
		"a%", "a%2", "a%zz", "%", "a\r\nX: y", "a\x00", "a\x7f", "\t",
	} {
		if got, err := runtime.JoinPath(base, rest, ""); !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != runtime.CodeInvalidPath {
			t.Errorf("%q gives %v, %v; want it refused", rest, got, err)
		}
	}
	for _, query := range []string{"a=b\r\nX: y", "a b", "a#b", "\x00"} {
		if got, err := runtime.JoinPath(base, "x", query); !fault.Is(err, fault.Invalid) {
			t.Errorf("query %q gives %v, %v; want it refused", query, got, err)
		}
	}
}

// FuzzJoinPath writes the request as the transport would and reads it as a server does: the host is that
// of the base, there is one request, and its path stays below the base.
func FuzzJoinPath(f *testing.F) {
	for _, rest := range []string{
		"", "a/b", "//evil.test", `/\evil.test`, "..;/", "%2e%2e/", "@evil.test", "http://evil.test/", "a\r\nHost: evil.test", "%0d%0aHost:%20evil.test",
		"a/../..", "%252e%252e%252f", "?x", "#y", "[::1]/", "*", "a%2fb", "\xff\xfe", ":@/", "%00", " ", "evil.test:80/x HTTP/1.1\r\n\r\nGET /",
	} {
		f.Add(rest, "")
		f.Add("x", rest)
		f.Add(rest, rest)
	}
	bases := []*url.URL{
		{Scheme: "http", Host: "api.test"},
		{Scheme: "http", Host: "api.test:8080", Path: "/v1"},
		{Scheme: "http", Host: "api.test", Path: "/a/b/", RawQuery: "k=v"},
		{Scheme: "http", Host: "api.test", Path: "/a/b c", RawPath: "/a%2Fb%20c"},
	}
	f.Fuzz(func(t *testing.T, rest, query string) {
		for _, base := range bases {
			u, err := runtime.JoinPath(base, rest, query)
			if err != nil {
				if !fault.Is(err, fault.Invalid) {
					t.Errorf("%q: %v is not Invalid", rest, err)
				}
				continue
			}
			if u.Host != base.Host || u.Scheme != base.Scheme || u.User != nil || u.Opaque != "" || u.Fragment != "" {
				t.Fatalf("%q: %#v", rest, u)
			}
			var wire bytes.Buffer
			req := &http.Request{Method: http.MethodGet, URL: u, Host: base.Host, Header: http.Header{}}
			if err := req.Write(&wire); err != nil {
				continue // Not sent at all.
			}
			got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire.Bytes())))
			if err != nil {
				t.Fatalf("%q: the request cannot be read: %v\n%q", rest, err, wire.String())
			}
			if got.Host != base.Host || strings.Count(wire.String(), "\r\n\r\n") != 1 || strings.Count(wire.String(), "\r\nHost:") != 1 {
				t.Fatalf("%q, %q: the host is %q\n%q", rest, query, got.Host, wire.String())
			}
			clean, below := path.Clean("/"+u.Path), strings.TrimSuffix(path.Clean("/"+base.Path), "/")
			if clean != below && !strings.HasPrefix(clean, below+"/") {
				t.Fatalf("%q: %q leaves %q", rest, clean, below)
			}
			if escaped := strings.TrimSuffix(base.EscapedPath(), "/"); !strings.HasPrefix(u.EscapedPath(), escaped) {
				t.Fatalf("%q: %q does not begin with %q", rest, u.EscapedPath(), escaped)
			}
		}
	})
}
