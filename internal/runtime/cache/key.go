package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Scope says whose answers a call may see: those fetched for the same connection and account, with the same
// version of the same credential. Credential is an opaque id, never the credential itself.
type Scope struct {
	Connection        string
	Account           string
	Credential        string
	CredentialVersion int
}

// digest identifies something without telling it. It is made under a secret of the process.
type digest [sha256.Size]byte

// key finds answers: all of a URL through one connection by uri, and of them those of one scope, method and
// set of headers by selection.
type key struct {
	uri       digest
	selection digest
}

// hasher makes digests. Parts are prefixed with their length, so that no two lists of parts are alike.
type hasher struct {
	secret [32]byte
}

func (h *hasher) begin(buf []byte, kind byte) []byte {
	return append(append(buf, h.secret[:]...), kind)
}

func part(buf []byte, s string) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(s)))
	return append(buf, s...)
}

func (h *hasher) uri(connection string, u *url.URL) digest {
	var space [512]byte
	b := part(h.begin(space[:0], 'u'), connection)
	b = part(part(part(b, u.Scheme), u.Host), u.EscapedPath())
	return sha256.Sum256(part(b, u.RawQuery))
}

func (h *hasher) key(s Scope, method string, u *url.URL, header http.Header, p *Policy) key {
	var (
		space  [1024]byte
		sorted [32]string
	)
	b := part(part(part(h.begin(space[:0], 's'), s.Account), s.Credential), method)
	b = binary.AppendVarint(b, int64(s.CredentialVersion))
	names := sorted[:0]
	for name, values := range header {
		if len(values) > 0 && !selectsNothing(name) && !p.ignores(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		b = fields(part(b, name), header[name])
	}
	return key{uri: h.uri(s.Connection, u), selection: sha256.Sum256(b)}
}

func fields(b []byte, values []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(values)))
	for _, v := range values {
		b = part(b, strings.TrimSpace(v))
	}
	return b
}

// selectsNothing lists request headers that do not decide what is answered, unless Vary says so. Any other
// is part of the key: APIs select accounts and versions by headers that they do not name in Vary.
func selectsNothing(name string) bool {
	switch name {
	case "User-Agent", "X-Request-Id", "X-Correlation-Id", "Traceparent", "Tracestate", "Baggage", "B3", "X-Amzn-Trace-Id",
		"Cache-Control", "Pragma", "If-None-Match", "If-Modified-Since", "Date", "Referer", "Origin", "Priority", "Dnt",
		"Connection", "Te", "Content-Length", "Idempotency-Key", "X-Idempotency-Key", "Expect", "Via", "From":
		return true
	}
	return strings.HasPrefix(name, "X-B3-") || strings.HasPrefix(name, "Sec-")
}

// varies is the list of header names in Vary, canonical and in order (4.1).
func varies(h http.Header) []string {
	var names []string
	for name := range listItems(h["Vary"]) {
		names = append(names, http.CanonicalHeaderKey(name))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func variesByAll(h http.Header) bool {
	for name := range listItems(h["Vary"]) {
		if name == "*" {
			return true
		}
	}
	return false
}

// variant digests the values of the headers that an answer varies by.
func (h *hasher) variant(names []string, request http.Header) digest {
	if len(names) == 0 {
		return digest{}
	}
	var space [512]byte
	b := h.begin(space[:0], 'v')
	for _, name := range names {
		b = fields(part(b, name), request[name])
	}
	return sha256.Sum256(b)
}
