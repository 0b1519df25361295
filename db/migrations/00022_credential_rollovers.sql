-- The rotation of credentials that a person enters: the new one waits beside the one in use until it is
-- switched to, and the old one is kept for a while.

-- +goose Up
CREATE TABLE credential_rollovers (
    id             TEXT PRIMARY KEY,
    credential_id  TEXT   NOT NULL UNIQUE REFERENCES credentials (id),
    revision       BIGINT NOT NULL, -- moves with every step, and every step compares it
    state          TEXT   NOT NULL, -- staged, switched, done
    -- The credential that waits, of the auth type of the one in use. Empty once it is in use itself.
    version        BIGINT NOT NULL, -- of what is sealed: moves when it waits again
    auth_type      TEXT   NOT NULL,
    settings       TEXT   NOT NULL, -- JSON: the values that are not secret
    marks          TEXT   NOT NULL, -- JSON: random marks of the secret ones
    sealed         TEXT   NOT NULL, -- every field, encrypted and bound to this row and version
    key_id         BIGINT NOT NULL,
    staged_at      BIGINT NOT NULL,
    staged_by      TEXT   NOT NULL,
    -- The last test of what waits.
    tested_at      BIGINT,
    tested_by      TEXT   NOT NULL DEFAULT '',
    test_request   TEXT   NOT NULL DEFAULT '', -- method and path
    test_status    BIGINT NOT NULL DEFAULT 0,
    test_outcome   TEXT   NOT NULL DEFAULT '',
    test_problem   TEXT   NOT NULL DEFAULT '', -- why there was no answer
    test_passed    BIGINT NOT NULL DEFAULT 0,
    -- The old credential, once it is replaced: which version of it, and when it is destroyed.
    old_version    BIGINT NOT NULL DEFAULT 0,
    switched_at    BIGINT,
    switched_by    TEXT   NOT NULL DEFAULT '',
    switch_reason  TEXT   NOT NULL DEFAULT '',
    destroy_at     BIGINT, -- NULL is when somebody says so
    destroyed_at   BIGINT,
    destroyed_by   TEXT   NOT NULL DEFAULT '',
    rolled_back_at BIGINT,
    rolled_back_by TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX credential_rollovers_key ON credential_rollovers (key_id);
CREATE INDEX credential_rollovers_destroy ON credential_rollovers (destroy_at);
