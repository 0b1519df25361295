-- The demonstration: one row while it is on, which says what it made, so that exactly that is removed.

-- +goose Up
CREATE TABLE demo (
    id          TEXT PRIMARY KEY, -- always 'demo'
    state       TEXT   NOT NULL,  -- loading, on, removing
    loaded_at   BIGINT NOT NULL,
    loaded_by   TEXT   NOT NULL,
    port        BIGINT NOT NULL,  -- of the pretend provider, on 127.0.0.1
    connections TEXT   NOT NULL,  -- JSON: slug, id and base URL of each connection
    key_id      TEXT   NOT NULL,  -- the API key of the pretend application, '' before it exists
    sealed      TEXT   NOT NULL,  -- the pretend credentials and the API key
    sealed_key  BIGINT NOT NULL   -- which key sealed them
);
