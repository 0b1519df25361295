-- Alerts keep each time that they fired, may be told together, and may be told by another one.

-- +goose Up
ALTER TABLE alerts ADD COLUMN fired_at BIGINT NOT NULL DEFAULT 0;     -- since when it fires, or fired last
ALTER TABLE alerts ADD COLUMN fired_before_us BIGINT NOT NULL DEFAULT 0; -- how long it fired the times before
ALTER TABLE alerts ADD COLUMN carried_by TEXT NOT NULL DEFAULT '';    -- the alert that tells of the same incident
ALTER TABLE alerts ADD COLUMN gathered BIGINT NOT NULL DEFAULT 0;     -- 0 or 1: it waits to be told together with others
ALTER TABLE alerts ADD COLUMN summarised_at BIGINT;                   -- when it was told together with others last
UPDATE alerts SET fired_at = CASE WHEN flaps > 0 AND state = 'firing' THEN changed_at ELSE opened_at END;
CREATE INDEX alerts_gathered ON alerts (rule_id) WHERE gathered = 1;

CREATE TABLE alert_episodes (
    alert_id     TEXT   NOT NULL,
    n            BIGINT NOT NULL, -- 0 for the first time
    fired_at     BIGINT NOT NULL,
    resolved_at  BIGINT,
    why          TEXT   NOT NULL,
    resolved_why TEXT   NOT NULL,
    PRIMARY KEY (alert_id, n)
);
INSERT INTO alert_episodes (alert_id, n, fired_at, resolved_at, why, resolved_why)
    SELECT id, flaps, fired_at, resolved_at, why, resolved_why FROM alerts;
