-- Evidence about the readiness of connections. Rows are written once and never changed. There is no foreign
-- key to connections: evidence of one that is gone is deleted by the worker that keeps it.

-- +goose Up
CREATE TABLE checklist_evidence (
    id            TEXT PRIMARY KEY,
    connection_id TEXT   NOT NULL,
    item          TEXT   NOT NULL, -- requirements, api_design, …
    config_hash   TEXT   NOT NULL, -- of the part of the definition that it is about
    method        TEXT   NOT NULL, -- static, observed, drill, attested
    verdict       TEXT   NOT NULL, -- pass, fail, unknown, stale, exempt
    measured      TEXT   NOT NULL,
    threshold     TEXT   NOT NULL,
    message       TEXT   NOT NULL, -- the measured value in a sentence, or the reason that a person gave
    artifacts     TEXT   NOT NULL, -- JSON array of what proves it: request ids, addresses
    actor_kind    TEXT   NOT NULL,
    actor_id      TEXT   NOT NULL,
    actor_name    TEXT   NOT NULL,
    at            BIGINT NOT NULL,
    expires_at    BIGINT
);
CREATE INDEX checklist_evidence_connection ON checklist_evidence (connection_id, item, method, at);
