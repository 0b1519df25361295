package sandbox

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"

	"switchgear/internal/fault"
)

// answer is a response before it is sent.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func jsonAnswer(status int, body any) answer {
	return answer{status: status, header: jsonHeader(), body: encode(body)}
}

// problem is an error of the provider in the shape that many have.
func problem(err error) answer {
	return jsonAnswer(fault.KindOf(err).Status(), map[string]any{"error": map[string]string{
		"code": fault.CodeOf(err), "message": fault.PublicMessage(err),
	}})
}

// encode writes JSON of values that always have one.
func encode(v any) []byte {
	var out bytes.Buffer
	if json.NewEncoder(&out).Encode(v) != nil {
		return []byte("{}")
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// play answers one request by its step. normal makes the answer of a provider that behaves.
func (s *Sandbox) play(w http.ResponseWriter, r *http.Request, step Step, seq int64, normal func() answer) {
	if !s.wait(r, time.Duration(step.Delay)) {
		return
	}
	switch {
	case step.Hang:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		cut(w, false)
		return
	case step.Reset == ResetRequest:
		cut(w, true)
		return
	}
	a := step.apply(normal)
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	s.answered(seq, a.status)
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	s.send(w, r, step, a.body)
}

// send writes the body, whole or as the step wants it.
func (s *Sandbox) send(w http.ResponseWriter, r *http.Request, step Step, body []byte) {
	whole := body
	switch {
	case step.Reset == ResetHeaders:
		body = nil
	case step.Reset == ResetBody:
		body = body[:len(body)/2]
	case step.TruncateAt != nil && *step.TruncateAt < len(body):
		body = body[:*step.TruncateAt]
	}
	piece := len(body)
	if step.Drip != nil {
		piece = step.Drip.Bytes
	}
	for len(body) > 0 {
		n := min(piece, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		if body = body[n:]; step.Drip != nil && len(body) > 0 {
			if http.NewResponseController(w).Flush() != nil || !s.wait(r, time.Duration(step.Drip.Every)) {
				return
			}
		}
	}
	if step.Reset != "" || step.TruncateAt != nil && *step.TruncateAt < len(whole) {
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		cut(w, step.Reset != "")
	}
}

// wait waits for d; false when the client went away. It waits no longer once the sandbox is closed.
func (s *Sandbox) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closed:
	case <-r.Context().Done():
		return false
	}
	return true
}

// cut ends the connection here: with RST, so that the client reads "connection reset", or with FIN. On a
// connection that cannot be taken over (HTTP/2) the stream is aborted.
func cut(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if over, ok := conn.(*tls.Conn); ok {
		raw = over.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // Closing then sends RST; if it fails, the client sees FIN.
	}
	_ = raw.Close() // It is broken on purpose; there is nobody to tell.
}
