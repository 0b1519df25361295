-- The day on which a secret ends, as a person said.

-- +goose Up

-- It belongs to the values of a version: a rollback brings it back with the secret that it was said of.
ALTER TABLE credential_versions ADD COLUMN expires_on TEXT NOT NULL DEFAULT ''; -- 2027-01-31, the whole day included; empty is none
ALTER TABLE credential_versions ADD COLUMN expires_set_by TEXT NOT NULL DEFAULT '';
