package sqlite

import (
	"context"
	"fmt"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const replayColumns = `replay_id, live_id, title, geo_type, published_at, duration_seconds, storage_key, loudness_lufs,
	removed_silence_seconds`

func scanReplay(r row) (station.Replay, error) {
	var p station.Replay
	err := r.Scan(&p.ID, &p.LiveID, &p.Title, &p.GeoType, timeColumn{&p.PublishedAt}, secondsColumn{&p.Duration}, &p.Key, &p.Loudness,
		secondsColumn{&p.Removed})
	return p, err
}

// Replay implements [station.Replays].
func (c *Catalog) Replay(ctx context.Context, id string) (station.Replay, error) {
	return c.replay(ctx, "replay_id", id)
}

// ReplayOf implements [station.Replays].
func (c *Catalog) ReplayOf(ctx context.Context, liveID string) (station.Replay, error) {
	return c.replay(ctx, "live_id", liveID)
}

func (c *Catalog) replay(ctx context.Context, column, id string) (station.Replay, error) {
	p, err := scanReplay(c.reader.QueryRowContext(ctx, "SELECT "+replayColumns+" FROM replays WHERE "+column+" = ?", id))
	if err != nil {
		return station.Replay{}, fmt.Errorf("sqlite: replay with %s %s: %w", column, id, missing(err))
	}
	return p, nil
}

// ListReplays implements [station.Replays].
func (c *Catalog) ListReplays(ctx context.Context, q station.ReplayQuery) ([]station.Replay, error) {
	var f filter
	if !q.Before.IsZero() {
		f.add("(published_at, replay_id) < (?, ?)", stamp(q.Before), q.BeforeID)
	}
	rows, err := c.reader.QueryContext(ctx, "SELECT "+replayColumns+" FROM replays"+f.where()+
		" ORDER BY published_at DESC, replay_id DESC LIMIT ?", f.with(station.PageSize(q.Limit))...)
	replays, err := collect(rows, err, scanReplay)
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing replays: %w", later(err))
	}
	return replays, nil
}
