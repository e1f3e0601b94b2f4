-- Search, the audit log, counters over time, and what daemons share. Column names
-- are those of the PostgreSQL catalog.

-- +goose Up

-- Lives get a number of their own for the search index to refer to: row numbers
-- without a name change when somebody runs VACUUM. A table that others refer to
-- cannot be changed in place, so all three are built anew.
CREATE TABLE new_lives (
    live_no            INTEGER PRIMARY KEY,
    live_id            TEXT NOT NULL UNIQUE,
    creator_id         TEXT NOT NULL,
    title              TEXT NOT NULL,
    started_at         TEXT NOT NULL,
    zone_geo           TEXT NOT NULL,
    tags               TEXT NOT NULL,
    classification_age TEXT NOT NULL,
    premium            INTEGER NOT NULL DEFAULT 0 CHECK (premium IN (0, 1)),
    state              TEXT NOT NULL CHECK (state IN ('on_air', 'ended', 'lost')),
    node               TEXT NOT NULL,
    ended_at           TEXT,
    end_reason         TEXT NOT NULL DEFAULT '',
    duration_seconds   REAL NOT NULL DEFAULT 0,
    packets_received   INTEGER NOT NULL DEFAULT 0,
    packets_lost       INTEGER NOT NULL DEFAULT 0,
    visits             INTEGER NOT NULL DEFAULT 0,
    peak_listeners     INTEGER NOT NULL DEFAULT 0,
    likes              INTEGER NOT NULL DEFAULT 0,
    reports            INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'on_air') = (ended_at IS NULL))
);
INSERT INTO new_lives (live_id, creator_id, title, started_at, zone_geo, tags, classification_age, state, node,
                       ended_at, end_reason, duration_seconds, packets_received, packets_lost)
SELECT live_id, creator_id, title, started_at, zone_geo, tags, classification_age, state, node,
       ended_at, end_reason, duration_seconds, packets_received, packets_lost
FROM lives ORDER BY started_at, live_id;

CREATE TABLE new_replay_jobs (
    live_id     TEXT PRIMARY KEY REFERENCES new_lives (live_id),
    node        TEXT NOT NULL,
    priority    INTEGER NOT NULL,
    opened_at   TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('uploading', 'pending', 'running', 'done', 'empty', 'parked')),
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
-- Workers used to read recordings from the disk they were made on. Now they look
-- in the object store, so what is unfinished must be brought there first; parked
-- jobs too, or nobody could ever reopen them.
INSERT INTO new_replay_jobs
SELECT live_id, lives.node, 0, opened_at,
       CASE WHEN replay_jobs.state IN ('done', 'empty') THEN replay_jobs.state ELSE 'uploading' END,
       CASE replay_jobs.state WHEN 'parked' THEN 0 ELSE attempts END,
       fence, worker, NULL, step, progress, error, updated_at
FROM replay_jobs JOIN lives USING (live_id);

CREATE TABLE new_replays (
    replay_id               TEXT PRIMARY KEY,
    live_id                 TEXT NOT NULL UNIQUE REFERENCES new_lives (live_id),
    title                   TEXT NOT NULL,
    geo_type                TEXT NOT NULL,
    published_at            TEXT NOT NULL,
    duration_seconds        REAL NOT NULL,
    storage_key             TEXT NOT NULL,
    loudness_lufs           REAL NOT NULL,
    removed_silence_seconds REAL NOT NULL
);
INSERT INTO new_replays
SELECT replay_id, live_id, title, geo_type, published_at, duration_seconds, storage_key, loudness_lufs, removed_silence_seconds
FROM replays;

DROP TABLE replays;
DROP TABLE replay_jobs;
DROP TABLE lives;
ALTER TABLE new_lives RENAME TO lives;
ALTER TABLE new_replay_jobs RENAME TO replay_jobs;
ALTER TABLE new_replays RENAME TO replays;

CREATE INDEX lives_started_at ON lives (started_at, live_id);
CREATE INDEX lives_state ON lives (state, started_at, live_id);
CREATE INDEX lives_creator_id ON lives (creator_id, started_at, live_id);
CREATE INDEX lives_zone_geo ON lives (zone_geo, started_at, live_id);
CREATE INDEX replay_jobs_opened_at ON replay_jobs (opened_at, live_id);
CREATE INDEX replay_jobs_state ON replay_jobs (state, opened_at, live_id);
CREATE INDEX replays_published_at ON replays (published_at, replay_id);

