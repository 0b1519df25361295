package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"switchgear/internal/access"
	"switchgear/internal/connections"
	"switchgear/internal/fault"
	"switchgear/internal/runtime"
	"switchgear/internal/telemetry"
)

// maxCallBody is how much of an answer a command shows.
const maxCallBody = 1 << 20

// CallSend asks for one call through the gateway, by hand.
type CallSend struct {
	Connection string `json:"connection"`
	Account    string `json:"account,omitempty"` // empty for the default one
	Method     string `json:"method"`
	// Path is below the base URL of the connection, with its query.
	Path string `json:"path"`
	// Headers are lines: "Accept: text/csv".
	Headers []string `json:"headers,omitempty"`
	Body    string   `json:"body,omitempty"`
}

// CallSent is what became of it.
type CallSent struct {
	RequestID  string  `json:"request_id"`
	Connection string  `json:"connection"`
	Account    string  `json:"account"`
	Status     int     `json:"status"`
	Outcome    string  `json:"outcome"`
	Attempts   int     `json:"attempts"`
	DurationMS float64 `json:"duration_ms"`
	Cache      string  `json:"cache,omitempty"`
	// Error is set when the answer is ours: nothing came from the upstream.
	Error   *CallRefused        `json:"error,omitempty"`
	Headers map[string][]string `json:"headers"`
	// Body is the answer's, in base64 when it is no text. Truncated says that it was longer, Broken that it
	// broke off.
	Body      string `json:"body"`
	Base64    bool   `json:"base64,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
	Broken    bool   `json:"broken,omitempty"`
}

// CallRefused is an error of ours.
type CallRefused struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
	// RetryAfter is in how many seconds it is worth to try again; 0 when that is not known.
	RetryAfter int `json:"retry_after,omitempty"`
}

// Bytes is the body as it was sent.
func (c CallSent) Bytes() ([]byte, error) {
	if !c.Base64 {
		return []byte(c.Body), nil
	}
	return base64.StdEncoding.DecodeString(c.Body)
}

// SendCall makes a call as an application would, with every protection and into the call log. Whoever runs the
// command is in the audit log.
func SendCall() Operation[CallSend, CallSent] {
	return Operation[CallSend, CallSent]{name: "call", works: true, run: func(ctx context.Context, c *core, actor access.Actor, req CallSend) (CallSent, error) {
		request, path, err := req.request()
		if err != nil {
			return CallSent{}, err
		}
		out := CallSent{RequestID: telemetry.NewRequestID(), Connection: req.Connection, Headers: map[string][]string{}}
		target, err := c.connections.Target(req.Connection, req.Account)
		if err != nil {
			return CallSent{}, err
		}
		out.Account = target.Account
		if err := c.connections.RecordSent(ctx, actor, req.Connection, connections.Sent{
			CallID: out.RequestID, Account: target.Account, Method: request.Method, Path: "/" + path,
		}); err != nil {
			return CallSent{}, err
		}
		watch, answer := &runtime.Watch{}, &keptAnswer{header: http.Header{}}
		ctx = runtime.WithCaller(telemetry.WithRequestID(ctx, out.RequestID), runtime.Caller{UserID: actor.ID, UserName: actor.Name, Watch: watch})
		whole, err := c.newProxy(c.breakers).Call(answer, request.WithContext(ctx), target, path)
		rec := watch.Record
		out.Status, out.Outcome, out.Attempts, out.Cache = rec.Status, string(rec.Outcome), rec.Attempts, rec.Cache
		out.DurationMS = float64(rec.Duration.Microseconds()) / 1000
		if err != nil {
			out.Error = &CallRefused{Code: fault.CodeOf(err), Message: fault.PublicMessage(err)}
			if e, ok := errors.AsType[*fault.Error](err); ok {
				out.Error.Suggestion, out.Error.RetryAfter = e.Details.Suggestion, int(math.Ceil(e.RetryAfter.Seconds()))
			}
			return out, nil
		}
		out.Headers, out.Truncated, out.Broken = answer.header, answer.more, !whole
		if out.Body = answer.body.String(); !utf8.ValidString(out.Body) {
			out.Body, out.Base64 = base64.StdEncoding.EncodeToString(answer.body.Bytes()), true
		}
		return out, nil
	}}
}

// request is what is sent, and the path as it is escaped.
func (req CallSend) request() (r *http.Request, path string, err error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(req.Path, "/"), "?")
	body := http.NoBody
	r, err = http.NewRequest(strings.ToUpper(req.Method), "/", body) //nolint:noctx // The context is put on with the request id.
	if err != nil {
		return nil, "", fault.Field("INVALID_METHOD", "METHOD", "this is not a method: "+req.Method)
	}
	if req.Body != "" {
		text := strings.NewReader(req.Body)
		r.Body, r.ContentLength = readCloser{text}, text.Size()
	}
	r.URL = &url.URL{Path: "/" + path, RawQuery: query}
	r.Header.Set("User-Agent", "switchgear")
	for _, line := range req.Headers {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(line, "\r\n\x00") || strings.ContainsAny(name, " \t") {
			return nil, "", fault.Field("INVALID_HEADER", "--header", "write a header as \"Name: value\"")
		}
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r, path, nil
}

// readCloser is a body that needs no closing.
type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// keptAnswer keeps the beginning of an answer.
type keptAnswer struct {
	header http.Header
	body   bytes.Buffer
	more   bool
}

func (k *keptAnswer) Header() http.Header { return k.header }
func (*keptAnswer) WriteHeader(int)       {}

func (k *keptAnswer) Write(p []byte) (int, error) {
	room := maxCallBody - k.body.Len()
	k.more = k.more || len(p) > room
	k.body.Write(p[:min(len(p), room)])
	return len(p), nil
}

// work runs what calls need of a server that is not there: breakers and limiters as they were left, and what
// writes down the call. stop ends it and waits; what is to be kept is stored then.
func (c *core) work(ctx context.Context) (stop func(), err error) {
	if err := c.breakers.Restore(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var workers sync.WaitGroup
	for _, w := range append(c.protections.Workers(), c.calls) {
		workers.Go(func() { _ = w.Serve(ctx) }) // It ends with its context and says so.
	}
	return func() {
		cancel()
		workers.Wait()
	}, nil
}
