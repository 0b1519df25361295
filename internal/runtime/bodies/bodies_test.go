package bodies

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCapture(t *testing.T) {
	t.Parallel()
	secret := `{"password":"` + canary + `","a":1}`
	packed := gzipped(t, secret)
	for name, c := range map[string]struct {
		header     http.Header
		body, want string
		note       string
	}{
		"text":                {header("Content-Type", "text/plain"), "hello", "hello", ""},
		"no type":             {nil, "hello", "hello", ""},
		"strange type":        {header("Content-Type", "text/plain; ==="), "hello", "hello", ""},
		"empty":               {header("Content-Type", "text/plain"), "", "", "No body."},
		"binary":              {header("Content-Type", "image/png"), "\x89PNG", "", "Binary (image/png), 4 bytes: not kept."},
		"multipart":           {header("Content-Type", "multipart/form-data; boundary=x"), "--x", "", "Binary (multipart/form-data), 3 bytes: not kept."},
		"hostile type":        {header("Content-Type", "a\x00b/\xff"), "x", "", "Binary (ab/), 1 byte: not kept."},
		"binary without type": {nil, "a\x00b", "", "Not text that can be read: 3 bytes, not kept."},
		"UTF-16":              {header("Content-Type", "application/json"), "\xff\xfe{\x00}\x00", "", "Not text that can be read: 6 bytes, not kept."},
		"unknown charset":     {header("Content-Type", "text/plain; charset=utf-7"), "+AHA-", "", "Not text that can be read: 5 bytes, not kept."},
		"latin 1":             {header("Content-Type", "text/plain; charset=ISO-8859-1"), "caf\xe9", "café", ""},
		"invalid UTF-8":       {header("Content-Type", "text/plain"), "a\xffb", "a\uFFFDb", ""},
		"byte order mark":     {header("Content-Type", "application/json"), "\xef\xbb\xbf" + secret, `{"password":"[redacted]","a":1}`, ""},
		"br":                  {header("Content-Type", "text/plain", "Content-Encoding", "br"), "xyz", "", "Packed as br: 3 bytes, not kept."},
		"two encodings":       {header("Content-Type", "text/plain", "Content-Encoding", "gzip, gzip"), "xyz", "", "Packed as gzip, gzip: 3 bytes, not kept."},
		"gzip":                {header("Content-Type", "application/json", "Content-Encoding", "gzip"), packed, `{"password":"[redacted]","a":1}`, "Unpacked from gzip, " + size(int64(len(packed))) + "."},
		"no gzip":             {header("Content-Type", "text/plain", "Content-Encoding", "gzip"), "xyz", "", "Said to be gzip, but it cannot be unpacked: 3 bytes, not kept."},
		"cut":                 {header("Content-Type", "text/plain"), strings.Repeat("x", 101), strings.Repeat("x", 100), "Cut: the first 100 bytes of 101 bytes."},
		"cut in a character":  {header("Content-Type", "text/plain"), strings.Repeat("x", 99) + "é", strings.Repeat("x", 99), "Cut: the first 100 bytes of 101 bytes."},
		"cut in a secret":     {header("Content-Type", "application/json"), `{"x":"` + strings.Repeat("x", 70) + `","password":"` + strings.Repeat("s", 99), `{"x":"` + strings.Repeat("x", 70) + `","password":"[redacted]"`, "Cut: the first 100 bytes of 189 bytes."},
		"gzip that grows":     {header("Content-Type", "text/plain", "Content-Encoding", "gzip"), gzipped(t, strings.Repeat("x", 5000)), strings.Repeat("x", 100), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			capture := NewKeeper(Config{Max: 100}).Capture(c.header)
			for b := range strings.SplitSeq(c.body, "") {
				capture.Add([]byte(b))
			}
			got := capture.Close(nil)
			if got.Text != c.want || c.note != "" && got.Note != c.note {
				t.Errorf("%q, %q; want %q, %q", got.Text, got.Note, c.want, c.note)
			}
		})
	}
}

func TestBytesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	k := NewKeeper(Config{Max: 10, InFlight: 15})
	h := header("Content-Type", "text/plain")
	first, second := k.Capture(h), k.Capture(h)
	first.Add([]byte("0123456789"))
	second.Add([]byte("01234"))
	second.Add([]byte("56789"))
	if got := second.Close(nil); got.Text != "" || !strings.HasPrefix(got.Note, "Too many bodies") {
		t.Errorf("beyond the bound: %+v", got)
	}
	if got := first.Close(nil); got.Text != "0123456789" {
		t.Errorf("within the bound: %+v", got)
	}
	if held := k.held.Load(); held != 0 {
		t.Errorf("%d bytes are still counted", held)
	}
	first.Add([]byte("late"))
	third := k.Capture(h)
	third.Add([]byte("0123456789"))
	if got := third.Close(nil); got.Text != "0123456789" || k.held.Load() != 0 {
		t.Errorf("when there is room again: %+v, %d held", got, k.held.Load())
	}
}

// A path that does not record pays nothing.
func TestNilCapture(t *testing.T) { // not parallel: allocations are those of the process
	var c *Capture
	p := []byte("x")
	if n := testing.AllocsPerRun(100, func() { c.Add(p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := c.Close(nil); got != (Body{}) {
		t.Errorf("%+v", got)
	}
}

func BenchmarkRedact(b *testing.B) {
	text := "[" + strings.Repeat(`{"id":"ch_1","amount":100,"url":"https://x.test/a?b=1","access_token":"x"},`, 430) + "{}]"
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		redact(text, "application/json", false, []string{"some-secret-value"})
	}
}