-- Tags, one a row, in the order in which lives are listed.
CREATE TABLE live_tags (
    tag        TEXT NOT NULL,
    started_at TEXT NOT NULL,
    live_id    TEXT NOT NULL REFERENCES lives (live_id) ON DELETE CASCADE,
    PRIMARY KEY (tag, started_at, live_id)
) WITHOUT ROWID;
INSERT OR IGNORE INTO live_tags SELECT value, started_at, live_id FROM lives, json_each(tags);

-- The words of titles, by live_no, without case and accents.
CREATE VIRTUAL TABLE live_titles USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3'
);
INSERT INTO live_titles (rowid, words)
SELECT live_no, replace(replace(replace(replace(title, 'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae') FROM lives;

-- +goose StatementBegin
CREATE TRIGGER lives_inserted AFTER INSERT ON lives BEGIN
    INSERT OR IGNORE INTO live_tags SELECT value, new.started_at, new.live_id FROM json_each(new.tags);
    INSERT INTO live_titles (rowid, words)
    VALUES (new.live_no, replace(replace(replace(replace(new.title, 'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'));
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER lives_described AFTER UPDATE OF live_no, live_id, title, started_at, tags ON lives BEGIN
    DELETE FROM live_tags WHERE live_id = old.live_id AND started_at = old.started_at AND tag IN (SELECT value FROM json_each(old.tags));
    INSERT OR IGNORE INTO live_tags SELECT value, new.started_at, new.live_id FROM json_each(new.tags);
    DELETE FROM live_titles WHERE rowid = old.live_no;
    INSERT INTO live_titles (rowid, words)
    VALUES (new.live_no, replace(replace(replace(replace(new.title, 'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'));
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER lives_deleted BEFORE DELETE ON lives BEGIN
    DELETE FROM live_tags WHERE live_id = old.live_id AND started_at = old.started_at AND tag IN (SELECT value FROM json_each(old.tags));
    DELETE FROM live_titles WHERE rowid = old.live_no;
END;
-- +goose StatementEnd

-- The audit log, in order of time: a day that is over 90 days ago is one stretch
-- of it. Events need not belong to a live of this catalog.
CREATE TABLE audit_events (
    at               TEXT NOT NULL,
    event_id         TEXT NOT NULL UNIQUE CHECK (event_id <> ''),
    kind             TEXT NOT NULL,
    live_id          TEXT NOT NULL,
    user_id          TEXT NOT NULL,
    zone_geo         TEXT NOT NULL,
    latitude         REAL,
    longitude        REAL,
    category         TEXT NOT NULL,
    listened_seconds REAL NOT NULL,
    duration_seconds REAL NOT NULL,
    packets_received INTEGER NOT NULL,
    packets_lost     INTEGER NOT NULL,
    visits           INTEGER NOT NULL,
    peak_listeners   INTEGER NOT NULL,
    likes            INTEGER NOT NULL,
    reports          INTEGER NOT NULL,
    PRIMARY KEY (at, event_id),
    CHECK ((latitude IS NULL) = (longitude IS NULL))
) WITHOUT ROWID;
CREATE INDEX audit_events_live_id ON audit_events (live_id, at, event_id);
CREATE INDEX audit_events_user_id ON audit_events (user_id, at, event_id);
CREATE INDEX audit_events_reactions ON audit_events (live_id, kind, user_id) WHERE kind IN ('like', 'report');

CREATE TABLE counter_samples (
    live_id   TEXT NOT NULL,
    at        TEXT NOT NULL,
    listeners INTEGER NOT NULL,
    likes     INTEGER NOT NULL,
    reports   INTEGER NOT NULL,
    visits    INTEGER NOT NULL,
    PRIMARY KEY (live_id, at)
) WITHOUT ROWID;

CREATE TABLE chores (
    name        TEXT NOT NULL,
    day         TEXT NOT NULL,
    worker      TEXT NOT NULL,
    begun_at    TEXT NOT NULL,
    lease_until TEXT NOT NULL,
    finished_at TEXT,
    outcome     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (name, day)
) WITHOUT ROWID;

CREATE TABLE secrets (
    name   TEXT PRIMARY KEY,
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) WITHOUT ROWID;
