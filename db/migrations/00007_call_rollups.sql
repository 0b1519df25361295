-- What calls were like, by the minute and by the hour. A minute is added to in the transaction that stores
-- its calls. An hour is the sum of its minutes, made once it is over; where one is missing, its minutes tell.

-- +goose Up
CREATE TABLE call_rollups (
    connection_id  TEXT   NOT NULL,
    operation      TEXT   NOT NULL, -- empty: calls are not told apart
    seconds        BIGINT NOT NULL, -- 60 or 3600
    at             BIGINT NOT NULL, -- when it begins
    calls          BIGINT NOT NULL,
    attempts       BIGINT NOT NULL,
    request_bytes  BIGINT NOT NULL,
    response_bytes BIGINT NOT NULL,
    duration_us    BIGINT NOT NULL, -- of all calls together
    outcomes       TEXT   NOT NULL, -- JSON: calls by outcome
    latency        TEXT   NOT NULL, -- base64: a sketch of the durations
    PRIMARY KEY (connection_id, operation, seconds, at)
);
CREATE INDEX call_rollups_at ON call_rollups (seconds, at);
