-- What circuit breakers and rate limiters must not forget: the history of breakers, their present state, the
-- commands that people gave, and what is left of long limits.

-- +goose Up
CREATE TABLE breaker_events (
    id             TEXT   NOT NULL PRIMARY KEY,
    connection_id  TEXT   NOT NULL, -- never used again, so that the history may outlive the connection
    operation      TEXT   NOT NULL, -- empty: the breaker of the connection
    epoch          BIGINT NOT NULL,
    seq            BIGINT NOT NULL,
    at             BIGINT NOT NULL,
    from_state     TEXT   NOT NULL,
    to_state       TEXT   NOT NULL,
    mode           TEXT   NOT NULL,
    cause          TEXT   NOT NULL,
    actor          TEXT   NOT NULL,
    reason         TEXT   NOT NULL,
    counts         TEXT   NOT NULL, -- JSON
    last_outcome   TEXT   NOT NULL,
    samples        TEXT   NOT NULL, -- JSON list of request ids
    until          BIGINT,          -- when the next probe may be sent
    lease_until    BIGINT,          -- when the override ends
    config_version BIGINT NOT NULL, -- of the connection; 0 when it is not known
    UNIQUE (connection_id, operation, seq, at)
);
CREATE INDEX breaker_events_connection ON breaker_events (connection_id, at, seq, id);
CREATE INDEX breaker_events_at ON breaker_events (at, seq, id);

CREATE TABLE breaker_states (
    connection_id TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    state         TEXT   NOT NULL, -- JSON
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (connection_id, operation)
);

-- A command is here from the transaction that also records it in the audit log until what it did is stored.
-- One that is found at a start is carried out then.
CREATE TABLE breaker_commands (
    id            TEXT   NOT NULL PRIMARY KEY,
    connection_id TEXT   NOT NULL,
    operation     TEXT   NOT NULL,
    verb          TEXT   NOT NULL,
    actor         TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    until         BIGINT,
    at            BIGINT NOT NULL
);

CREATE TABLE limiter_states (
    connection_id TEXT   NOT NULL PRIMARY KEY,
    state         TEXT   NOT NULL, -- JSON
    updated_at    BIGINT NOT NULL
);
