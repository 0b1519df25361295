package alerts

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"switchgear/db"
)

const channelColumns = `id, name, kind, enabled, disabled_reason, settings, sealed, key_id, secret_names, version, previous_until,
	last_delivered_at, last_failed_at, last_error, created_at, updated_at`

// channels returns every channel by name.
func (store) channels(ctx context.Context, q querier) ([]Channel, error) {
	var out []Channel
	err := each(ctx, q, func(rows *sql.Rows) error {
		c, err := scanChannel(rows)
		out = append(out, c)
		return err
	}, `SELECT `+channelColumns+` FROM alert_channels ORDER BY name, id`)
	return out, err
}

func scanChannel(rows *sql.Rows) (Channel, error) {
	var (
		c                           Channel
		settings, names             string
		keyID                       int64
		previous, delivered, failed sql.NullInt64
		created, updated            int64
	)
	if err := rows.Scan(&c.ID, &c.Name, &c.Kind, &c.Enabled, &c.DisabledReason, &settings, &c.sealed, &keyID, &names, &c.version, &previous,
		&delivered, &failed, &c.LastError, &created, &updated); err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(settings), &c.Settings); err != nil {
		return c, fmt.Errorf("channel %s is not readable: %w", c.ID, err)
	}
	if err := json.Unmarshal([]byte(names), &c.Secrets); err != nil {
		return c, fmt.Errorf("channel %s is not readable: %w", c.ID, err)
	}
	c.PreviousUntil, c.LastDeliveredAt, c.LastFailedAt = db.NullTime(previous), db.NullTime(delivered), db.NullTime(failed)
	c.CreatedAt, c.UpdatedAt = db.Time(created), db.Time(updated)
	return c, nil
}

// putChannel stores what a person decides about a channel, not what became of what was sent.
func (store) putChannel(ctx context.Context, tx *db.Tx, c Channel, keyID uint32) error {
	settings, err := encode(c.Settings)
	if err != nil {
		return err
	}
	if c.Secrets == nil {
		c.Secrets = []string{}
	}
	names, err := encode(c.Secrets)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO alert_channels (`+channelColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, NULL, '', $12, $13)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled, disabled_reason = excluded.disabled_reason,
			settings = excluded.settings, sealed = excluded.sealed, key_id = excluded.key_id, secret_names = excluded.secret_names,
			version = excluded.version, previous_until = excluded.previous_until, updated_at = excluded.updated_at`,
		c.ID, c.Name, c.Kind, flag(c.Enabled), c.DisabledReason, settings, c.sealed, int64(keyID), names, c.version,
		db.NullMicros(c.PreviousUntil), db.Micros(c.CreatedAt), db.Micros(c.UpdatedAt))
	return err
}

func (store) deleteChannel(ctx context.Context, tx *db.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM alert_channels WHERE id = $1`, id)
	return err
}

// outcome notes how an attempt over a channel ended. disable is why it is switched off; empty to leave it on.
func (store) outcome(ctx context.Context, tx *db.Tx, channelID string, at time.Time, failure, disable string) error {
	column := "last_delivered_at"
	if failure != "" {
		column = "last_failed_at"
	}
	if _, err := tx.Exec(ctx, `UPDATE alert_channels SET `+column+` = $2, last_error = $3 WHERE id = $1`, channelID, db.Micros(at), failure); err != nil {
		return err
	}
	if disable == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE alert_channels SET enabled = 0, disabled_reason = $2 WHERE id = $1`, channelID, disable)
	return err
}
