package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"switchgear/internal/fault"
)

// Events that are not topics.
const (
	// EventConnected is the first event of every stream.
	EventConnected = "connected"
	// EventEnded is the last event of a stream whose viewer is no longer allowed; reconnecting is in vain.
	EventEnded = "ended"
)

// Access says who may follow what. All fields are required.
type Access struct {
	// User names who asks, for the limit per user; empty means that nobody is signed in.
	User func(r *http.Request) string
	// Allowed reports whether the topic exists and may be followed by who asks.
	Allowed func(r *http.Request, topic string) bool
	// StillAllowed reports whether the viewer's session still holds. It is called at each heartbeat with
	// the context of the request, and must look at the store rather than at what the request began with.
	StillAllowed func(ctx context.Context) bool
}

// Handler serves GET /live?topics=a,b as a stream of server-sent events, one event for each changed
// topic, without data. With since=N, a [Hub.Moment], it hears at once what changed after that. A browser
// that reconnects (Last-Event-ID) hears every topic at once, because it may have missed some. It returns an error only when nothing has been written: unknown or missing topics,
// too many streams, nobody signed in, or a hub that has closed. No middleware may buffer, compress or
// time out its response.
func (h *Hub) Handler(access Access) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		user := access.User(r)
		if user == "" {
			return fault.New(fault.Unauthenticated, "", "Sign in to follow changes.")
		}
		topics, err := h.parseTopics(r, access.Allowed)
		if err != nil {
			return err
		}
		out := &output{w: w, rc: http.NewResponseController(w), now: h.deps.Now, timeout: h.cfg.WriteTimeout}
		// The server's timeouts are meant for pages; a stream sets its own before each write.
		if err := errors.Join(out.rc.SetReadDeadline(time.Time{}), out.rc.SetWriteDeadline(time.Time{})); err != nil {
			return fmt.Errorf("live: a middleware hides the write deadline: %w", err)
		}
		s, leave, err := h.subscribe(user, topics)
		if err != nil {
			return err
		}
		defer leave()
		switch since, err := strconv.ParseUint(r.URL.Query().Get("since"), 10, 64); {
		case r.Header.Get("Last-Event-ID") != "":
			s.mark(topics)
		case err == nil:
			s.mark(h.changedSince(since, topics))
		}
		started := h.deps.Now()
		reason := h.stream(r.Context(), out, s, access.StillAllowed)
		h.deps.Logger.LogAttrs(r.Context(), slog.LevelDebug, "live stream ended",
			slog.String("reason", reason), slog.Duration("age", h.deps.Now().Sub(started)))
		return nil
	}
}

func (h *Hub) parseTopics(r *http.Request, allowed func(*http.Request, string) bool) ([]string, error) {
	form := regexp.MustCompile(`^[a-z0-9][a-z0-9_.:-]{0,63}$`)
	var topics []string
	for _, list := range r.URL.Query()["topics"] {
		for t := range strings.SplitSeq(list, ",") {
			switch {
			case t == "" || slices.Contains(topics, t):
				continue
			// The form matters beyond looks: a topic is written into the stream as an event name.
			case !form.MatchString(t) || t == EventConnected || t == EventEnded || !allowed(r, t):
				// Unknown and forbidden look the same, so that names cannot be probed.
				return nil, fault.Field("UNKNOWN_TOPIC", "topics", "There is no such topic, or you may not follow it.")
			}
			topics = append(topics, t)
		}
	}
	if len(topics) == 0 {
		return nil, fault.Field("MISSING_TOPICS", "topics", "Name at least one topic to follow.")
	}
	if len(topics) > h.cfg.MaxTopics {
		return nil, fault.Field("TOO_MANY_TOPICS", "topics", "Follow at most "+strconv.Itoa(h.cfg.MaxTopics)+" topics at once.")
	}
	return topics, nil
}

// stream writes until there is a reason to end, which it returns.
func (h *Hub) stream(ctx context.Context, out *output, s *subscriber, stillAllowed func(context.Context) bool) string {
	header := out.w.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	out.w.WriteHeader(http.StatusOK)

	heartbeat := time.NewTicker(h.cfg.Heartbeat)
	defer heartbeat.Stop()
	life := time.NewTimer(h.cfg.MaxLife)
	defer life.Stop()

	// The id makes browsers send Last-Event-ID when they come back; its value means nothing.
	err := out.write(fmt.Appendf(nil, "retry: %d\nid: %d\nevent: %s\ndata: \n\n", h.cfg.Retry.Milliseconds(), h.deps.Now().UnixMicro(), EventConnected))
	for err == nil {
		select {
		case <-ctx.Done():
			return "client left"
		case <-h.done:
			return "closing"
		case <-life.C:
			return "maximum life"
		case <-heartbeat.C:
			if !stillAllowed(ctx) {
				// The stream ends either way.
				_ = out.write(event(EventEnded))
				return "no longer allowed"
			}
			err = out.write([]byte(": heartbeat\n\n"))
		case <-s.wake:
			var b bytes.Buffer
			for _, t := range s.take() {
				b.Write(event(t))
			}
			err = out.write(b.Bytes())
		}
	}
	return "write failed: " + err.Error()
}

func event(name string) []byte { return []byte("event: " + name + "\ndata: \n\n") }

// output writes and flushes, each write within its own deadline.
type output struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	now     func() time.Time
	timeout time.Duration
}

func (o *output) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := o.rc.SetWriteDeadline(o.now().Add(o.timeout)); err != nil {
		return err
	}
	if _, err := o.w.Write(p); err != nil {
		return err
	}
	if err := o.rc.Flush(); err != nil {
		return err
	}
	// HTTP/2 resets an idle stream whose deadline passes, so none may stay behind.
	return o.rc.SetWriteDeadline(time.Time{})
}
