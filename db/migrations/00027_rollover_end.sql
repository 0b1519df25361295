-- A secret that waits has its last day with it, as the versions of credentials have.

-- +goose Up
ALTER TABLE credential_rollovers ADD COLUMN expires_on TEXT NOT NULL DEFAULT ''; -- the last day (UTC), as 2027-01-31
ALTER TABLE credential_rollovers ADD COLUMN expires_set_by TEXT NOT NULL DEFAULT '';
