package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// malformedError is an answer that is not taken. It repeats nothing of the answer.
type malformedError string

// Error implements error.
func (e malformedError) Error() string { return "http1: the answer " + string(e) }

// Malformed says why an answer was not taken: what it has that proper HTTP/1 has not. It repeats nothing of the
// answer. false for an error that is about something else.
func Malformed(err error) (why string, ok bool) {
	e, ok := errors.AsType[malformedError](err)
	return "the answer " + string(e), ok
}

const (
	errStatusLine   = malformedError("has no valid status line")
	errVersion      = malformedError("is not in HTTP/1")
	errField        = malformedError("has a malformed header field")
	errFolded       = malformedError("has a header field that goes on in a second line")
	errTooLong      = malformedError("has too long a header")
	errTooMany      = malformedError("has too many header fields")
	errLengths      = malformedError("says more than one Content-Length")
	errLength       = malformedError("has a malformed Content-Length")
	errBoth         = malformedError("has both Content-Length and Transfer-Encoding")
	errEncoding     = malformedError("has a Transfer-Encoding other than chunked")
	errOldEncoding  = malformedError("is in HTTP/1.0 and has a Transfer-Encoding")
	errTrailerName  = malformedError("announces a trailer that must not be one")
	errTrailerField = malformedError("has a trailer that must not be one")
	errChunks       = malformedError("has malformed chunks")
)

// unexpected is the end of a connection in the middle of something.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readResponse reads the header of an answer, of at most that many bytes, and decides about the body. It
// returns how long the header was.
func (c *conn) readResponse(method string, most int) (resp *http.Response, length int, err error) {
	head, err := c.readLines(most)
	if err != nil {
		return nil, 0, err
	}
	line, fields, _ := cutLine(head)
	resp = &http.Response{}
	if err := parseStatus(resp, line); err != nil {
		return nil, 0, err
	}
	if resp.Header, err = parseFields(fields, c.limits.fields); err != nil {
		return nil, 0, err
	}
	// As net/http does: an old way to say the same.
	if pragma := resp.Header["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" {
		if _, ok := resp.Header["Cache-Control"]; !ok {
			resp.Header["Cache-Control"] = []string{"no-cache"}
		}
	}
	return resp, len(head), frame(resp, method)
}

// readLines reads lines up to and with the first empty one, together at most that many bytes.
func (c *conn) readLines(most int) (string, error) {
	in := c.in[:0]
	defer func() { c.in = in[:0] }()
	start := 0 // of the line
	for {
		part, err := c.br.ReadSlice('\n')
		in = append(in, part...)
		if len(in) > most {
			return "", errTooLong
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return "", unexpected(err)
		}
		if line := in[start:]; len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			return string(in), nil
		}
		start = len(in)
	}
}

// cutLine takes the first line off; false when there is none any more. Lines end with LF, mostly after CR.
func cutLine(text string) (line, rest string, ok bool) {
	line, rest, ok = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest, ok
}

// parseStatus reads the status line.
func parseStatus(resp *http.Response, line string) error {
	version, status, ok := strings.Cut(line, " ")
	if !ok || !isValue(line) {
		return errStatusLine
	}
	switch {
	case len(version) != len("HTTP/1.1") || version[:7] != "HTTP/1." || version[7] < '0' || version[7] > '9':
		return errVersion
	default:
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = version, 1, int(version[7]-'0')
	}
	resp.Status = strings.TrimLeft(status, " ")
	code, _, _ := strings.Cut(resp.Status, " ")
	if len(code) != 3 {
		return errStatusLine
	}
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return errStatusLine
		}
		resp.StatusCode = 10*resp.StatusCode + int(code[i]-'0')
	}
	return nil
}

// parseFields reads header or trailer fields up to the empty line.
func parseFields(text string, most int) (http.Header, error) {
	count := strings.Count(text, "\n") - 1
	if count > most {
		return nil, errTooMany
	}
	header, values := make(http.Header, count), make([]string, count)
	for {
		line, rest, ok := cutLine(text)
		if !ok || line == "" {
			return header, nil
		}
		text = rest
		if line[0] == ' ' || line[0] == '\t' {
			return nil, errFolded
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !isValue(value) {
			return nil, errField
		}
		name, value = canonical(name), strings.Trim(value, " \t")
		if before, ok := header[name]; ok {
			header[name] = append(before, value)
			continue
		}
		// Most fields come once. The capacity keeps a second one from the neighbour's place.
		values[0] = value
		header[name], values = values[:1:1], values[1:]
	}
}

// canonical is the name as net/http writes it; mostly it is so already.
func canonical(name string) string {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			return textproto.CanonicalMIMEHeaderKey(name)
		}
		upper = c == '-'
	}
	return name
}

