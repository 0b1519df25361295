-- Alerts: which conditions somebody wants to hear of, where it is told, what happened, and what was sent.

-- +goose Up
CREATE TABLE alert_rules (
    id              TEXT   NOT NULL PRIMARY KEY,
    name            TEXT   NOT NULL UNIQUE,
    kind            TEXT   NOT NULL, -- breaker_opened, connection_down, …
    enabled         BIGINT NOT NULL, -- 0 or 1
    severity        TEXT   NOT NULL, -- critical, warning, info
    scope           TEXT   NOT NULL, -- JSON: slugs of connections, an environment; empty: all
    params          TEXT   NOT NULL, -- JSON object of the parameters of the kind
    hold_us         BIGINT NOT NULL, -- how long the condition must hold
    repeat_us       BIGINT NOT NULL, -- after how long it is told again; 0: never
    channels        TEXT   NOT NULL, -- JSON array of ids
    notify_resolved BIGINT NOT NULL, -- 0 or 1
    created_at      BIGINT NOT NULL, -- 0: came with the product
    updated_at      BIGINT NOT NULL
);

-- A condition that nobody was told to watch is the one that is missed: these watch from the first start.
INSERT INTO alert_rules (id, name, kind, enabled, severity, scope, params, hold_us, repeat_us, channels, notify_resolved, created_at, updated_at) VALUES
    ('arl_default_breaker_opened', 'Breaker opened', 'breaker_opened', 1, 'critical', '{}', '{}', 0, 0, '[]', 1, 0, 0),
    ('arl_default_connection_down', 'Connection down', 'connection_down', 1, 'critical', '{}', '{}', 120000000, 0, '[]', 1, 0, 0),
    ('arl_default_credential_problem', 'Credential problem', 'credential_problem', 1, 'critical', '{}', '{}', 0, 0, '[]', 1, 0, 0);

CREATE TABLE alert_channels (
    id                TEXT   NOT NULL PRIMARY KEY,
    name              TEXT   NOT NULL UNIQUE,
    kind              TEXT   NOT NULL, -- webhook, slack, email
    enabled           BIGINT NOT NULL, -- 0 or 1
    disabled_reason   TEXT   NOT NULL, -- why the program switched it off; empty otherwise
    settings          TEXT   NOT NULL, -- JSON object of what is not secret
    sealed            TEXT   NOT NULL, -- what is secret, encrypted; empty when there is none
    key_id            BIGINT NOT NULL, -- of the key it is encrypted with
    secret_names      TEXT   NOT NULL, -- JSON array of the secret fields that are set
    version           BIGINT NOT NULL, -- counts the changes of what is sealed
    previous_until    BIGINT,          -- until when the secret before a rotation signs as well
    last_delivered_at BIGINT,
    last_failed_at    BIGINT,
    last_error        TEXT   NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);

CREATE TABLE alerts (
    id                  TEXT   NOT NULL PRIMARY KEY,
    fingerprint         TEXT   NOT NULL, -- rule, connection and operation
    rule_id             TEXT   NOT NULL, -- never used again, so that the history may outlive the rule
    rule_name           TEXT   NOT NULL,
    rule_kind           TEXT   NOT NULL,
    severity            TEXT   NOT NULL,
    connection_id       TEXT   NOT NULL,
    connection          TEXT   NOT NULL, -- slug
    connection_name     TEXT   NOT NULL,
    environment         TEXT   NOT NULL,
    operation           TEXT   NOT NULL, -- empty: the connection as a whole
    state               TEXT   NOT NULL, -- firing, resolved
    why                 TEXT   NOT NULL,
    resolved_why        TEXT   NOT NULL,
    opened_at           BIGINT NOT NULL,
    changed_at          BIGINT NOT NULL, -- since when it is firing or resolved
    resolved_at         BIGINT,
    acknowledged_at     BIGINT,
    acknowledged_by     TEXT   NOT NULL,
    acknowledged_note   TEXT   NOT NULL,
    flaps               BIGINT NOT NULL, -- how often it came back
    flapping            BIGINT NOT NULL, -- 0 or 1: silent until it is stable
    announced           BIGINT NOT NULL, -- 0 or 1: somebody was told that it fires, and nobody yet that it does not
    owed                BIGINT NOT NULL, -- 0 or 1: it is to be told once nothing mutes it
    told                TEXT   NOT NULL, -- JSON array of the moments at which a change was told lately
    reminded_at         BIGINT           -- when it was told last that it fires
);
CREATE UNIQUE INDEX alerts_open ON alerts (fingerprint) WHERE state = 'firing';
CREATE INDEX alerts_state ON alerts (state, opened_at, id);
CREATE INDEX alerts_opened ON alerts (opened_at, id);
CREATE INDEX alerts_connection ON alerts (connection_id, opened_at, id);
CREATE INDEX alerts_fingerprint ON alerts (fingerprint, changed_at);

CREATE TABLE alert_mutes (
    id            TEXT   NOT NULL PRIMARY KEY,
    rule_id       TEXT   NOT NULL, -- empty: every rule
    connection_id TEXT   NOT NULL, -- empty: every connection
    connection    TEXT   NOT NULL, -- its slug
    until         BIGINT NOT NULL,
    reason        TEXT   NOT NULL,
    created_by    TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX alert_mutes_until ON alert_mutes (until);

-- What is to be sent and what was. A row is written in the transaction of what it tells.
CREATE TABLE alert_notifications (
    id          TEXT   NOT NULL PRIMARY KEY, -- the same over all attempts: webhook-id
    alert_id    TEXT   NOT NULL, -- empty: a test
    rule_id     TEXT   NOT NULL,
    channel_id  TEXT   NOT NULL,
    channel     TEXT   NOT NULL, -- its name at the time
    kind        TEXT   NOT NULL, -- of the channel
    event       TEXT   NOT NULL, -- firing, resolved, reminder, flapping, test
    state       TEXT   NOT NULL, -- pending, sending, delivered, dead, suppressed
    reason      TEXT   NOT NULL, -- why it was suppressed
    message     TEXT   NOT NULL, -- JSON of what it says; no secret
    attempts    BIGINT NOT NULL, -- counted when one begins
    run_at      BIGINT NOT NULL, -- not before
    lease_token TEXT   NOT NULL,
    lease_until BIGINT NOT NULL,
    boot_id     TEXT   NOT NULL, -- the process that holds the lease
    last_error  TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX alert_notifications_due ON alert_notifications (state, run_at, id);
CREATE INDEX alert_notifications_alert ON alert_notifications (alert_id, created_at, id);
CREATE INDEX alert_notifications_channel ON alert_notifications (channel_id, created_at, id);
CREATE INDEX alert_notifications_rule ON alert_notifications (rule_id, channel_id, created_at);
CREATE INDEX alert_notifications_created ON alert_notifications (created_at, id);
