-- Secrets are bound to the origin (scheme, host and port) that they were entered for. What is stored without one
-- is bound at the next start, to the origin of the connection that used it.

-- +goose Up
ALTER TABLE credential_versions ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE credential_tokens ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE credential_rollovers ADD COLUMN origin TEXT NOT NULL DEFAULT '';
