package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const liveColumns = `live_id, creator_id, title, started_at, zone_geo, tags, classification_age, state, node,
	ended_at, end_reason, duration_seconds, packets_received, packets_lost`

func scanLive(r row) (station.Live, error) {
	var l station.Live
	var tags string
	err := r.Scan(&l.ID, &l.CreatorID, &l.Title, timeColumn{&l.StartedAt}, &l.ZoneGeo, &tags, &l.ClassificationAge, &l.State, &l.Node,
		timeColumn{&l.EndedAt}, &l.EndReason, secondsColumn{&l.Stats.Duration}, &l.Stats.Packets, &l.Stats.Lost)
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
		INSERT INTO lives (live_id, creator_id, title, started_at, zone_geo, tags, classification_age, state, node)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.ID, l.CreatorID, l.Title, stamp(l.StartedAt), l.ZoneGeo, string(tags), l.ClassificationAge, station.OnAir, l.Node)
	if err != nil {
		return fmt.Errorf("sqlite: starting live %s: %w", l.ID, err)
	}
	return nil
}

// EndLive implements [station.Lives].
func (c *Catalog) EndLive(ctx context.Context, id string, e station.End) error {
	err := c.write(ctx, func(tx *sql.Tx) error {
		ended, err := changed(ctx, tx, `
			UPDATE lives SET state = ?, ended_at = ?, end_reason = ?, duration_seconds = ?, packets_received = ?, packets_lost = ?
			WHERE live_id = ? AND state = ?`,
			e.State, stamp(e.At), e.Reason, e.Stats.Duration.Seconds(), e.Stats.Packets, e.Stats.Lost, id, station.OnAir)
		if err != nil {
			return err
		}
		if !ended {
			var found int
			return missing(tx.QueryRowContext(ctx, "SELECT 1 FROM lives WHERE live_id = ?", id).Scan(&found))
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO replay_jobs (live_id, opened_at, state, updated_at) VALUES (?, ?, ?, ?)",
			id, stamp(e.At), station.JobPending, stamp(e.At))
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

// ListLives implements [station.Lives].
func (c *Catalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	var conditions []string
	var args []any
	if q.State != "" {
		conditions, args = append(conditions, "state = ?"), append(args, q.State)
	}
	if q.Node != "" {
		conditions, args = append(conditions, "node = ?"), append(args, q.Node)
	}
	if !q.Before.IsZero() {
		conditions, args = append(conditions, "(started_at, live_id) < (?, ?)"), append(args, stamp(q.Before), q.BeforeID)
	}
	args = append(args, station.PageSize(q.Limit))
	rows, err := c.reader.QueryContext(ctx,
		"SELECT "+liveColumns+" FROM lives"+where(conditions)+" ORDER BY started_at DESC, live_id DESC LIMIT ?", args...)
	lives, err := collect(rows, err, scanLive)
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing lives: %w", err)
	}
	return lives, nil
}
