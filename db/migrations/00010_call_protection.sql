-- What the protections did with a call: the operation whose policy it had, and the part of the cache.

-- +goose Up
ALTER TABLE calls ADD COLUMN operation TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN cache TEXT NOT NULL DEFAULT '';
