package telemetry

import (
	"bytes"
	"io"
	"regexp"
)

// Mask replaces what looks like a credential inside free text: our API keys (their public id stays) and
// bearer tokens. It is the net below [IsSecretKey], for values that travel in messages and errors.
func Mask(text string) string { return string(newMasker(nil).mask([]byte(text))) }

// masker is the writer below a logger. It sees whole lines, because slog writes each record at once; so
// it also covers messages, errors and values inside groups, whatever their type.
type masker struct {
	w      io.Writer
	apiKey *regexp.Regexp
	bearer *regexp.Regexp
}

func newMasker(w io.Writer) *masker {
	return &masker{
		w: w,
		// No word boundary in front: in JSON an escaped line break ends in a letter.
		apiKey: regexp.MustCompile(`sg_([0-9A-Za-z]{12})_[0-9A-Za-z]{16,}(?:_[0-9A-Za-z]+)?`),
		// The first letter keeps a match from running over the quote that ends a JSON string.
		bearer: regexp.MustCompile(`(?i)(bearer)((?:\s|%20|\+|\\[tnr])+(?:\\?["'])?)[^\s"'\\,;<>&:}\]][^\s"'\\,;<>&]*`),
	}
}

// Write implements io.Writer. It reports the whole of p as written when the masked line was.
func (m *masker) Write(p []byte) (int, error) {
	if _, err := m.w.Write(m.mask(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (m *masker) mask(p []byte) []byte {
	// Nearly every line holds neither; looking for a word costs much less than matching.
	if bytes.Contains(p, []byte("sg_")) {
		p = m.apiKey.ReplaceAll(p, []byte("sg_${1}_"+Redacted))
	}
	if bytes.Contains(bytes.ToLower(p), []byte("bearer")) {
		p = m.bearer.ReplaceAll(p, []byte("${1}${2}"+Redacted))
	}
	return p
}
