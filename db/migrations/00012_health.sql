-- How connections are: when their status changed and why, and what our own requests to them showed.

-- +goose Up
CREATE TABLE health_changes (
    id            TEXT   NOT NULL PRIMARY KEY,
    connection_id TEXT   NOT NULL, -- never used again, so that the history may outlive the connection
    at            BIGINT NOT NULL, -- since when it is so
    from_state    TEXT   NOT NULL, -- empty: nothing was known
    to_state      TEXT   NOT NULL,
    why           TEXT   NOT NULL
);
CREATE INDEX health_changes_connection ON health_changes (connection_id, at, id);
CREATE INDEX health_changes_at ON health_changes (at);

-- How each connection is now, as far as it outlives the process.
CREATE TABLE health_states (
    connection_id TEXT   NOT NULL PRIMARY KEY,
    state         TEXT   NOT NULL, -- empty: not known
    since         BIGINT NOT NULL,
    last_check    TEXT   NOT NULL  -- JSON; empty when there was none
);

CREATE TABLE health_checks (
    id            TEXT   NOT NULL PRIMARY KEY,
    connection_id TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    method        TEXT   NOT NULL,
    path          TEXT   NOT NULL,
    status        BIGINT NOT NULL, -- 0 when nothing came back
    outcome       TEXT   NOT NULL,
    took_us       BIGINT NOT NULL
);
CREATE INDEX health_checks_connection ON health_checks (connection_id, at, id);
CREATE INDEX health_checks_at ON health_checks (at);
