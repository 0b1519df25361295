// Package bodies keeps the beginning of a message's body for the call log, without its secrets.
//
// Invariants:
//
//   - A capture holds at most Config.Max bytes, all captures together at most Config.InFlight, whatever
//     passes: what streams through is looked at and never collected.
//   - Bytes leave a capture only as a [Body], which [Capture.Close] redacts. ([Capture.Show] is for the eyes
//     of who sent the call and for nothing that is stored.) What cannot be read as text, and so not
//     searched for secrets, is described and not kept.
//   - A text that is cut is redacted as strictly as a whole one: a value whose end is missing counts as
//     secret when its name does, and half a credential is a credential.
//   - Unpacking stops at Config.Max bytes of output.
package bodies

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Config tunes a Keeper. A zero field stands for the value in its comment.
type Config struct {
	Max      int   // 32 KiB: what is kept of one body
	InFlight int64 // 32 MiB: what all captures hold together; a body beyond it is not kept
}

// Keeper makes captures and bounds what they hold. It is safe for concurrent use.
type Keeper struct {
	max      int
	inFlight int64
	held     atomic.Int64
}

// NewKeeper makes a keeper.
func NewKeeper(cfg Config) *Keeper {
	return &Keeper{max: cmp.Or(cfg.Max, 32<<10), inFlight: cmp.Or(cfg.InFlight, 32<<20)}
}

// Body is what is left of one body. Note says why there is no text, or what is missing.
type Body struct{ Text, Note string }

// Capture takes one body as it passes. A nil capture takes nothing, so that a path without one needs no
// condition.
type Capture struct {
	keeper *Keeper
	kind   kind

	mu      sync.Mutex // the sending side may still be at work when the call ends
	kept    []byte
	total   int64
	crowded bool
	closed  bool
}

// kind is what the headers say about a body.
type kind struct {
	media    string
	charset  string
	encoding string
	text     bool
}

// Capture starts to take a body with these headers.
func (k *Keeper) Capture(h http.Header) *Capture { return &Capture{keeper: k, kind: kindOf(h)} }

func kindOf(h http.Header) kind {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		media, _, _ = strings.Cut(h.Get("Content-Type"), ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ", ")))
	if encoding == "identity" {
		encoding = ""
	}
	return kind{media: media, charset: strings.ToLower(params["charset"]), encoding: encoding, text: textual(media)}
}

// textual reports whether a media type is text that people read. A body without a type is looked at.
func textual(media string) bool {
	switch media {
	case "", "application/json", "application/xml", "application/x-www-form-urlencoded", "application/graphql",
		"application/javascript", "application/x-ndjson", "application/jsonl", "application/x-yaml", "application/yaml":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")
}

// Add takes bytes that pass. It copies what it keeps.
func (c *Capture) Add(p []byte) {
	if c == nil || len(p) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.total += int64(len(p))
	if c.crowded || !c.kind.text || c.kind.encoding != "" && !packed(c.kind.encoding) {
		return
	}
	n := min(len(p), c.keeper.max-len(c.kept))
	if n <= 0 {
		return
	}
	if c.keeper.held.Add(int64(n)) > c.keeper.inFlight {
		c.keeper.held.Add(int64(-n - len(c.kept)))
		c.kept, c.crowded = nil, true
		return
	}
	c.kept = append(c.kept, p[:n]...)
}

func packed(encoding string) bool { return encoding == "gzip" || encoding == "x-gzip" }

// Close ends the capture and returns what is kept. secrets are values that must not be in it under any
// name: the credential that was put on the request.
func (c *Capture) Close(secrets []string) Body {
	return c.end("not kept", func(text string, cut bool) string { return redact(text, c.kind.media, cut, secrets) })
}

// Show ends the capture and returns the beginning of the body as it came, except for the values in secrets.
func (c *Capture) Show(secrets []string) Body {
	return c.end("not shown", func(text string, cut bool) string { return Hide(text, cut, secrets) })
}

// end describes what was taken; without is the word for what is left out, clean what is done to a text.
func (c *Capture) end(without string, clean func(text string, cut bool) string) Body {
	if c == nil {
		return Body{}
	}
	c.mu.Lock()
	kept, total, crowded := c.kept, c.total, c.crowded
	c.keeper.held.Add(int64(-len(kept)))
	c.kept, c.closed = nil, true
	c.mu.Unlock()
	switch {
	case total == 0:
		return Body{Note: "No body."}
	case crowded:
		return Body{Note: "Too many bodies were being recorded at once: " + size(total) + ", " + without + "."}
	case !c.kind.text:
		return Body{Note: "Binary (" + printable(c.kind.media) + "), " + size(total) + ": " + without + "."}
	}
	cut, note := int64(len(kept)) < total, ""
	switch {
	case c.kind.encoding == "":
	case packed(c.kind.encoding):
		unpacked, whole, err := unpack(kept, c.keeper.max)
		if err != nil {
			return Body{Note: "Said to be gzip, but it cannot be unpacked: " + size(total) + ", " + without + "."}
		}
		kept, cut, note = unpacked, !whole, "Unpacked from gzip, "+size(total)+"."
	default:
		return Body{Note: "Packed as " + printable(c.kind.encoding) + ": " + size(total) + ", " + without + "."}
	}
	text, ok := decode(kept, c.kind.charset, cut)
	if !ok {
		return Body{Note: "Not text that can be read: " + size(total) + ", " + without + "."}
	}
	body := Body{Text: clean(text, cut), Note: note}
	if cut {
		body.Note = strings.TrimSpace(note + " Cut: the first " + size(int64(len(kept))) + " of " + atLeast(c.kind.encoding) + size(total) + ".")
	}
	return body
}

// atLeast words the length of a packed body: what it would be unpacked is not known.
func atLeast(encoding string) string {
	if encoding != "" {
		return "a packed "
	}
	return ""
}

// unpack reads at most most bytes out of gzip. A packed text that is cut gives what can be read of it.
func unpack(packed []byte, most int) (text []byte, whole bool, err error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, false, err
	}
	text, err = io.ReadAll(io.LimitReader(r, int64(most)+1))
	if len(text) > most {
		return text[:most], false, nil
	}
	if err != nil && len(text) == 0 {
		return nil, false, err
	}
	return text, err == nil, nil
}

// decode makes UTF-8 of bytes. A charset in which our words cannot be found is not read.
func decode(raw []byte, charset string, cut bool) (string, bool) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(raw, 0) >= 0 || bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return "", false // UTF-16, or no text at all
	}
	switch charset {
	case "iso-8859-1", "latin1", "windows-1252":
		var b strings.Builder
		for _, c := range raw {
			b.WriteRune(rune(c))
		}
		return b.String(), true
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		if cut {
			raw = wholeRunes(raw)
		}
		return strings.ToValidUTF8(string(raw), "\uFFFD"), true
	}
	return "", false
}

// wholeRunes drops the beginning of a character whose end was cut.
func wholeRunes(raw []byte) []byte {
	for i := len(raw) - 1; i >= 0 && i > len(raw)-utf8.UTFMax; i-- {
		if utf8.RuneStart(raw[i]) {
			if !utf8.FullRune(raw[i:]) {
				return raw[:i]
			}
			break
		}
	}
	return raw
}

// printable makes a word of a header fit for a note.
func printable(s string) string {
	const most = 60
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if len(s) > most {
		s = s[:most] + "…"
	}
	if s == "" {
		return "unknown"
	}
	return s
}

func size(n int64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 10<<10:
		return strconv.FormatInt(n, 10) + " bytes"
	case n < 10<<20:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n>>20, 10) + " MiB"
}
