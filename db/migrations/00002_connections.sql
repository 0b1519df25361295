-- Connections, their versions and their sealed credentials. Same portable subset as before: times are
-- UTC microseconds, ids prefixed text, JSON and bytes are text.

-- +goose Up
CREATE TABLE connections (
    id              TEXT PRIMARY KEY,
    slug            TEXT   NOT NULL UNIQUE,
    version         BIGINT NOT NULL, -- the active one, in connection_versions
    last_known_good BIGINT,          -- the newest version that was seen to work
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    -- What lists filter and sort by, copied from the active version.
    name_key        TEXT   NOT NULL, -- the name in lower case
    kind            TEXT   NOT NULL,
    provider        TEXT   NOT NULL,
    environment     TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    search_key      TEXT   NOT NULL -- everything that a search looks at, in lower case
);
CREATE INDEX connections_name ON connections (name_key, id);
CREATE INDEX connections_created ON connections (created_at, id);
CREATE INDEX connections_updated ON connections (updated_at, id);
CREATE INDEX connections_kind ON connections (kind, name_key, id);
CREATE INDEX connections_provider ON connections (provider, name_key, id);
CREATE INDEX connections_environment ON connections (environment, name_key, id);
CREATE INDEX connections_state ON connections (state, name_key, id);
-- A search reads this index from end to end instead of the rows.
CREATE INDEX connections_search ON connections (search_key);

-- Rows are written once and never changed.
CREATE TABLE connection_versions (
    connection_id TEXT   NOT NULL REFERENCES connections (id),
    version       BIGINT NOT NULL, -- 1, 2, 3 … without gaps
    definition    TEXT   NOT NULL, -- JSON; names the version of the credential, holds no secret
    cause         TEXT   NOT NULL, -- create, edit, rollback, …
    copied_from   BIGINT,          -- the version that a rollback brought back
    reason        TEXT   NOT NULL,
    author_kind   TEXT   NOT NULL,
    author_id     TEXT   NOT NULL,
    author_name   TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (connection_id, version)
);

CREATE TABLE credentials (
    id            TEXT PRIMARY KEY,
    connection_id TEXT   NOT NULL REFERENCES connections (id),
    account       TEXT   NOT NULL, -- default, or the name of one identity under the connection
    version       BIGINT NOT NULL, -- the one in use, in credential_versions
    state         TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    last_used_at  BIGINT,
    UNIQUE (connection_id, account)
);

CREATE TABLE credential_versions (
    credential_id TEXT   NOT NULL REFERENCES credentials (id),
    version       BIGINT NOT NULL,
    auth_type     TEXT   NOT NULL,
    settings      TEXT   NOT NULL, -- JSON object of the fields that are not secret, for display only
    marks         TEXT   NOT NULL, -- JSON object: secret field → a random mark that changes with its value
    sealed        TEXT   NOT NULL, -- base64 of every field, encrypted and bound to this row
    key_id        BIGINT NOT NULL, -- the key of the keyset that sealed it
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (credential_id, version)
);
CREATE INDEX credential_versions_key ON credential_versions (key_id);
