-- +goose Up

-- The last sign of life of every daemon, also of those that died.
CREATE TABLE nodes (
    name    TEXT PRIMARY KEY,
    url     TEXT NOT NULL,
    place   TEXT NOT NULL,
    seen_at TEXT NOT NULL
) WITHOUT ROWID;
