-- Tokens of OAuth 2, and the history of every credential.

-- +goose Up

-- The token of a credential whose auth type obtains one. It changes far more often than the credential and
-- is no part of a definition, so it has a row of its own.
CREATE TABLE credential_tokens (
    credential_id    TEXT PRIMARY KEY REFERENCES credentials (id),
    version          BIGINT NOT NULL, -- 0 is none yet; moves with every token, and every change compares it
    sealed           TEXT   NOT NULL, -- access and refresh token, encrypted and bound to this row and version
    key_id           BIGINT NOT NULL,
    -- The token before, until the present one was accepted once.
    previous_version BIGINT NOT NULL,
    previous         TEXT   NOT NULL,
    previous_key_id  BIGINT NOT NULL,
    renewable        BIGINT NOT NULL, -- 1 when there is a refresh token
    scopes           TEXT   NOT NULL, -- granted, separated by spaces
    obtained_at      BIGINT NOT NULL,
    expires_at       BIGINT,          -- NULL when nobody said
    renew_at         BIGINT,          -- when it is to be renewed ahead of its end; NULL is never
    -- Who renews it: a lease that the finish must match.
    lease_token      TEXT   NOT NULL,
    lease_until      BIGINT NOT NULL,
    -- What the last renewals came to.
    asked_at         BIGINT,          -- when a renewal was sent whose answer is not stored yet
    failures         BIGINT NOT NULL, -- in a row
    retry_at         BIGINT,          -- no renewal before
    error_code       TEXT   NOT NULL
);
CREATE INDEX credential_tokens_renew ON credential_tokens (renew_at);
CREATE INDEX credential_tokens_expires ON credential_tokens (expires_at);
CREATE INDEX credential_tokens_key ON credential_tokens (key_id);
CREATE INDEX credential_tokens_previous_key ON credential_tokens (previous_key_id);

-- What happened to credentials. Holds no secret; outlives the credential until retention ends it.
CREATE TABLE credential_events (
    id            TEXT PRIMARY KEY,
    credential_id TEXT   NOT NULL,
    connection_id TEXT   NOT NULL,
    account       TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    detail        TEXT   NOT NULL, -- a sentence
    code          TEXT   NOT NULL, -- of a failure
    actor_kind    TEXT   NOT NULL,
    actor_id      TEXT   NOT NULL,
    actor_name    TEXT   NOT NULL,
    version       BIGINT NOT NULL, -- of the credential
    token_version BIGINT NOT NULL,
    at            BIGINT NOT NULL
);
CREATE INDEX credential_events_credential ON credential_events (credential_id, at, id);
CREATE INDEX credential_events_connection ON credential_events (connection_id, at, id);
CREATE INDEX credential_events_at ON credential_events (at);
