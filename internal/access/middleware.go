package access

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"switchgear/db"
	"switchgear/internal/fault"
)

// The names of the session cookie. Browsers accept the __Host- prefix only over HTTPS, for the whole
// host and no other.
const (
	secureCookieName = "__Host-switchgear"
	plainCookieName  = "switchgear"
)

func newSessionManager(st sessionStore, cfg Config) *scs.SessionManager {
	m := scs.New()
	m.Store = st
	m.Lifetime = cfg.SessionLifetime
	// An idle timeout makes scs write every session on every request, which is how sessions that were
	// signed out come back to life.
	m.IdleTimeout = 0
	m.HashTokenInStore = true
	m.Cookie.Name = plainCookieName
	if cfg.SecureCookies {
		m.Cookie.Name, m.Cookie.Secure = secureCookieName, true
	}
	m.Cookie.HttpOnly = true
	m.Cookie.Path = "/"
	m.Cookie.SameSite = http.SameSiteLaxMode
	return m
}

// visit is the session state of one request. It belongs to the goroutine of the request.
type visit struct {
	hash    string      // of the token of an existing row; empty for visitors without a session
	pending *newSession // set while a row may be inserted
	dirty   bool        // the data changed and is not stored yet
	issued  bool        // the browser has to be told the token
	ended   bool        // the browser has to forget its token
	err     error       // the session could not be read: nobody knows who this is
}

type visitKey struct{}

// Middleware loads the session of a request and stores what changed in it. Visitors without a session
// get no row and no cookie. When the session cannot be read the request goes on, and CurrentActor and
// the others return the error, so that it is answered like any other. Flushing and deadlines through
// http.ResponseController work as without it.
func (s *Service) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie")
		var token string
		if c, err := r.Cookie(s.sessions.Cookie.Name); err == nil {
			token = c.Value
		}
		v := &visit{}
		base := context.WithValue(r.Context(), visitKey{}, v)
		ctx, err := s.sessions.Load(base, token)
		if err != nil {
			if v.err == nil { // the row is there but its data is not readable: as good as no session
				s.logger.WarnContext(base, "a session could not be decoded", "error", err)
				v.hash = ""
			}
			ctx, _ = s.sessions.Load(base, "") // without a token there is nothing that could fail
		}
		sw := &sessionWriter{ResponseWriter: w, before: func() { s.finish(ctx, w, v) }}
		next.ServeHTTP(sw, r.WithContext(ctx))
		sw.begin()
		if v.dirty { // changed after the answer had begun: too late for the cookie, not for the row
			s.saveVisit(ctx, v)
		}
	})
}

// finish runs before the first byte of the answer.
func (s *Service) finish(ctx context.Context, w http.ResponseWriter, v *visit) {
	if v.dirty {
		s.saveVisit(ctx, v)
	}
	switch {
	case v.issued:
		s.sessions.WriteSessionCookie(ctx, w, s.sessions.Token(ctx), s.sessions.Deadline(ctx))
	case v.ended:
		s.sessions.WriteSessionCookie(ctx, w, "", time.Time{})
	}
}

// saveVisit stores the data of an existing session. A notice that is lost is not worth an error page.
func (s *Service) saveVisit(ctx context.Context, v *visit) {
	v.dirty = false
	if v.hash == "" {
		return
	}
	if _, _, err := s.sessions.Commit(ctx); err != nil {
		s.logger.WarnContext(ctx, "the session data is not stored", "error", err)
	}
}

// sessionWriter calls before ahead of the first byte that is written.
type sessionWriter struct {
	http.ResponseWriter
	before func()
	begun  bool
}

func (w *sessionWriter) begin() {
	if !w.begun {
		w.begun = true
		w.before()
	}
}

// WriteHeader implements http.ResponseWriter. Informational answers are not the beginning.
func (w *sessionWriter) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.begin()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *sessionWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

// FlushError lets http.ResponseController flush; a flush sends the header.
func (w *sessionWriter) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *sessionWriter) Flush() { _ = w.FlushError() }

// Unwrap lets http.ResponseController reach the rest.
func (w *sessionWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// sessionStore is where scs keeps sessions. It differs from the stores that come with scs in what
// matters: only StartSession inserts, everything else updates a row that exists. A request that is
// still running when its session is signed out therefore cannot bring it back.
type sessionStore struct {
	store store
	now   func() time.Time
}

// errWithoutContext answers the methods that scs does not call when those with a context exist.
var errWithoutContext = errors.New("access: the session store needs a context")

// FindCtx implements scs.CtxStore.
func (s sessionStore) FindCtx(ctx context.Context, hash string) ([]byte, bool, error) {
	v, _ := ctx.Value(visitKey{}).(*visit)
	if v == nil {
		return nil, false, errNoMiddleware
	}
	data, err := s.store.sessionData(ctx, hash, s.now())
	if fault.Is(err, fault.NotFound) {
		return nil, false, nil
	}
	if err != nil {
		v.err = err
		return nil, false, err
	}
	v.hash = hash
	return data, true, nil
}

// CommitCtx implements scs.CtxStore: INSERT for the session that StartSession announced, UPDATE for
// every other.
func (s sessionStore) CommitCtx(ctx context.Context, hash string, data []byte, expires time.Time) error {
	v, _ := ctx.Value(visitKey{}).(*visit)
	if v == nil {
		return errNoMiddleware
	}
	return s.store.db.InTx(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		if v.pending == nil {
			there, err := s.store.updateSession(ctx, tx, hash, data)
			if err == nil && !there {
				v.hash = "" // it ended while this request was running; it stays ended
			}
			return err
		}
		inserted, err := s.store.insertSession(ctx, tx, hash, *v.pending, data, s.now(), expires)
		if err != nil {
			return err
		}
		if !inserted {
			return fault.New(fault.Unauthenticated, "", "Your account changed in the meantime. Sign in again.")
		}
		v.hash = hash
		return nil
	})
}

// DeleteCtx implements scs.CtxStore. What EndSession has deleted is not deleted again.
func (s sessionStore) DeleteCtx(ctx context.Context, hash string) error {
	v, _ := ctx.Value(visitKey{}).(*visit)
	if v == nil || v.hash != hash {
		return nil
	}
	return s.store.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := s.store.deleteSessionByHash(ctx, tx, hash)
		return err
	})
}

// Find implements scs.Store and is not used.
func (sessionStore) Find(string) ([]byte, bool, error) { return nil, false, errWithoutContext }

// Commit implements scs.Store and is not used.
func (sessionStore) Commit(string, []byte, time.Time) error { return errWithoutContext }

// Delete implements scs.Store and is not used.
func (sessionStore) Delete(string) error { return errWithoutContext }
