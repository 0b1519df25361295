-- Rotation of data keys: what became of each key of a keyset, and how far the values are sealed anew.

-- +goose Up
CREATE TABLE data_keys (
    purpose      TEXT   NOT NULL,
    key_id       BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    replaced_at  BIGINT, -- since when another key seals new values
    disabled_at  BIGINT, -- since when it opens nothing any more
    destroyed_at BIGINT,
    PRIMARY KEY (purpose, key_id)
);

CREATE TABLE key_rotations (
    id          TEXT PRIMARY KEY,
    purpose     TEXT   NOT NULL,
    key_id      BIGINT NOT NULL, -- the key that every value is to be sealed with
    state       TEXT   NOT NULL, -- running, paused, done
    total       BIGINT NOT NULL, -- values to be sealed anew when it began
    failed      BIGINT NOT NULL, -- values that did not open and were left as they are
    started_at  BIGINT NOT NULL,
    started_by  TEXT   NOT NULL,
    finished_at BIGINT
);
CREATE UNIQUE INDEX key_rotations_open ON key_rotations (purpose) WHERE state <> 'done';
CREATE INDEX key_rotations_started ON key_rotations (started_at);
