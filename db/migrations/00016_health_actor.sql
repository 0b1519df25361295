-- Who changed the status of a connection, where a person did.

-- +goose Up
ALTER TABLE health_changes ADD COLUMN actor TEXT NOT NULL DEFAULT '';
