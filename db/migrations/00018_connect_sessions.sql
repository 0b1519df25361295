-- Links by which somebody without access to the console connects an account.

-- +goose Up
CREATE TABLE connect_sessions (
    id            TEXT PRIMARY KEY,
    token_hash    TEXT   NOT NULL UNIQUE,
    connection_id TEXT   NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    slug          TEXT   NOT NULL,
    account       TEXT   NOT NULL,
    label         TEXT   NOT NULL, -- who asks or what for, shown on the page
    scopes        TEXT   NOT NULL, -- separated by spaces; empty is those of the connection
    return_url    TEXT   NOT NULL, -- where the browser goes afterwards, or empty
    channel_id    TEXT   NOT NULL, -- the alert channel that is told, or empty
    status        TEXT   NOT NULL, -- pending, done, failed, revoked
    error_code    TEXT   NOT NULL,
    error_text    TEXT   NOT NULL,
    actor_kind    TEXT   NOT NULL,
    actor_id      TEXT   NOT NULL,
    actor_name    TEXT   NOT NULL,
    actor_role    TEXT   NOT NULL,
    actor_scopes  TEXT   NOT NULL, -- of an API key, separated by spaces
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    ended_at      BIGINT
);
CREATE INDEX connect_sessions_created ON connect_sessions (created_at, id);
CREATE INDEX connect_sessions_connection ON connect_sessions (connection_id, created_at, id);

-- The session that a consent belongs to, or empty.
ALTER TABLE oauth_flows ADD COLUMN session_id TEXT NOT NULL DEFAULT '';
