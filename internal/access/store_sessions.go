package access

import (
	"context"
	"encoding/base64"
	"time"

	"switchgear/db"
	"switchgear/internal/fault"
)

// sessionRow is a session and the user it belongs to, as they are now.
type sessionRow struct {
	Session
	epoch int64
	user  userRow
}

// liveSession returns the session of a token that has not expired, of an active user, of their
// present epoch; a fault.NotFound for every other.
func (s store) liveSession(ctx context.Context, hash string, now time.Time) (sessionRow, error) {
	var (
		r                      sessionRow
		created, seen, expires int64
	)
	err := s.db.QueryRow(ctx, `SELECT id, user_id, epoch, ip, user_agent, created_at, last_seen_at, expires_at
		FROM sessions WHERE token_hash = $1 AND expires_at > $2`, hash, db.Micros(now)).
		Scan(&r.ID, &r.UserID, &r.epoch, &r.IP, &r.UserAgent, &created, &seen, &expires)
	if err != nil {
		return sessionRow{}, err
	}
	if r.user, err = s.user(ctx, s.db, r.UserID); err != nil {
		return sessionRow{}, err
	}
	if r.user.epoch != r.epoch || !r.user.DisabledAt.IsZero() {
		return sessionRow{}, fault.New(fault.NotFound, "", "There is no such session.")
	}
	r.UserEmail = r.user.Email
	r.CreatedAt, r.LastSeenAt, r.ExpiresAt = db.Time(created), db.Time(seen), db.Time(expires)
	return r, nil
}

// liveSessions lists sessions that still work, of one user or (with an empty id) of all.
func (s store) liveSessions(ctx context.Context, userID string, now time.Time) ([]Session, error) {
	var list []Session
	err := each(ctx, s.db, func(row scanner) error {
		var (
			v                      Session
			created, seen, expires int64
		)
		err := row.Scan(&v.ID, &v.UserID, &v.UserEmail, &v.IP, &v.UserAgent, &created, &seen, &expires)
		v.CreatedAt, v.LastSeenAt, v.ExpiresAt = db.Time(created), db.Time(seen), db.Time(expires)
		list = append(list, v)
		return err
	}, `SELECT s.id, s.user_id, u.email, s.ip, s.user_agent, s.created_at, s.last_seen_at, s.expires_at
		FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.expires_at > $1 AND u.disabled_at IS NULL AND u.session_epoch = s.epoch AND ($2 = '' OR s.user_id = $2)
		ORDER BY s.last_seen_at DESC, s.id LIMIT 500`, db.Micros(now), userID)
	return list, err
}

// sessionOwner returns the user that a session belongs to, dead or alive.
func (store) sessionOwner(ctx context.Context, q reader, id string) (userRow, error) {
	return scanUser(q.QueryRow(ctx, `SELECT `+userColumns+` FROM users WHERE id = (SELECT user_id FROM sessions WHERE id = $1)`, id))
}

// newSession is what a session row is made of besides its data.
type newSession struct {
	id, userID      string
	passwordChanged time.Time
	ip, userAgent   string
}

// authPassword is the auth level of a session that began with a password alone.
const authPassword = "password"

// insertSession adds the row of a new session in the user's present epoch. It inserts nothing when the
// account was disabled or the password changed since the user signed in.
func (store) insertSession(ctx context.Context, tx *db.Tx, hash string, n newSession, data []byte, now, expires time.Time) (bool, error) {
	return affected(tx.Exec(ctx, `INSERT INTO sessions
		(token_hash, id, user_id, epoch, auth_level, data, ip, user_agent, created_at, last_seen_at, expires_at)
		SELECT $1, $2, id, session_epoch, $4, $5, $6, $7, $8, $8, $9 FROM users
		WHERE id = $3 AND disabled_at IS NULL AND password_changed_at = $10`,
		hash, n.id, n.userID, authPassword, base64.StdEncoding.EncodeToString(data), n.ip, n.userAgent,
		db.Micros(now), db.Micros(expires), db.Micros(n.passwordChanged)))
}

// updateSession stores the data of a session that exists. It never makes one.
func (store) updateSession(ctx context.Context, tx *db.Tx, hash string, data []byte) (bool, error) {
	return affected(tx.Exec(ctx, `UPDATE sessions SET data = $2 WHERE token_hash = $1`, hash, base64.StdEncoding.EncodeToString(data)))
}

func (s store) sessionData(ctx context.Context, hash string, now time.Time) ([]byte, error) {
	var text string
	err := s.db.QueryRow(ctx, `SELECT data FROM sessions WHERE token_hash = $1 AND expires_at > $2`, hash, db.Micros(now)).Scan(&text)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// touchSession notes that a session was used, unless somebody just did or it is gone.
func (s store) touchSession(ctx context.Context, hash string, now, notSince time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE sessions SET last_seen_at = $2 WHERE token_hash = $1 AND last_seen_at <= $3`,
			hash, db.Micros(now), db.Micros(notSince))
		return err
	})
}

func (store) deleteSessionByHash(ctx context.Context, tx *db.Tx, hash string) (bool, error) {
	return affected(tx.Exec(ctx, `DELETE FROM sessions WHERE token_hash = $1`, hash))
}

func (store) deleteSession(ctx context.Context, tx *db.Tx, id string) (bool, error) {
	return affected(tx.Exec(ctx, `DELETE FROM sessions WHERE id = $1`, id))
}

// endSessions deletes the sessions of a user except one, which moves on to the user's present epoch.
// Keep nothing to end them all.
func (store) endSessions(ctx context.Context, tx *db.Tx, userID, keep string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND id <> $2`, userID, keep); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE sessions SET epoch = (SELECT session_epoch FROM users WHERE id = $1) WHERE user_id = $1`, userID)
	return err
}

// deleteOtherSessions deletes the sessions of a user except one and returns how many there were.
func (store) deleteOtherSessions(ctx context.Context, tx *db.Tx, userID, keep string) (int, error) {
	return count(tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND id <> $2`, userID, keep))
}

func (s store) deleteExpiredSessions(ctx context.Context, now time.Time) error {
	// Looking first keeps the one writer free on the many rounds that find nothing.
	var n int
	err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM sessions WHERE expires_at <= $1 LIMIT 1) AS expired`,
		db.Micros(now)).Scan(&n)
	if err != nil || n == 0 {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, db.Micros(now))
		return err
	})
}
