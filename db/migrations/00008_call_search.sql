-- The log is searched from its newest entry backwards along one index: that of the connection, of the
-- outcome, of what was refused or failed, or of the time alone.

-- +goose Up
DROP INDEX calls_at;
DROP INDEX calls_outcome;
CREATE INDEX calls_at ON calls (at, id);
CREATE INDEX calls_slug ON calls (slug, at, id);
CREATE INDEX calls_outcome ON calls (outcome, at, id);
CREATE INDEX calls_errors ON calls (at, id, status) WHERE status >= 400;
