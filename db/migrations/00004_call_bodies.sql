-- Bodies of calls, of connections that ask for it: redacted, cut, read only by the page of one call, and
-- deleted with the log or earlier, when all of them together are too large. And who sent a call from the
-- console.

-- +goose Up
CREATE TABLE call_bodies (
    call_id       TEXT PRIMARY KEY, -- the request id
    at            BIGINT NOT NULL,  -- that of the call
    size          BIGINT NOT NULL,  -- of both texts, in bytes
    request       TEXT   NOT NULL,
    request_note  TEXT   NOT NULL,  -- why there is no text, or what is missing
    response      TEXT   NOT NULL,
    response_note TEXT   NOT NULL
);
-- With the size, so that what to delete is found without reading a text.
CREATE INDEX call_bodies_at ON call_bodies (at, size);

ALTER TABLE calls ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN user_name TEXT NOT NULL DEFAULT '';
