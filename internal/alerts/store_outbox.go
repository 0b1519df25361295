package alerts

import (
	"context"
	"time"

	"switchgear/db"
)

// lease is the right to send a notification, for a time.
type lease struct {
	token, boot string
	now, until  time.Time
}

// claimed is a notification with the token of its lease.
type claimed struct {
	Notification
	token string
}

// outcome is how an attempt ended.
type outcome struct {
	state NotificationState
	at    time.Time
	// runAt is when to try again, where state is pending.
	runAt time.Time
	// reason is why it is suppressed, failure why it did not arrive, disable why its channel is switched off.
	reason, failure, disable string
}

// candidates bounds how many that are due are looked at for one whose channel is idle.
const candidates = 200

// takeOver makes due what another process held: it ended, and nobody else works on this database.
func (s store) takeOver(ctx context.Context, boot string, now time.Time) error {
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE alert_notifications SET state = 'pending', run_at = $1, lease_token = '' WHERE state = 'sending' AND boot_id <> $2`, db.Micros(now), boot)
		return err
	})
}

// bury gives up what has had its attempts and whose last one never came to its end.
func (s store) bury(ctx context.Context, now time.Time, most int) error {
	const spent = `attempts >= $1 AND (state = 'pending' OR (state = 'sending' AND lease_until < $2))`
	var n int
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM alert_notifications WHERE `+spent, most, db.Micros(now)).Scan(&n); err != nil || n == 0 {
		return err
	}
	return s.db.InTx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE alert_notifications SET state = 'dead', finished_at = $2, lease_token = '',
			last_error = CASE last_error WHEN '' THEN 'The last attempt never came to its end.' ELSE last_error END WHERE `+spent, most, db.Micros(now))
		return err
	})
}

// first holds for what waits for nothing that the same alert has to tell the same channel before it.
const first = `NOT EXISTS (SELECT 1 FROM alert_notifications e WHERE e.alert_id = n.alert_id AND e.alert_id <> '' AND e.channel_id = n.channel_id
	AND e.state IN ('pending', 'sending') AND (e.created_at < n.created_at OR (e.created_at = n.created_at AND e.id < n.id)))`

// claim takes the first notification that is due and whose channel is idle. What an alert tells a channel is
// told in order: nothing overtakes what is not finished.
func (s store) claim(ctx context.Context, l lease, most int, idle func(channelID string) bool) (out claimed, ok bool, err error) {
	const due = `n.attempts < $1 AND ((n.state = 'pending' AND n.run_at <= $2) OR (n.state = 'sending' AND n.lease_until < $2)) AND ` + first
	find := func(q querier) (id string, err error) {
		rows, err := q.Query(ctx, `SELECT n.id, n.channel_id FROM alert_notifications n WHERE `+due+` ORDER BY n.run_at, n.id LIMIT $3`, most, db.Micros(l.now), candidates)
		if err != nil {
			return "", err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var each, channel string
			if err := rows.Scan(&each, &channel); err != nil {
				return "", err
			}
			if id == "" && idle(channel) {
				id = each
			}
		}
		return id, rows.Err()
	}
	// Most of the time nothing is due, and finding that out must not take the write lock.
	if id, err := find(s.db); err != nil || id == "" {
		return out, false, err
	}
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		id, err := find(tx)
		if err != nil || id == "" {
			return err
		}
		out, ok, err = s.take(ctx, tx, l, id)
		return err
	})
	return out, ok && err == nil, err
}

// claimOne takes a notification that nobody has taken yet, due or not.
func (s store) claimOne(ctx context.Context, l lease, id string) (out claimed, ok bool, err error) {
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM alert_notifications WHERE id = $1 AND state = 'pending'`, id).Scan(&n); err != nil || n == 0 {
			return err
		}
		out, ok, err = s.take(ctx, tx, l, id)
		return err
	})
	return out, ok && err == nil, err
}

// take counts an attempt and leases the row.
func (s store) take(ctx context.Context, tx *db.Tx, l lease, id string) (claimed, bool, error) {
	if _, err := tx.Exec(ctx, `UPDATE alert_notifications SET state = 'sending', attempts = attempts + 1, lease_token = $2, lease_until = $3, boot_id = $4 WHERE id = $1`,
		id, l.token, db.Micros(l.until), l.boot); err != nil {
		return claimed{}, false, err
	}
	all, err := s.notifications(ctx, tx, `WHERE id = $1`, id)
	if err != nil || len(all) == 0 {
		return claimed{}, false, err
	}
	return claimed{all[0], l.token}, true, nil
}

// finish stores an outcome if the lease is still held, and tells whether it was.
func (s store) finish(ctx context.Context, c claimed, o outcome) (held bool, err error) {
	err = s.db.InTx(ctx, func(tx *db.Tx) error {
		finished := o.at
		if o.state == NotificationPending {
			finished = time.Time{}
		}
		result, err := tx.Exec(ctx, `UPDATE alert_notifications SET state = $3, reason = $4, last_error = $5, run_at = $6, finished_at = $7, lease_token = ''
			WHERE id = $1 AND state = 'sending' AND lease_token = $2`,
			c.ID, c.token, string(o.state), o.reason, o.failure, db.Micros(laterOf(o.runAt, c.RunAt)), db.NullMicros(finished))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if held = n == 1; err != nil || !held {
			return err
		}
		if o.state == NotificationSuppressed {
			return nil
		}
		return s.outcome(ctx, tx, c.ChannelID, o.at, o.failure, o.disable)
	})
	return held, err
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// nextDue is when the first notification is due that waits for no other one.
func (s store) nextDue(ctx context.Context) (at time.Time, ok bool, err error) {
	var us *int64
	err = s.db.QueryRow(ctx, `SELECT MIN(CASE n.state WHEN 'pending' THEN n.run_at ELSE n.lease_until END) FROM alert_notifications n
		WHERE n.state IN ('pending', 'sending') AND `+first).Scan(&us)
	if err != nil || us == nil {
		return time.Time{}, false, err
	}
	return db.Time(*us), true, nil
}

func (s store) channel(ctx context.Context, id string) (Channel, bool, error) {
	all, err := s.channels(ctx, s.db)
	if err != nil {
		return Channel{}, false, err
	}
	for _, c := range all {
		if c.ID == id {
			return c, true, nil
		}
	}
	return Channel{}, false, nil
}
