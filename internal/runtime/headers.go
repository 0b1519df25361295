package runtime

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"switchgear/internal/runtime/bodies"
	"switchgear/internal/telemetry"
)

const (
	ownPrefix       = "Switchgear-"
	requestIDHeader = "X-Request-Id"
	attemptsHeader  = "Switchgear-Attempts"
)

// hopByHop lists headers that are about one connection, not about the message (RFC 9110, 7.6.1).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// dropFromRequest lists what is for us (credentials, our own headers) and what tells about the network on
// our side, which is nobody's business upstream. Content-Length is written anew by the transport.
func dropFromRequest(name string) bool {
	switch name {
	case "Authorization", "X-Api-Key", "Cookie", "Content-Length", "Host", "Forwarded", "Via", "X-Real-Ip":
		return true
	}
	return hopByHop(name) || strings.HasPrefix(name, ownPrefix) || strings.HasPrefix(name, "X-Forwarded-")
}

// NotPassedOn reports whether the gateway keeps a header of that canonical name from the upstream.
func NotPassedOn(name string) bool { return dropFromRequest(name) }

// dropFromResponse lists what an upstream must not say in our name: our headers, the request id, and
// other servers that would stand in for this one.
func dropFromResponse(name string) bool {
	return name == requestIDHeader || name == "Alt-Svc" || hopByHop(name) || strings.HasPrefix(name, ownPrefix)
}

// connectionTokens returns the canonical names that Connection declares to be hop-by-hop too.
func connectionTokens(h http.Header) []string {
	values := h["Connection"]
	if len(values) == 0 {
		return nil
	}
	var names []string
	for _, v := range values {
		for token := range strings.SplitSeq(v, ",") {
			switch token = strings.TrimSpace(token); {
			case token == "", strings.EqualFold(token, "close"), strings.EqualFold(token, "keep-alive"):
			default:
				names = append(names, http.CanonicalHeaderKey(token))
			}
		}
	}
	return names
}

// hasToken reports whether a list header names a token.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// requestHeader is the header of the outgoing request, before the credential. The values are shared with
// in; nobody changes a value in place.
func requestHeader(in http.Header) http.Header {
	out := make(http.Header, len(in)+2)
	tokens := connectionTokens(in)
	for name, values := range in {
		if dropFromRequest(name) || slices.Contains(tokens, name) {
			continue
		}
		out[name] = values
	}
	if hasToken(in["Te"], "trailers") {
		out["Te"] = []string{"trailers"}
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = nil // net/http would name itself.
	}
	return out
}

// copyResponseHeader adds the upstream's headers to the answer.
func copyResponseHeader(to, from http.Header) {
	tokens := connectionTokens(from)
	for name, values := range from {
		if dropFromResponse(name) || slices.Contains(tokens, name) {
			continue
		}
		to[name] = values
	}
	// Without this, net/http would guess a type from the body.
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil
	}
}

// redactor makes the copies of headers and queries that are recorded.
type redactor struct {
	// known caches which names are secret: judging one costs more than all the rest of a header.
	known    atomic.Pointer[map[string]bool]
	mu       sync.Mutex // one writer of known at a time
	maxBytes int        // of one recorded header
	redacted []string   // the one value of every redacted header
}

const maxKnownNames = 1000

func newRedactor(maxBytes int) *redactor {
	r := &redactor{maxBytes: maxBytes, redacted: []string{telemetry.Redacted}}
	r.known.Store(&map[string]bool{})
	return r
}

