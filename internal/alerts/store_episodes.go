package alerts

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"switchgear/db"
)

// mostEpisodes is how many times of an alert are kept, the newest.
const mostEpisodes = 200

// putEpisode stores the present time of an alert, or the last one.
func (store) putEpisode(ctx context.Context, tx *db.Tx, a *Alert) error {
	if _, err := tx.Exec(ctx, `INSERT INTO alert_episodes (alert_id, n, fired_at, resolved_at, why, resolved_why) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (alert_id, n) DO UPDATE SET resolved_at = excluded.resolved_at, why = excluded.why, resolved_why = excluded.resolved_why`,
		a.ID, a.Flaps, db.Micros(a.FiredAt), db.NullMicros(a.ResolvedAt), a.Why, a.ResolvedWhy); err != nil || a.Flaps < mostEpisodes {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM alert_episodes WHERE alert_id = $1 AND n <= $2`, a.ID, a.Flaps-mostEpisodes)
	return err
}

// episodes returns the times of an alert, the oldest first.
func (store) episodes(ctx context.Context, q querier, alertID string) ([]Episode, error) {
	var out []Episode
	err := each(ctx, q, func(rows *sql.Rows) error {
		var (
			e        Episode
			fired    int64
			resolved sql.NullInt64
		)
		if err := rows.Scan(&fired, &resolved, &e.Why, &e.ResolvedWhy); err != nil {
			return err
		}
		e.FiredAt, e.ResolvedAt = db.Time(fired), db.NullTime(resolved)
		out = append(out, e)
		return nil
	}, `SELECT fired_at, resolved_at, why, resolved_why FROM alert_episodes WHERE alert_id = $1 ORDER BY n DESC LIMIT $2`, alertID, mostEpisodes)
	slices.Reverse(out)
	return out, err
}

// summarised notes that what was gathered of a rule is told.
func (store) summarised(ctx context.Context, tx *db.Tx, ruleID string, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE alerts SET gathered = 0, summarised_at = $2 WHERE rule_id = $1 AND gathered = 1`, ruleID, db.Micros(at))
	return err
}

// toldLately returns when each rule told one alert since then, and when it told many last.
func (s store) toldLately(ctx context.Context, since time.Time) (apart map[string][]time.Time, summarised map[string]time.Time, err error) {
	apart, summarised = map[string][]time.Time{}, map[string]time.Time{}
	err = each(ctx, s.db, func(rows *sql.Rows) error {
		var (
			rule, alert string
			at          int64
		)
		if err := rows.Scan(&rule, &alert, &at); err != nil {
			return err
		}
		if alert == "" {
			summarised[rule] = db.Time(at)
		} else {
			apart[rule] = append(apart[rule], db.Time(at))
		}
		return nil
	}, `SELECT DISTINCT rule_id, alert_id, created_at FROM alert_notifications
		WHERE created_at > $1 AND rule_id <> '' AND state <> 'suppressed' ORDER BY created_at`, db.Micros(since))
	return apart, summarised, err
}
