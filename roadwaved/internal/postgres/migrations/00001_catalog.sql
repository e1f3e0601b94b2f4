-- Column names are those of the embedded catalog.

-- +goose Up

-- Text without accents, ligatures and punctuation. It uses nothing but what
-- every server has, by names that need no search path: no extension to ask an
-- administrator for, and a dump can be restored.
-- +goose StatementBegin
CREATE FUNCTION roadwave_plain(text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT pg_catalog.regexp_replace(
        pg_catalog.regexp_replace(
            pg_catalog.normalize(
                pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
                    $1, 'œ', 'oe'), 'Œ', 'oe'), 'æ', 'ae'), 'Æ', 'ae'), 'ß', 'ss'),
                'NFKD'),
            '[\u0300-\u036f]', '', 'g'),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u2bff\ufe00-\ufe0f\U0001f000-\U0001faff]+', ' ', 'g')
$$;
-- +goose StatementEnd

CREATE TABLE lives (
    live_id            uuid PRIMARY KEY,
    creator_id         text NOT NULL,
    title              text NOT NULL,
    started_at         timestamptz NOT NULL,
    zone_geo           text NOT NULL,
    tags               text[] NOT NULL,
    classification_age text NOT NULL,
    premium            boolean NOT NULL,
    state              text NOT NULL CHECK (state IN ('on_air', 'ended', 'lost')),
    node               text NOT NULL,
    ended_at           timestamptz,
    end_reason         text NOT NULL DEFAULT '',
    duration_seconds   double precision NOT NULL DEFAULT 0,
    packets_received   bigint NOT NULL DEFAULT 0,
    packets_lost       bigint NOT NULL DEFAULT 0,
    visits             bigint NOT NULL DEFAULT 0,
    peak_listeners     bigint NOT NULL DEFAULT 0,
    likes              bigint NOT NULL DEFAULT 0,
    reports            bigint NOT NULL DEFAULT 0,
    -- The words as they stand, which a search matches by how they begin, and
    -- their stems in French, so that "cheval" finds "chevaux".
    title_words        tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('pg_catalog.simple', roadwave_plain(title)) || to_tsvector('pg_catalog.french', roadwave_plain(title))
    ) STORED,
    CHECK ((state = 'on_air') = (ended_at IS NULL))
);
-- Every list is newest first, so each index ends with what lists are sorted by.
CREATE INDEX lives_started_at ON lives (started_at, live_id);
CREATE INDEX lives_creator_id ON lives (creator_id, started_at, live_id);
CREATE INDEX lives_zone_geo ON lives (zone_geo, started_at, live_id);
CREATE INDEX lives_tags ON lives USING gin (tags);
CREATE INDEX lives_title_words ON lives USING gin (title_words);
-- The rare states. Nearly all lives are 'ended': lives_started_at serves those.
CREATE INDEX lives_on_air ON lives (started_at, live_id) WHERE state = 'on_air';
CREATE INDEX lives_lost ON lives (started_at, live_id) WHERE state = 'lost';

CREATE TABLE replay_jobs (
    live_id     uuid PRIMARY KEY REFERENCES lives,
    node        text NOT NULL,
    priority    smallint NOT NULL,
    opened_at   timestamptz NOT NULL,
    state       text NOT NULL CHECK (state IN ('uploading', 'pending', 'running', 'done', 'empty', 'parked')),
    attempts    integer NOT NULL DEFAULT 0,
    fence       bigint NOT NULL DEFAULT 0,
    worker      text NOT NULL DEFAULT '',
    lease_until timestamptz,
    step        text NOT NULL DEFAULT '',
    progress    double precision NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT '',
    updated_at  timestamptz NOT NULL,
    CHECK ((state = 'running') = (lease_until IS NOT NULL))
);
CREATE INDEX replay_jobs_opened_at ON replay_jobs (opened_at, live_id);
CREATE INDEX replay_jobs_to_do ON replay_jobs (opened_at, live_id) WHERE state IN ('uploading', 'pending', 'running');
CREATE INDEX replay_jobs_parked ON replay_jobs (opened_at, live_id) WHERE state = 'parked';
CREATE INDEX replay_jobs_empty ON replay_jobs (opened_at, live_id) WHERE state = 'empty';

CREATE TABLE replays (
    replay_id               uuid PRIMARY KEY,
    live_id                 uuid NOT NULL UNIQUE REFERENCES lives,
    title                   text NOT NULL,
    geo_type                text NOT NULL,
    published_at            timestamptz NOT NULL,
    duration_seconds        double precision NOT NULL,
    storage_key             text NOT NULL,
    loudness_lufs           double precision NOT NULL,
    removed_silence_seconds double precision NOT NULL
);
CREATE INDEX replays_published_at ON replays (published_at, replay_id);

-- One row per live and minute: about 150 bytes with its index, 20 MB a day with
-- a hundred lives on air all day.
CREATE TABLE counter_samples (
    live_id   uuid NOT NULL,
    at        timestamptz NOT NULL,
    listeners bigint NOT NULL,
    likes     bigint NOT NULL,
    reports   bigint NOT NULL,
    visits    bigint NOT NULL,
    PRIMARY KEY (live_id, at)
);
-- For questions over all lives; rows come in the order of time, so it stays tiny.
CREATE INDEX counter_samples_at ON counter_samples USING brin (at);

-- The audit log. Its partitions are the UTC days, named audit_events_20060102;
-- the program makes them before it needs them and drops them after 90 days.
-- Nothing in here refers to another table, and no CHECK could refuse what has
-- happened.
CREATE TABLE audit_events (
    event_id         uuid NOT NULL,
    at               timestamptz NOT NULL,
    kind             text NOT NULL,
    live_id          uuid,
    user_id          text NOT NULL,
    zone_geo         text NOT NULL,
    latitude         double precision,
    longitude        double precision,
    category         text NOT NULL,
    listened_seconds double precision NOT NULL,
    duration_seconds double precision NOT NULL,
    packets_received bigint NOT NULL,
    packets_lost     bigint NOT NULL,
    visits           bigint NOT NULL,
    peak_listeners   bigint NOT NULL,
    likes            bigint NOT NULL,
    reports          bigint NOT NULL,
    PRIMARY KEY (at, event_id)
) PARTITION BY RANGE (at);
CREATE INDEX audit_events_live_id ON audit_events (live_id, at, event_id);
CREATE INDEX audit_events_user_id ON audit_events (user_id, at, event_id) WHERE user_id <> '';
-- What moderators and billing ask for; the rest is nearly all of the log.
CREATE INDEX audit_events_rare ON audit_events (kind, at, event_id) WHERE kind IN ('live_start', 'live_end', 'report');

-- Which events there are. One is the same whenever it is said to have happened,
-- and an index over all partitions of the log cannot tell. The ids of a live are
-- all in one partition, named audit_ids_20060102: that of the day on which its
-- first event happened. It goes when the events of that day go.
CREATE TABLE audit_lives (
    live_id uuid PRIMARY KEY, -- zeros for events of no live
    day     date NOT NULL
);
CREATE TABLE audit_ids (
    day      date NOT NULL,
    live_id  uuid NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (live_id, event_id, day)
) PARTITION BY RANGE (day);

CREATE TABLE chores (
    name        text NOT NULL,
    day         text NOT NULL,
    worker      text NOT NULL,
    begun_at    timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    finished_at timestamptz,
    outcome     text NOT NULL DEFAULT '',
    PRIMARY KEY (name, day)
);

CREATE TABLE secrets (
    name   text PRIMARY KEY,
    secret bytea NOT NULL CHECK (length(secret) = 32)
);
