package access

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"switchgear/db"
	"switchgear/internal/audit"
	"switchgear/internal/fault"
)

const (
	// seenInterval is how often at most it is noted that a session is in use.
	seenInterval = time.Minute
	// seenWait is how long a page may wait for that; it is not worth more.
	seenWait     = time.Second
	maxUserAgent = 300
	maxFlash     = 1000
	flashKind    = "flash_kind"
	flashText    = "flash_text"
)

// Session is one browser that is signed in. IP and UserAgent are those of the sign-in.
type Session struct {
	ID, UserID, UserEmail, IP, UserAgent string
	CreatedAt, LastSeenAt, ExpiresAt     time.Time
}

// StartSession signs the browser of this request in as u, whom SignIn, CompleteSetup or
// AcceptInvitation returned. The browser gets a new token; a session that it had before ends. It fails
// with fault.Unauthenticated when the account was disabled or its password changed since u was read.
// Call it within [Service.Middleware] and before anything is written.
func (s *Service) StartSession(ctx context.Context, o Origin, u User) error {
	v, err := loadedVisit(ctx)
	if err != nil {
		return err
	}
	if v.hash != "" {
		v.ended = true // the renewal deletes the old row; should the rest fail, its cookie has to go
	}
	if err := s.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("access: start session: %w", err)
	}
	if err := s.sessions.Clear(ctx); err != nil {
		return fmt.Errorf("access: start session: %w", err)
	}
	s.sessions.SetDeadline(ctx, s.now().Add(s.cfg.SessionLifetime).UTC())
	v.hash, v.dirty = "", false
	v.pending = &newSession{
		id: db.NewID("ses_"), userID: u.ID, passwordChanged: u.PasswordChangedAt, ip: cut(o.IP, 64), userAgent: cut(o.UserAgent, maxUserAgent),
	}
	_, _, err = s.sessions.Commit(ctx)
	v.pending = nil
	if err != nil {
		return fmt.Errorf("access: start session: %w", err)
	}
	v.issued, v.ended = true, false
	s.notify(topicSessions)
	return nil
}

// EndSession signs the browser of this request out. Without a session it does nothing.
func (s *Service) EndSession(ctx context.Context) error {
	v, err := loadedVisit(ctx)
	if err != nil {
		return err
	}
	if v.hash == "" {
		return nil
	}
	row, err := s.store.liveSession(ctx, v.hash, s.now())
	known := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("access: sign out: %w", err)
	}
	err = s.change(ctx, []string{topicSessions}, func(tx *db.Tx) error {
		deleted, err := s.store.deleteSessionByHash(ctx, tx, v.hash)
		if err != nil || !deleted || !known {
			return err
		}
		a := Actor{Kind: KindUser, ID: row.UserID, Name: row.UserEmail, IP: row.IP}
		return s.record(ctx, tx, a, audit.Entry{Action: "user.sign_out", Target: row.user.target()})
	})
	if err != nil {
		return fmt.Errorf("access: sign out: %w", err)
	}
	v.hash, v.dirty, v.issued, v.ended = "", false, false, true
	if err := s.sessions.Destroy(ctx); err != nil {
		return fmt.Errorf("access: sign out: %w", err)
	}
	return nil
}

// CurrentActor returns who is signed in on this request; false when nobody is, or no longer: signed
// out, expired, revoked, disabled, or of an older epoch. It asks the database each time, so that a
// long stream can find out that its session has ended. ip is the client's present address.
func (s *Service) CurrentActor(ctx context.Context, ip string) (Actor, User, bool, error) {
	v, err := loadedVisit(ctx)
	if err != nil {
		return Actor{}, User{}, false, err
	}
	if v.hash == "" {
		return Actor{}, User{}, false, nil
	}
	row, err := s.store.liveSession(ctx, v.hash, s.now())
	if fault.Is(err, fault.NotFound) {
		return Actor{}, User{}, false, nil
	}
	if err != nil {
		return Actor{}, User{}, false, fmt.Errorf("access: read the session: %w", err)
	}
	s.seen(ctx, v.hash, row.LastSeenAt)
	u := row.user
	return Actor{Kind: KindUser, ID: u.ID, Name: u.Email, Role: u.Role, SessionID: row.ID, IP: ip}, u.User, true, nil
}

