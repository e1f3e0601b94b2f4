package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const liveColumns = `lives.live_id, creator_id, title, lives.started_at, zone_geo, tags, classification_age, premium, state, node,
	ended_at, end_reason, duration_seconds, packets_received, packets_lost, visits, peak_listeners, likes, reports`

func scanLive(r row) (station.Live, error) {
	var l station.Live
	var tags string
	err := r.Scan(&l.ID, &l.CreatorID, &l.Title, timeColumn{&l.StartedAt}, &l.ZoneGeo, &tags, &l.ClassificationAge, &l.Premium, &l.State, &l.Node,
		timeColumn{&l.EndedAt}, &l.EndReason, secondsColumn{&l.Stats.Duration}, &l.Stats.Packets, &l.Stats.Lost,
		&l.Stats.Visits, &l.Stats.PeakListeners, &l.Stats.Likes, &l.Stats.Reports)
	if err != nil {
		return station.Live{}, err
	}
	if err := json.Unmarshal([]byte(tags), &l.Tags); err != nil {
		return station.Live{}, fmt.Errorf("tags of live %s: %w", l.ID, err)
	}
	return l, nil
}

// StartLive implements [station.Lives].
func (c *Catalog) StartLive(ctx context.Context, l station.Live) error {
	tags, err := json.Marshal(append([]string{}, l.Tags...))
	if err != nil {
		return fmt.Errorf("sqlite: tags of live %s: %w", l.ID, err)
	}
	_, err = c.writer.ExecContext(ctx, `
		INSERT INTO lives (live_id, creator_id, title, started_at, zone_geo, tags, classification_age, premium, state, node)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.ID, l.CreatorID, l.Title, stamp(l.StartedAt), l.ZoneGeo, string(tags), l.ClassificationAge, l.Premium, station.OnAir, l.Node)
	if err != nil {
		return fmt.Errorf("sqlite: starting live %s: %w", l.ID, later(err))
	}
	return nil
}

// EndLive implements [station.Lives].
func (c *Catalog) EndLive(ctx context.Context, id string, e station.End) error {
	err := c.write(ctx, func(tx *sql.Tx) error {
		ended, err := changed(ctx, tx, `
			UPDATE lives SET state = ?, ended_at = ?, end_reason = ?, duration_seconds = ?, packets_received = ?, packets_lost = ?,
				visits = ?, peak_listeners = ?, likes = ?, reports = ?
			WHERE live_id = ? AND state = ?`,
			e.State, stamp(e.At), e.Reason, e.Stats.Duration.Seconds(), e.Stats.Packets, e.Stats.Lost,
			e.Stats.Visits, e.Stats.PeakListeners, e.Stats.Likes, e.Stats.Reports, id, station.OnAir)
		if err != nil {
			return err
		}
		if !ended {
			var found int
			return missing(tx.QueryRowContext(ctx, "SELECT 1 FROM lives WHERE live_id = ?", id).Scan(&found))
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO replay_jobs (live_id, node, priority, opened_at, state, updated_at)
			SELECT live_id, node, CASE WHEN premium THEN ? ELSE ? END, ended_at, ?, ended_at FROM lives WHERE live_id = ?`,
			station.PriorityHigh, station.PriorityNormal, station.JobUploading, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: ending live %s: %w", id, err)
	}
	return nil
}

// Live implements [station.Lives].
func (c *Catalog) Live(ctx context.Context, id string) (station.Live, error) {
	l, err := scanLive(c.reader.QueryRowContext(ctx, "SELECT "+liveColumns+" FROM lives WHERE live_id = ?", id))
	if err != nil {
		return station.Live{}, fmt.Errorf("sqlite: live %s: %w", id, missing(err))
	}
	return l, nil
}