func (r *redactor) secret(name string) bool {
	known := *r.known.Load()
	if is, ok := known[name]; ok {
		return is
	}
	is := secretHeader(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	// Callers choose names; the cache must not grow with their imagination.
	if known = *r.known.Load(); len(known) < maxKnownNames {
		next := maps.Clone(known)
		next[strings.Clone(name)] = is
		r.known.Store(&next)
	}
	return is
}

// secretHeader errs on the side of hiding: vendors name their keys freely.
func secretHeader(name string) bool {
	if telemetry.IsSecretKey(name) {
		return true
	}
	n := strings.ToLower(name)
	if n == "idempotency-key" || n == "x-idempotency-key" || n == "www-authenticate" {
		return false
	}
	for _, part := range []string{"auth", "token", "secret", "password", "cookie", "credential", "session", "signature", "apikey", "api-key", "api_key"} {
		if strings.Contains(n, part) {
			return true
		}
	}
	return strings.HasSuffix(n, "-key") || strings.HasSuffix(n, "_key") || n == "key" || n == "sig" || n == "code"
}

// plain reports whether the copy of h to record would be the same as h.
func (r *redactor) plain(h http.Header) bool {
	left := r.maxBytes
	for name, values := range h {
		left -= len(name)
		for _, v := range values {
			left -= len(v)
		}
		if values == nil || left < 0 || r.secret(name) || isLink(name) {
			return false
		}
	}
	return true
}

// isLink reports whether a header holds an address, whose query may hold a secret.
func isLink(name string) bool {
	return name == "Location" || name == "Referer" || name == "Content-Location"
}

// header returns the copy of h to record: secrets redacted, cut to the size that is kept.
func (r *redactor) header(h http.Header) http.Header {
	out := make(http.Header, len(h)+1)
	left := r.maxBytes
	for name, values := range h {
		if values == nil {
			continue
		}
		if r.secret(name) {
			out[name] = r.redacted
			continue
		}
		left -= len(name)
		for _, v := range values {
			left -= len(v)
		}
		switch {
		case left < 0:
			out[name] = []string{"[not kept: too long]"}
			left = 0
		case isLink(name):
			out[name] = []string{r.link(values[0])}
		default:
			out[name] = values
		}
	}
	return out
}

// hideCredential redacts what Authorize changed: its header names need not look secret.
func (r *redactor) hideCredential(recorded, before, after http.Header) {
	for name, values := range after {
		old, ok := before[name]
		if values != nil && (!ok || !slices.Equal(old, values)) {
			recorded[name] = r.redacted
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			delete(recorded, name)
		}
	}
}

// link redacts the query of a URL.
func (r *redactor) link(link string) string {
	path, query, ok := strings.Cut(link, "?")
	if !ok {
		return link
	}
	query, fragment, ok := strings.Cut(query, "#")
	if ok {
		fragment = "#" + telemetry.Redacted // Implicit grants put tokens there.
	}
	return path + "?" + r.query(query) + fragment
}

// query redacts the values of parameters whose name says that they are secret.
func (r *redactor) query(raw string) string {
	if raw == "" || !strings.ContainsRune(raw, '=') {
		return raw
	}
	secret := func(pair string) (name string, is bool) {
		name, _, ok := strings.Cut(pair, "=")
		return name, ok && r.secretParameter(name)
	}
	found := false
	for pair := range strings.SplitSeq(raw, "&") {
		_, is := secret(pair)
		found = found || is
	}
	if !found {
		return raw
	}
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		if name, is := secret(pair); is {
			pairs[i] = name + "=" + telemetry.Redacted
		}
	}
	return strings.Join(pairs, "&")
}

func (r *redactor) secretParameter(name string) bool {
	if plain, err := url.QueryUnescape(name); err == nil {
		name = plain
	}
	return r.secret(name)
}

// addedQuery appends to a recorded query the names of what Authorize added, without the values.
func addedQuery(recorded, before, after string) string {
	if before == after {
		return recorded
	}
	old := strings.Split(before, "&")
	for pair := range strings.SplitSeq(after, "&") {
		if slices.Contains(old, pair) {
			continue
		}
		name, _, _ := strings.Cut(pair, "=")
		if recorded != "" {
			recorded += "&"
		}
		recorded += name + "=" + telemetry.Redacted
	}
	return recorded
}

// addedValues are the values that Authorize put on, and what is in them: the token without its scheme, the
// parts of a Basic credential. A recorded body must not repeat one.
func addedValues(before, after http.Header, queryBefore, queryAfter string) []string {
	var values []string
	for name, now := range after {
		for _, v := range now {
			if slices.Contains(before[name], v) {
				continue
			}
			values = append(values, v)
			scheme, token, ok := strings.Cut(v, " ")
			if !ok {
				continue
			}
			values = append(values, token)
			if strings.EqualFold(scheme, "Basic") {
				values = append(values, basicParts(token)...)
			}
		}
	}
	if queryBefore != queryAfter {
		old := strings.Split(queryBefore, "&")
		for pair := range strings.SplitSeq(queryAfter, "&") {
			_, value, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(value); err == nil && !slices.Contains(old, pair) {
				values = append(values, plain)
			}
		}
	}
	return slices.DeleteFunc(values, func(v string) bool { return v == "" })
}

// basicParts is what is secret in a Basic credential: the password, or the user when it stands alone, as
// vendors do with keys.
func basicParts(token string) []string {
	plain, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil
	}
	user, password, _ := strings.Cut(string(plain), ":")
	if password == "" {
		return []string{user}
	}
	return []string{password}
}

// hideValues takes secrets out of a recorded header: an upstream may repeat what it got.
func hideValues(recorded http.Header, secrets []string) {
	if len(secrets) == 0 {
		return
	}
	for name, values := range recorded {
		values = slices.Clone(values) // They are those of the answer that passes.
		for i, v := range values {
			values[i] = bodies.Hide(v, false, secrets)
		}
		recorded[name] = values
	}
}
