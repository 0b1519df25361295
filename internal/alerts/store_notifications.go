package alerts

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"switchgear/db"
)

const notificationColumns = `id, alert_id, rule_id, channel_id, channel, kind, event, state, reason, message, attempts, run_at, last_error, created_at, finished_at`

func scanNotification(rows *sql.Rows) (Notification, error) {
	var (
		n            Notification
		message      string
		run, created int64
		finished     sql.NullInt64
	)
	if err := rows.Scan(&n.ID, &n.AlertID, &n.RuleID, &n.ChannelID, &n.ChannelName, &n.ChannelKind, &n.Event, &n.State, &n.Reason, &message,
		&n.Attempts, &run, &n.LastError, &created, &finished); err != nil {
		return n, err
	}
	if err := json.Unmarshal([]byte(message), &n.Message); err != nil {
		return n, fmt.Errorf("notification %s is not readable: %w", n.ID, err)
	}
	n.RunAt, n.CreatedAt, n.FinishedAt = db.Time(run), db.Time(created), db.NullTime(finished)
	return n, nil
}

func (store) notifications(ctx context.Context, q querier, rest string, args ...any) ([]Notification, error) {
	var out []Notification
	err := each(ctx, q, func(rows *sql.Rows) error {
		n, err := scanNotification(rows)
		out = append(out, n)
		return err
	}, `SELECT `+notificationColumns+` FROM alert_notifications `+rest, args...)
	return out, err
}

func (s store) notification(ctx context.Context, id string) (Notification, bool, error) {
	all, err := s.notifications(ctx, s.db, `WHERE id = $1`, id)
	if err != nil || len(all) == 0 {
		return Notification{}, false, err
	}
	return all[0], true, nil
}

func (store) insertNotification(ctx context.Context, tx *db.Tx, n Notification) error {
	message, err := encode(n.Message)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO alert_notifications (`+notificationColumns+`, lease_token, lease_until, boot_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '', 0, '')`,
		n.ID, n.AlertID, n.RuleID, n.ChannelID, n.ChannelName, n.ChannelKind, string(n.Event), string(n.State), n.Reason, message,
		n.Attempts, db.Micros(n.RunAt), n.LastError, db.Micros(n.CreatedAt), db.NullMicros(n.FinishedAt))
	return err
}

// listNotifications returns a page, the newest first, and how many there are in all.
func (s store) listNotifications(ctx context.Context, q NotificationQuery) ([]Notification, int, error) {
	var (
		where []string
		args  []any
	)
	for _, f := range []struct{ column, value string }{
		{"alert_id", q.AlertID}, {"channel_id", q.ChannelID}, {"rule_id", q.RuleID}, {"state", string(q.State)},
	} {
		if f.value != "" {
			args = append(args, f.value)
			where = append(where, fmt.Sprintf("%s = $%d", f.column, len(args)))
		}
	}
	filter := ""
	if len(where) > 0 {
		filter = "WHERE " + strings.Join(where, " AND ")
	}
	var total int
	if err := s.db.QueryRow(ctx, `SELECT COUNT(*) FROM alert_notifications `+filter, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	n := len(args)
	page, err := s.notifications(ctx, s.db, fmt.Sprintf("%s ORDER BY created_at DESC, id DESC LIMIT $%d OFFSET $%d", filter, n+1, n+2),
		append(args, q.Limit, (q.Page-1)*q.Limit)...)
	return page, total, err
}

// revive makes a notification due again that was given up, with all its attempts.
func (store) revive(ctx context.Context, tx *db.Tx, id string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE alert_notifications SET state = 'pending', attempts = 0, run_at = $2, finished_at = NULL, last_error = ''
		WHERE id = $1 AND state = 'dead'`, id, db.Micros(at))
	return err
}
