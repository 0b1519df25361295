package http1

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxBody is how long a body may be that is sent together with its header, in one write that no upstream can
// hold up: it fits into the buffer of a socket.
const maxBody = 8 << 10

// keptRoom is how much room for a request a connection keeps.
const keptRoom = 32 << 10

var errUnsendable = errors.New("http1: the request cannot be written")

// compose writes a request into c.out. What cannot be written without becoming something else is an error.
func (c *conn) compose(r *http.Request, body []byte) error {
	b := c.out[:0]
	b = append(b, r.Method...)
	b = append(b, ' ')
	at := len(b)
	b = appendTarget(b, r)
	for _, x := range b[at:] {
		if x <= ' ' || x == 0x7f {
			return fmt.Errorf("%w: its address has a control character or a space", errUnsendable)
		}
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	if r.Host != "" {
		b = append(b, r.Host...)
	} else {
		b = append(b, r.URL.Host...)
	}
	b = append(b, '\r', '\n')
	if agent, ok := r.Header["User-Agent"]; !ok {
		b = append(b, "User-Agent: Go-http-client/1.1\r\n"...)
	} else if len(agent) > 0 && agent[0] != "" {
		if !isValue(agent[0]) {
			return fmt.Errorf("%w: the value of User-Agent", errUnsendable)
		}
		b = appendField(b, "User-Agent", agent[0])
	}
	if len(body) > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, '\r', '\n')
	}
	b, err := c.appendHeader(b, r.Header)
	if err != nil {
		return err
	}
	b = append(b, '\r', '\n')
	b = append(b, body...)
	c.out = b
	return nil
}

// appendTarget appends path and query, as url.URL.RequestURI puts them together.
func appendTarget(b []byte, r *http.Request) []byte {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(b, path...)
	if r.URL.ForceQuery || r.URL.RawQuery != "" {
		b = append(b, '?')
		b = append(b, r.URL.RawQuery...)
	}
	return b
}

// appendHeader appends the fields in the order of their names, so that a request always looks the same.
func (c *conn) appendHeader(b []byte, header http.Header) ([]byte, error) {
	names := c.names[:0]
	for name := range header {
		switch name {
		case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // They are written above, or have no place here.
		}
		names = append(names, name)
	}
	c.names = names
	slices.Sort(names)
	for _, name := range names {
		if !isToken(name) {
			return nil, fmt.Errorf("%w: a header has the name %q", errUnsendable, name)
		}
		for _, v := range header[name] {
			if !isValue(v) {
				return nil, fmt.Errorf("%w: the value of %s", errUnsendable, name)
			}
			b = appendField(b, name, v)
		}
	}
	clear(names)
	return b, nil
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ':', ' ')
	b = append(b, strings.Trim(value, " \t")...)
	return append(b, '\r', '\n')
}

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func tokenByte(c byte) bool {
	// One bit for each byte below 128: letters, digits and !#$%&'*+-.^_`|~.
	const (
		low  = (1<<10-1)<<'0' | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
		high = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64) | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
	)
	return (uint64(1)<<c)&low|(uint64(1)<<(c-64))&high != 0
}

// isValue reports whether s may be the value of a field: no control characters but tabs.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
