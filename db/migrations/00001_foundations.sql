-- The tables every later part stands on: the installation, its keys, the people, and the record of
-- what they did. Portable SQL: times are UTC microseconds, ids prefixed text, JSON and bytes are text.

-- +goose Up
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE keysets (
    purpose            TEXT PRIMARY KEY,
    wrapped            TEXT   NOT NULL, -- base64 of a keyset encrypted under the master key
    master_fingerprint TEXT   NOT NULL, -- which master key wraps it
    created_at         BIGINT NOT NULL,
    rewrapped_at       BIGINT NOT NULL
);

CREATE TABLE users (
    id                  TEXT PRIMARY KEY,
    email               TEXT   NOT NULL UNIQUE, -- lower case
    name                TEXT   NOT NULL,
    role                TEXT   NOT NULL,
    password_hash       TEXT   NOT NULL,
    session_epoch       BIGINT NOT NULL DEFAULT 1, -- a session of an older epoch is dead
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    last_sign_in_at     BIGINT,
    disabled_at         BIGINT,
    search              TEXT   NOT NULL -- what a search looks at, in lower case
);

CREATE TABLE sessions (
    token_hash   TEXT PRIMARY KEY,
    id           TEXT   NOT NULL UNIQUE, -- public id, for the sessions page
    user_id      TEXT   NOT NULL REFERENCES users (id),
    epoch        BIGINT NOT NULL,
    auth_level   TEXT   NOT NULL,
    data         TEXT   NOT NULL, -- base64 of what scs stores
    ip           TEXT   NOT NULL,
    user_agent   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, last_seen_at);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE invitations (
    id           TEXT PRIMARY KEY,
    token_hash   TEXT   NOT NULL UNIQUE,
    email        TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    invited_by   TEXT   NOT NULL, -- name of the inviter, to show
    inviter_kind TEXT   NOT NULL,
    inviter_id   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    accepted_at  BIGINT,
    accepted_by  TEXT,
    revoked_at   BIGINT
);
CREATE INDEX invitations_created ON invitations (created_at);
CREATE INDEX invitations_inviter ON invitations (inviter_id);

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT   NOT NULL,
    mac          TEXT   NOT NULL, -- hex MAC of the secret under the api key keyset
    scopes       TEXT   NOT NULL, -- JSON array
    created_by   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT,
    revoked_by   TEXT,
    search       TEXT   NOT NULL -- what a search looks at, in lower case
);
CREATE INDEX api_keys_created ON api_keys (created_at);

CREATE TABLE audit_entries (
    -- 1, 2, 3 … without gaps. The cast refuses text and fractions, which SQLite would store.
    seq           BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0 AND seq = CAST(seq AS BIGINT)),
    at            BIGINT NOT NULL,
    actor_kind    TEXT   NOT NULL,
    actor_id      TEXT   NOT NULL,
    actor_name    TEXT   NOT NULL,
    action        TEXT   NOT NULL,
    target_kind   TEXT   NOT NULL,
    target_id     TEXT   NOT NULL,
    target_name   TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    details       TEXT   NOT NULL, -- JSON object of strings, keys sorted
    request_id    TEXT   NOT NULL,
    ip            TEXT   NOT NULL,
    mac           TEXT   NOT NULL, -- hex of MAC(previous mac, canonical entry)
    -- Lower case copies for searches. They follow from the columns above, so the MAC leaves them out.
    actor_search  TEXT   NOT NULL,
    target_search TEXT   NOT NULL,
    search        TEXT   NOT NULL
);
CREATE INDEX audit_at ON audit_entries (at);
CREATE INDEX audit_action ON audit_entries (action, seq);
CREATE INDEX audit_actor ON audit_entries (actor_id, seq);
CREATE INDEX audit_target ON audit_entries (target_id, seq);
