package console

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"switchgear/internal/credentials"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// maxTryForm bounds a request that is composed by hand, encoded as a form.
const maxTryForm = 512 << 10

func tryMethods() []string {
	return []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions,
	}
}

// tryForm is a request as somebody enters it.
type tryForm struct {
	method, path string
	query        string // name=value, one a line, not encoded
	headers      string // Name: value, one a line
	body         string
	account      string
}

func enteredTry(form url.Values) tryForm {
	plain := func(name string) string { return strings.ReplaceAll(form.Get(name), "\r\n", "\n") }
	return tryForm{
		method: form.Get("method"), path: strings.TrimSpace(form.Get("path")), query: plain("query"), headers: plain("headers"),
		body: plain("body"), account: firstOf(form.Get("account"), credentials.DefaultAccount),
	}
}

// isTryField reports whether problems are about what was entered, and not about the connection.
func isTryField(problems map[string]string) bool {
	for name := range problems {
		if !slices.Contains([]string{"method", "path", "query", "headers", "body", "account"}, name) {
			return false
		}
	}
	return true
}

// escapedPath is the path as the gateway takes it: below the connection, without the leading slash. What
// is escaped already stays.
func (f tryForm) escapedPath() string {
	path, _, _ := strings.Cut(strings.TrimPrefix(f.path, "/"), "?")
	return plainURL(path)
}

// rawQuery is what stands in the path behind a question mark, and the lines of the query field.
func (f tryForm) rawQuery() string {
	_, raw, _ := strings.Cut(f.path, "?")
	parts := []string{plainURL(raw)}
	for line := range lines(f.query) {
		name, value, ok := strings.Cut(line, "=")
		part := url.QueryEscape(strings.TrimSpace(name))
		if ok {
			part += "=" + url.QueryEscape(strings.TrimSpace(value))
		}
		parts = append(parts, part)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "&")
}

func lines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(text, "\n") {
			if strings.TrimSpace(line) != "" && !yield(line) {
				return
			}
		}
	}
}

// headerLines are the headers as they were entered.
func (f tryForm) headerLines() [][2]string {
	var out [][2]string
	for line := range lines(f.headers) {
		name, value, _ := strings.Cut(line, ":")
		out = append(out, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return out
}

// request makes the request that an application would have sent to the gateway.
func (f tryForm) request() (*http.Request, error) {
	if !slices.Contains(tryMethods(), f.method) {
		return nil, fault.Field("UNKNOWN_METHOD", "method", "Choose one of the methods.")
	}
	if strings.ContainsFunc(f.path, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.Contains(f.path, "#") {
		return nil, fault.Field("INVALID_PATH", "path", "Write a path such as /v1/charges, without line breaks and without #.")
	}
	if strings.Contains(f.path, "://") {
		return nil, fault.Field("INVALID_PATH", "path", "Write the path only: the connection says where the request goes.")
	}
	if f.method == http.MethodHead && f.body != "" {
		return nil, fault.Field("BODY_NOT_POSSIBLE", "body", "A HEAD request has no body.")
	}
	header, err := f.header()
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: f.method, URL: &url.URL{Path: "/", RawQuery: f.rawQuery()}, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if f.body != "" {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(f.body)), int64(len(f.body))
	}
	return r, nil
}

// header reads the lines. What belongs to the connection is refused and not silently dropped: whoever
// enters it expects it to arrive.
func (f tryForm) header() (http.Header, error) {
	h := http.Header{}
	for _, line := range f.headerLines() {
		name, value := textproto.CanonicalMIMEHeaderKey(line[0]), line[1]
		switch {
		case !isToken(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return nil, fault.Field("INVALID_HEADER", "headers", "Write one header a line, as Name: value.")
		case runtime.NotPassedOn(name):
			return nil, fault.Field("HEADER_NOT_PASSED_ON", "headers", line[0]+" is not passed on: the gateway or the credential of the connection sets it.")
		}
		h[name] = append(h[name], value)
	}
	if f.body != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", bodyType(f.body))
	}
	return h, nil
}

// isToken reports whether HTTP allows s as the name of a header.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// bodyType is the type of a body for which none was entered.
func bodyType(body string) string {
	if start := strings.TrimLeft(body, " \t\n"); strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[") {
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// formOf fills the form from a recorded call. What was redacted cannot come back; note says so.
func formOf(rec runtime.Record) (f tryForm, note string) {
	f = tryForm{method: rec.Method, path: "/" + strings.TrimPrefix(rec.Path, "/"), account: rec.Account}
	if !slices.Contains(tryMethods(), f.method) {
		f.method = http.MethodGet
	}
	missing := false
	query, dropped := withoutRedacted(rec.Query)
	missing = missing || dropped
	if query != "" {
		var lines []string
		for pair := range strings.SplitSeq(query, "&") {
			name, value, ok := strings.Cut(pair, "=")
			line := unescaped(name)
			if ok {
				line += "=" + unescaped(value)
			}
			lines = append(lines, line)
		}
		f.query = strings.Join(lines, "\n")
	}
	var headers []string
	for _, h := range headerRows(rec.RequestHeader) {
		if !worthRepeating(h.Name) || runtime.NotPassedOn(h.Name) {
			continue
		}
		if strings.Contains(h.Value, telemetry.Redacted) {
			continue // The credential of the connection comes back by itself.
		}
		headers = append(headers, h.Name+": "+h.Value)
	}
	f.headers = strings.Join(headers, "\n")
	body := rec.RequestBytes > 0
	if b := rec.Bodies; b != nil && b.Request.Note == "" && !strings.Contains(b.Request.Text, telemetry.Redacted) {
		f.body, body = b.Request.Text, false
	}
	switch {
	case missing && body:
		return f, "Filled from a recorded call. Its body and what was redacted are not here: fill them in before you send it."
	case body:
		return f, "Filled from a recorded call. Its body is not here, because it was not recorded, or not whole: fill it in before you send it."
	case missing:
		return f, "Filled from a recorded call. What was redacted is not here: fill it in before you send it."
	}
	return f, "Filled from a recorded call."
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil && !strings.ContainsAny(plain, "\r\n") {
		return plain
	}
	return s
}

// worthRepeating leaves out what says something about the program that sent the call and not about it.
func worthRepeating(name string) bool {
	switch name {
	case "User-Agent", "Accept-Encoding", "Connection", "Priority", "Traceparent", "Tracestate", "Te", "Expect", "X-Request-Id":
		return false
	}
	return !strings.HasPrefix(name, "Sec-")
}