// seen notes that a session is in use. A page is not refused because that could not be written.
func (s *Service) seen(ctx context.Context, hash string, last time.Time) {
	now := s.now()
	if now.Sub(last) < seenInterval {
		return
	}
	wait, cancel := context.WithTimeout(ctx, seenWait)
	defer cancel()
	if err := s.store.touchSession(wait, hash, now, now.Add(-seenInterval)); err != nil && ctx.Err() == nil {
		s.logger.WarnContext(ctx, "the last use of a session is not recorded", "error", err)
	}
}

// Sessions lists the sessions of a user that still work, the most recently used first (500 at most).
// Everybody may list their own; others need users:read. An empty id lists those of all users.
func (s *Service) Sessions(ctx context.Context, a Actor, userID string) ([]Session, error) {
	if a.Kind != KindUser || userID == "" || a.ID != userID {
		if err := a.Require(PermissionUsersRead); err != nil {
			return nil, err
		}
	}
	list, err := s.store.liveSessions(ctx, userID, s.now())
	if err != nil {
		return nil, fmt.Errorf("access: list sessions: %w", err)
	}
	return list, nil
}

// RevokeSession ends one session. Everybody may end their own; others need users:write, and an owner
// for the session of an owner.
func (s *Service) RevokeSession(ctx context.Context, a Actor, sessionID string) error {
	err := s.change(ctx, []string{topicSessions}, func(tx *db.Tx) error {
		a, err := s.present(ctx, tx, a)
		if err != nil {
			return err
		}
		owner, err := s.store.sessionOwner(ctx, tx, sessionID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err != nil || a.Kind != KindUser || owner.ID != a.ID {
			if err := a.Require(PermissionUsersWrite); err != nil {
				return err
			}
		}
		if err != nil {
			return notFound(err, "session")
		}
		if owner.ID != a.ID {
			if err := mayHandle(a, owner.Role); err != nil {
				return err
			}
		}
		if _, err := s.store.deleteSession(ctx, tx, sessionID); err != nil {
			return err
		}
		return s.record(ctx, tx, a, audit.Entry{
			Action: "session.revoke", Target: audit.Target{Kind: "session", ID: sessionID, Name: owner.Email},
		})
	})
	if err != nil {
		return fmt.Errorf("access: revoke session: %w", err)
	}
	return nil
}

// RevokeOtherSessions ends every session of the actor but the one in use, and returns how many.
func (s *Service) RevokeOtherSessions(ctx context.Context, a Actor) (int, error) {
	var n int
	err := s.changeSelf(ctx, a, []string{topicSessions}, func(tx *db.Tx, u userRow) (audit.Entry, error) {
		var err error
		n, err = s.store.deleteOtherSessions(ctx, tx, u.ID, a.SessionID)
		if err != nil || n == 0 {
			return audit.Entry{}, err
		}
		return audit.Entry{Action: "session.revoke", Target: u.target(), Details: map[string]string{"others": strconv.Itoa(n)}}, nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// PutFlash keeps a notice for the next page that this browser loads. Without a session it does nothing.
func (s *Service) PutFlash(ctx context.Context, kind, message string) {
	if v, err := loadedVisit(ctx); err == nil && v.hash != "" {
		s.sessions.Put(ctx, flashKind, cut(kind, maxFlash))
		s.sessions.Put(ctx, flashText, cut(message, maxFlash))
		v.dirty = true
	}
}

// PopFlash returns the notice that was kept, once; empty strings when there is none.
func (s *Service) PopFlash(ctx context.Context) (kind, message string) {
	v, err := loadedVisit(ctx)
	if err != nil || v.hash == "" {
		return "", ""
	}
	kind, message = s.sessions.PopString(ctx, flashKind), s.sessions.PopString(ctx, flashText)
	if kind != "" || message != "" {
		v.dirty = true
	}
	return kind, message
}

var errNoMiddleware = errors.New("access: the request did not pass the session middleware")

// loadedVisit returns the session state of a request, or why there is none.
func loadedVisit(ctx context.Context) (*visit, error) {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok {
		return nil, errNoMiddleware
	}
	if v.err != nil {
		return nil, fmt.Errorf("access: load the session: %w", v.err)
	}
	return v, nil
}

// cut shortens text from a client to what is kept of it.
func cut(text string, limit int) string {
	if r := []rune(text); len(r) > limit {
		return string(r[:limit])
	}
	return text
}
