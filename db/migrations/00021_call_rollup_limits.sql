-- What the rate limits did to calls, and what refused the others. Before this nothing is known of it, which
-- reads as nothing.

-- +goose Up
ALTER TABLE call_rollups ADD COLUMN waits BIGINT NOT NULL DEFAULT 0; -- calls that waited for their turn
ALTER TABLE call_rollups ADD COLUMN waited_us BIGINT NOT NULL DEFAULT 0; -- how long all of them together
ALTER TABLE call_rollups ADD COLUMN refused TEXT NOT NULL DEFAULT '{}'; -- JSON: calls that we refused, by code