// frame decides from the header where the body ends: resp.ContentLength, resp.TransferEncoding,
// resp.Trailer and resp.Close say it. What can be understood in more than one way is an error.
func frame(resp *http.Response, method string) error {
	h := resp.Header
	resp.Close = closes(resp)
	encoding, chunked := h["Transfer-Encoding"]
	lengths, said := h["Content-Length"]
	switch {
	case chunked && said:
		return errBoth
	case chunked && resp.ProtoMinor == 0:
		return errOldEncoding
	case chunked && (len(encoding) != 1 || !strings.EqualFold(encoding[0], "chunked")):
		return errEncoding
	case chunked:
		delete(h, "Transfer-Encoding")
		resp.TransferEncoding = []string{"chunked"}
		if err := announceTrailers(resp); err != nil {
			return err
		}
	}
	resp.ContentLength = -1
	if said {
		for _, other := range lengths[1:] {
			if other != lengths[0] {
				return errLengths
			}
		}
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return errLength
		}
		resp.ContentLength = int64(n)
		h["Content-Length"] = lengths[:1:1]
	}
	switch {
	case method == http.MethodHead:
	case !hasBody(resp.StatusCode):
		resp.ContentLength = 0
	case !chunked && !said:
		resp.Close = true // Its end is that of the connection.
	}
	return nil
}

// hasBody reports whether answers with that status have a body, to any method but HEAD.
func hasBody(status int) bool {
	return status/100 != 1 && status != http.StatusNoContent && status != http.StatusNotModified
}

// closes reports whether the other end closes the connection after this answer. As net/http does, the header
// field that says so is taken out.
func closes(resp *http.Response) bool {
	connection := resp.Header["Connection"]
	if len(connection) == 0 {
		return resp.ProtoMinor == 0
	}
	hasClose, hasKeep := false, false
	for _, v := range connection {
		for token := range strings.SplitSeq(v, ",") {
			token = strings.Trim(token, " \t")
			hasClose = hasClose || strings.EqualFold(token, "close")
			hasKeep = hasKeep || strings.EqualFold(token, "keep-alive")
		}
	}
	if resp.ProtoMinor == 0 {
		return hasClose || !hasKeep
	}
	if hasClose {
		delete(resp.Header, "Connection")
	}
	return hasClose
}

// announceTrailers readies resp.Trailer for what the header announces.
func announceTrailers(resp *http.Response) error {
	announced, ok := resp.Header["Trailer"]
	if !ok {
		return nil
	}
	delete(resp.Header, "Trailer")
	for _, v := range announced {
		for name := range strings.SplitSeq(v, ",") {
			if name = textproto.TrimString(name); name == "" {
				continue
			}
			name = textproto.CanonicalMIMEHeaderKey(name)
			if forbiddenTrailer(name) {
				return errTrailerName
			}
			if resp.Trailer == nil {
				resp.Trailer = http.Header{}
			}
			resp.Trailer[name] = nil
		}
	}
	return nil
}

// forbiddenTrailer lists what must not follow a body: it would change where the body ended.
func forbiddenTrailer(name string) bool {
	return name == "Transfer-Encoding" || name == "Content-Length" || name == "Trailer"
}

// maxTrailer is how long a trailer may be; net/http takes no longer one either.
const maxTrailer = 4 << 10

// readTrailer reads what follows the last chunk.
func (c *conn) readTrailer(resp *http.Response) error {
	text, err := c.readLines(maxTrailer)
	switch {
	case err != nil || text == "\r\n":
		return err
	case strings.Count(text, "\n") != strings.Count(text, "\r\n"):
		return errField // Only the header may be sloppy about the ends of its lines.
	}
	trailer, err := parseFields(text, c.limits.fields)
	if err != nil {
		return fmt.Errorf("after its body: %w", err)
	}
	for name, values := range trailer {
		if forbiddenTrailer(name) {
			return errTrailerField
		}
		if resp.Trailer == nil {
			resp.Trailer = http.Header{}
		}
		resp.Trailer[name] = values
	}
	return nil
}
