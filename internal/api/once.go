package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"switchgear/internal/access"
	"switchgear/internal/fault"
	"switchgear/internal/idempotency"
	"switchgear/internal/telemetry"
)

// maxBody bounds the body of a request.
const maxBody = 256 << 10

// executionLimit bounds a request with an Idempotency-Key. It is shorter than the lease of its key.
const executionLimit = time.Minute

// requests keeps what requests with an Idempotency-Key were answered.
type requests interface {
	Begin(ctx context.Context, r idempotency.Request) (idempotency.Ticket, *idempotency.Answer, error)
	Finish(ctx context.Context, t idempotency.Ticket, a idempotency.Answer) error
	Release(ctx context.Context, t idempotency.Ticket) error
}

// once runs a request with an Idempotency-Key if it has not been answered yet, and repeats the answer
// otherwise. Only answers of success are kept: after an error nothing has changed, and the request can
// be corrected and sent again.
func (v *version) once(w http.ResponseWriter, r *http.Request, key access.Key, run handler) error {
	name, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	if name == "" {
		return run(w, r)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return tooLarge(maxBody)
		}
		return fault.Wrap(err, fault.Invalid, "BODY_INCOMPLETE", "The body did not arrive whole.")
	}
	ctx, cancel := context.WithTimeout(r.Context(), executionLimit)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))

	ticket, answer, err := v.deps.Requests.Begin(ctx, idempotency.Request{
		Scope: key.ID, Key: name, Content: []byte(r.Method + " " + r.URL.RequestURI() + "\n" + string(body)),
	})
	if err != nil {
		return err
	}
	if answer != nil {
		return repeat(w, *answer)
	}
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	done := false
	defer func() {
		if !done { // also when run panics
			v.settle(r, func(ctx context.Context) error { return v.deps.Requests.Release(ctx, ticket) })
		}
	}()
	if err := run(rec, r); err != nil {
		return err
	}
	kept := idempotency.Answer{Status: rec.status, Header: map[string]string{}, Body: rec.body.Bytes()}
	for _, name := range []string{"Content-Type", "Location", "ETag"} {
		if value := w.Header().Get(name); value != "" {
			kept.Header[name] = value
		}
	}
	done = true
	v.settle(r, func(ctx context.Context) error { return v.deps.Requests.Finish(ctx, ticket, kept) })
	return write(w, kept)
}

// settle does what must happen even if the client is gone. When it fails, the key stays taken until its
// lease ends; the answer is right all the same.
func (v *version) settle(r *http.Request, do func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
	defer cancel()
	if err := do(ctx); err != nil {
		v.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "the answer of an idempotent request is not kept",
			slog.String("request_id", telemetry.RequestID(ctx)), slog.Any("error", err))
	}
}

// repeat writes an answer that was given before.
func repeat(w http.ResponseWriter, a idempotency.Answer) error {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	return write(w, a)
}

// write fails only when the client is gone, which leaves nobody to tell.
func write(w http.ResponseWriter, a idempotency.Answer) error {
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
	return nil
}

// idempotencyKey reads the header of that name: a string in quotes, as the draft has it, or the bare text
// that most clients send.
func idempotencyKey(r *http.Request) (string, error) {
	bad := fault.Field("INVALID_IDEMPOTENCY_KEY", "Idempotency-Key", "Send one key of 1 to 255 printable ASCII characters.")
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", bad
	}
	key := values[0]
	if inner, ok := strings.CutPrefix(key, `"`); ok {
		inner, closed := strings.CutSuffix(inner, `"`)
		if !closed || strings.ContainsAny(inner, `"\`) {
			return "", bad
		}
		key = inner
	}
	if key == "" || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", bad
	}
	return key, nil
}

// recorder holds an answer back until it is kept.
type recorder struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// Unwrap lets http.ResponseController reach the rest.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
