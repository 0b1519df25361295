-- Consents of OAuth 2 on their way.

-- +goose Up
CREATE TABLE oauth_flows (
    id            TEXT PRIMARY KEY,
    state_hash    TEXT   NOT NULL UNIQUE, -- of the state parameter; single use
    binding_hash  TEXT   NOT NULL,        -- of what the browser has to bring along
    connection_id TEXT   NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    account       TEXT   NOT NULL,
    provider      TEXT   NOT NULL,        -- names the redirect URI
    grant_kind    TEXT   NOT NULL,
    sealed        TEXT   NOT NULL,        -- state and code verifier, or device code
    key_id        BIGINT NOT NULL,
    settings      TEXT   NOT NULL,        -- JSON: redirect URI, issuer, scopes requested, where to go afterwards
    actor_kind    TEXT   NOT NULL,
    actor_id      TEXT   NOT NULL,
    actor_name    TEXT   NOT NULL,
    status        TEXT   NOT NULL,        -- pending, working, done, failed
    step          TEXT   NOT NULL,        -- where it failed
    error_code    TEXT   NOT NULL,
    error_text    TEXT   NOT NULL,
    poll_at       BIGINT,                 -- when the server may be asked next, of a device
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    ended_at      BIGINT
);
CREATE INDEX oauth_flows_connection ON oauth_flows (connection_id, created_at);
CREATE INDEX oauth_flows_expires ON oauth_flows (expires_at);
CREATE INDEX oauth_flows_key ON oauth_flows (key_id);
