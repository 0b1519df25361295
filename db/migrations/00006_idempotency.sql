-- What requests with an Idempotency-Key were answered. The request itself is not kept: its MAC tells
-- whether another one is the same, and the answers of the API hold no secret.

-- +goose Up
CREATE TABLE idempotency_keys (
    scope       TEXT   NOT NULL, -- who asked: the id of an API key
    key         TEXT   NOT NULL, -- as the client sent it
    fingerprint TEXT   NOT NULL, -- hex of the MAC of the request
    owner       TEXT   NOT NULL, -- which execution holds the row
    busy_until  BIGINT,          -- while it runs; NULL once there is an answer
    status      BIGINT NOT NULL, -- of the answer, 0 while there is none
    header      TEXT   NOT NULL, -- JSON object of the headers of the answer
    body        TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
