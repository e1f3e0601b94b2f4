package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const replayColumns = `replay_id, live_id, title, geo_type, published_at, duration_seconds, storage_key, loudness_lufs,
	removed_silence_seconds`

func scanReplay(row pgx.CollectableRow) (station.Replay, error) {
	var r station.Replay
	var seconds, removed float64
	err := row.Scan(&r.ID, &r.LiveID, &r.Title, &r.GeoType, &r.PublishedAt, &seconds, &r.Key, &r.Loudness, &removed)
	r.PublishedAt, r.Duration, r.Removed = r.PublishedAt.UTC(), duration(seconds), duration(removed)
	return r, err
}

// Replay implements [station.Replays].
func (c *Catalog) Replay(ctx context.Context, id string) (station.Replay, error) {
	r, err := one(ctx, c, scanReplay, "SELECT "+replayColumns+" FROM replays WHERE replay_id = $1", key(id))
	return r, c.wrap(err, "replay %s", id)
}

// ReplayOf implements [station.Replays].
func (c *Catalog) ReplayOf(ctx context.Context, liveID string) (station.Replay, error) {
	r, err := one(ctx, c, scanReplay, "SELECT "+replayColumns+" FROM replays WHERE live_id = $1", key(liveID))
	return r, c.wrap(err, "replay of live %s", liveID)
}

// ListReplays implements [station.Replays].
func (c *Catalog) ListReplays(ctx context.Context, q station.ReplayQuery) ([]station.Replay, error) {
	var f filter
	if !q.Before.IsZero() {
		f.and("(published_at, replay_id) < (?, ?)", stamp(q.Before), cursor(q.BeforeID))
	}
	sql := "SELECT " + replayColumns + " FROM replays" + f.where() + " ORDER BY published_at DESC, replay_id DESC LIMIT " +
		f.arg(station.PageSize(q.Limit))
	replays, err := list(ctx, c, scanReplay, sql, f.args...)
	return replays, c.wrap(err, "listing replays")
}
