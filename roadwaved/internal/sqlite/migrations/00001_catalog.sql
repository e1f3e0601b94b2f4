-- Times are UTC text to the microsecond, of one width so that they sort; tags
-- are a JSON array. Column names are those of the PostgreSQL catalog.

-- +goose Up
CREATE TABLE lives (
    live_id            TEXT PRIMARY KEY,
    creator_id         TEXT NOT NULL,
    title              TEXT NOT NULL,
    started_at         TEXT NOT NULL,
    zone_geo           TEXT NOT NULL,
    tags               TEXT NOT NULL,
    classification_age TEXT NOT NULL,
    state              TEXT NOT NULL CHECK (state IN ('on_air', 'ended', 'lost')),
    node               TEXT NOT NULL,
    ended_at           TEXT,
    end_reason         TEXT NOT NULL DEFAULT '',
    duration_seconds   REAL NOT NULL DEFAULT 0,
    packets_received   INTEGER NOT NULL DEFAULT 0,
    packets_lost       INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'on_air') = (ended_at IS NULL))
);
CREATE INDEX lives_started_at ON lives (started_at, live_id);
CREATE INDEX lives_state ON lives (state, started_at, live_id);
CREATE INDEX lives_creator_id ON lives (creator_id, started_at);
CREATE INDEX lives_zone_geo ON lives (zone_geo, started_at);

CREATE TABLE replay_jobs (
    live_id     TEXT PRIMARY KEY REFERENCES lives,
    opened_at   TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'empty', 'parked')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    fence       INTEGER NOT NULL DEFAULT 0,
    worker      TEXT NOT NULL DEFAULT '',
    lease_until TEXT,
    step        TEXT NOT NULL DEFAULT '',
    progress    REAL NOT NULL DEFAULT 0,
    error       TEXT NOT NULL DEFAULT '',
    updated_at  TEXT NOT NULL,
    CHECK ((state = 'running') = (lease_until IS NOT NULL))
);
CREATE INDEX replay_jobs_state ON replay_jobs (state, opened_at, live_id);

CREATE TABLE replays (
    replay_id               TEXT PRIMARY KEY,
    live_id                 TEXT NOT NULL UNIQUE REFERENCES lives,
    title                   TEXT NOT NULL,
    geo_type                TEXT NOT NULL,
    published_at            TEXT NOT NULL,
    duration_seconds        REAL NOT NULL,
    storage_key             TEXT NOT NULL,
    loudness_lufs           REAL NOT NULL,
    removed_silence_seconds REAL NOT NULL
);
CREATE INDEX replays_published_at ON replays (published_at, replay_id);
