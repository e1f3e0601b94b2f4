-- +goose Up

-- The last sign of life of every daemon, also of those that died.
CREATE TABLE nodes (
    name    text PRIMARY KEY,
    url     text NOT NULL,
    place   text NOT NULL,
    seen_at timestamptz NOT NULL
);
