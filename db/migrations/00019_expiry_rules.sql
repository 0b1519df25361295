-- Rules for what ends: tokens that nothing can renew, and certificates.

-- +goose Up

INSERT INTO alert_rules (id, name, kind, enabled, severity, scope, params, hold_us, repeat_us, channels, notify_resolved, created_at, updated_at) VALUES
    ('arl_default_expires_14d', 'Expires within 14 days', 'token_expires_soon', 1, 'info', '{}', '{"within":"336h"}', 0, 0, '[]', 1, 0, 0),
    ('arl_default_expires_3d', 'Expires within 3 days', 'token_expires_soon', 1, 'warning', '{}', '{"within":"72h"}', 0, 0, '[]', 1, 0, 0),
    ('arl_default_expires_1d', 'Expires within a day', 'token_expires_soon', 1, 'critical', '{}', '{"within":"24h"}', 0, 0, '[]', 1, 0, 0);
