package console

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync"

	"github.com/a-h/templ"

	"switchgear/internal/health"
)

type component = templ.Component

// sharedParts keep a part of a page that many visitors fetch at the same moment: it is computed, drawn and
// compressed once for all who see the same, until there is a newer look at the connections. The zero value
// is empty.
type sharedParts struct {
	mu    sync.Mutex
	board *health.Board
	parts map[string]*sharedPart
}

type sharedPart struct {
	mu          sync.Mutex
	html, small []byte // small is html, compressed
}

// mostParts bounds what is kept at once; the rest is made for each visitor.
const mostParts = 64

func (s *sharedParts) find(board *health.Board, key string) *sharedPart {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.board != board {
		s.board, s.parts = board, map[string]*sharedPart{}
	}
	part := s.parts[key]
	if part == nil {
		part = &sharedPart{}
		if len(s.parts) < mostParts {
			s.parts[key] = part
		}
	}
	return part
}

// serve answers with the part of that key, which make draws if nobody did yet. The key must tell apart
// everything that make depends on.
func (s *sharedParts) serve(w http.ResponseWriter, r *http.Request, board *health.Board, key string, make func() (component, error)) error {
	html, small, err := s.find(board, key).get(r, make)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "HX-Request, Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		html = small
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(html) // the browser is gone if this fails
	}
	return nil
}

func (p *sharedPart) get(r *http.Request, make func() (component, error)) (html, small []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.html != nil {
		return p.html, p.small, nil
	}
	view, err := make()
	if err != nil {
		return nil, nil, err
	}
	var plain, packed bytes.Buffer
	if err := view.Render(r.Context(), &plain); err != nil {
		return nil, nil, err
	}
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, nil, err
	}
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, nil, err
	}
	if err := z.Close(); err != nil {
		return nil, nil, err
	}
	p.html, p.small = plain.Bytes(), packed.Bytes()
	return p.html, p.small, nil
}
