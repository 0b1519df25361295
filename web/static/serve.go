package static

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
)

// asset is one file. Its compressed forms are made when first asked for.
type asset struct {
	name, etag string
	content    []byte

	brotli, gzip encoded
}

// encoded is a compressed form, made once. bytes is nil when compressing failed or made it no smaller.
type encoded struct {
	once  sync.Once
	bytes []byte
}

func (e *encoded) get(content []byte, compress func(w io.Writer) (io.WriteCloser, error)) []byte {
	e.once.Do(func() {
		var b bytes.Buffer
		w, err := compress(&b)
		if err != nil {
			return
		}
		if _, err := w.Write(content); err != nil {
			return
		}
		if err := w.Close(); err != nil {
			return
		}
		if b.Len() < len(content) {
			e.bytes = b.Bytes()
		}
	})
	return e.bytes
}

// Brotli's best level takes seconds of a slow core on a large file; this one a few milliseconds, for a
// few percent.
const brotliLevel = 9

// representation is the body to send to a browser that accepts the encodings.
func (a *asset) representation(accept string) (body []byte, encoding string) {
	if accepts(accept, "br") {
		body = a.brotli.get(a.content, func(w io.Writer) (io.WriteCloser, error) {
			return brotli.NewWriterLevel(w, brotliLevel), nil
		})
		if body != nil {
			return body, "br"
		}
	}
	if accepts(accept, "gzip") {
		body = a.gzip.get(a.content, func(w io.Writer) (io.WriteCloser, error) {
			return gzip.NewWriterLevel(w, gzip.BestCompression)
		})
		if body != nil {
			return body, "gzip"
		}
	}
	return a.content, ""
}

// accepts reports whether an Accept-Encoding header allows the coding.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		key, value, _ := strings.Cut(strings.TrimSpace(parameters), "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			return true
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		return err == nil && q > 0
	}
	return false
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// ServeHTTP answers GET and HEAD for the addresses of the files and 404 for everything else.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are possible here.", http.StatusMethodNotAllowed)
		return
	}
	file, ok := a.byURL[r.URL.Path]
	if !ok {
		h.Set("Cache-Control", "no-store")
		http.Error(w, "There is no such file. Reload the page: it may come from an older version.", http.StatusNotFound)
		return
	}
	body, encoding := file.representation(r.Header.Get("Accept-Encoding"))
	etag := fmt.Sprintf("%q", file.etag+encoding)
	h.Set("Content-Type", contentType(file.name))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", etag)
	h.Set("Vary", "Accept-Encoding")
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	// A client that went away is nobody's error.
	_, _ = w.Write(body)
}

// matches compares weakly, as If-None-Match asks for.
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}
