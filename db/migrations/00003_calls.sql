-- The call log: what every call through the gateway was and how it ended. Written asynchronously, in
-- batches; bodies are kept only where a connection asks for it.

-- +goose Up
CREATE TABLE calls (
    id             TEXT PRIMARY KEY, -- the request id
    at             BIGINT NOT NULL,
    connection_id  TEXT   NOT NULL,
    slug           TEXT   NOT NULL,
    account        TEXT   NOT NULL,
    version        BIGINT NOT NULL,
    method         TEXT   NOT NULL,
    host           TEXT   NOT NULL,
    path           TEXT   NOT NULL,
    query          TEXT   NOT NULL, -- values of secret parameters redacted
    status         BIGINT NOT NULL, -- 0 when nothing came back
    outcome        TEXT   NOT NULL,
    attempts       BIGINT NOT NULL,
    duration_us    BIGINT NOT NULL,
    first_byte_us  BIGINT NOT NULL,
    request_bytes  BIGINT NOT NULL,
    response_bytes BIGINT NOT NULL,
    error_code     TEXT   NOT NULL,
    error_text     TEXT   NOT NULL,
    key_id         TEXT   NOT NULL,
    key_name       TEXT   NOT NULL,
    ip             TEXT   NOT NULL,
    detail         TEXT   NOT NULL  -- JSON: headers (redacted) and the timeline
);
CREATE INDEX calls_at ON calls (at);
CREATE INDEX calls_connection ON calls (connection_id, at);
CREATE INDEX calls_outcome ON calls (outcome, at);
