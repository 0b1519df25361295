-- Which API key used a credential last.

-- +goose Up

ALTER TABLE credentials ADD COLUMN used_by TEXT NOT NULL DEFAULT ''; -- empty: none was seen yet
ALTER TABLE credentials ADD COLUMN used_by_name TEXT NOT NULL DEFAULT ''; -- as it was then: the key may be gone
ALTER TABLE credentials ADD COLUMN used_by_at BIGINT;
