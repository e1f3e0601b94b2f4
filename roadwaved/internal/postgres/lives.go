package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const liveColumns = `live_id, creator_id, title, started_at, zone_geo, tags, classification_age, premium, state, node,
	ended_at, end_reason, duration_seconds, packets_received, packets_lost, visits, peak_listeners, likes, reports`

var liveStates = []station.LiveState{station.OnAir, station.Ended, station.Lost}

func scanLive(row pgx.CollectableRow) (station.Live, error) {
	var l station.Live
	var seconds float64
	var ended *time.Time
	err := row.Scan(&l.ID, &l.CreatorID, &l.Title, &l.StartedAt, &l.ZoneGeo, &l.Tags, &l.ClassificationAge, &l.Premium, &l.State, &l.Node,
		&ended, &l.EndReason, &seconds, &l.Stats.Packets, &l.Stats.Lost,
		&l.Stats.Visits, &l.Stats.PeakListeners, &l.Stats.Likes, &l.Stats.Reports)
	l.StartedAt, l.EndedAt, l.Stats.Duration = l.StartedAt.UTC(), moment(ended), duration(seconds)
	return l, err
}

// StartLive implements [station.Lives].
func (c *Catalog) StartLive(ctx context.Context, l station.Live) error {
	k := key(l.ID)
	if !k.Valid {
		return fmt.Errorf("postgres: starting live %q: that is no uuid in lower case", l.ID)
	}
	_, err := c.pool.Exec(ctx, `
		INSERT INTO lives (live_id, creator_id, title, started_at, zone_geo, tags, classification_age, premium, state, node)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		k, l.CreatorID, l.Title, stamp(l.StartedAt), l.ZoneGeo, append([]string{}, l.Tags...), l.ClassificationAge, l.Premium,
		station.OnAir, l.Node)
	return c.wrap(err, "starting live %s", l.ID)
}

// EndLive implements [station.Lives].
func (c *Catalog) EndLive(ctx context.Context, id string, e station.End) error {
	err := c.write(ctx, func(tx pgx.Tx) error {
		var node string
		var premium bool
		err := tx.QueryRow(ctx, `
			UPDATE lives SET state = $1, ended_at = $2, end_reason = $3, duration_seconds = $4, packets_received = $5, packets_lost = $6,
				visits = $7, peak_listeners = $8, likes = $9, reports = $10
			WHERE live_id = $11 AND state = $12 RETURNING node, premium`,
			e.State, stamp(e.At), e.Reason, e.Stats.Duration.Seconds(), e.Stats.Packets, e.Stats.Lost,
			e.Stats.Visits, e.Stats.PeakListeners, e.Stats.Likes, e.Stats.Reports, key(id), station.OnAir).Scan(&node, &premium)
		if errors.Is(err, pgx.ErrNoRows) {
			var known int
			return tx.QueryRow(ctx, "SELECT 1 FROM lives WHERE live_id = $1", key(id)).Scan(&known)
		}
		if err != nil {
			return err
		}
		priority := station.PriorityNormal
		if premium {
			priority = station.PriorityHigh
		}
		_, err = tx.Exec(ctx, "INSERT INTO replay_jobs (live_id, node, priority, opened_at, state, updated_at) VALUES ($1, $2, $3, $4, $5, $4)",
			key(id), node, priority, stamp(e.At), station.JobUploading)
		return err
	})
	return c.wrap(err, "ending live %s", id)
}

// Live implements [station.Lives].
func (c *Catalog) Live(ctx context.Context, id string) (station.Live, error) {
	l, err := one(ctx, c, scanLive, "SELECT "+liveColumns+" FROM lives WHERE live_id = $1", key(id))
	return l, c.wrap(err, "live %s", id)
}

// ListLives implements [station.Lives]. Of the text it takes the first 16
// words; it finds other forms of them, too: "cheval" finds "chevaux".
func (c *Catalog) ListLives(ctx context.Context, q station.LiveQuery) ([]station.Live, error) {
	var f filter
	if q.State != "" {
		among(&f, "state", liveStates, []station.LiveState{q.State})
	}
	if q.Node != "" {
		f.and("node = ?", text(q.Node))
	}
	if q.CreatorID != "" {
		f.and("creator_id = ?", text(q.CreatorID))
	}
	if q.ZoneGeo != "" {
		f.and("zone_geo = ?", text(q.ZoneGeo))
	}
	if q.Tag != "" {
		f.and("tags @> ARRAY[?]", text(q.Tag))
	}
	for _, word := range searched(q.Text) {
		f.and(titleHas(f.arg(word)))
	}
	if !q.Since.IsZero() {
		f.and("started_at >= ?", stamp(q.Since))
	}
	if !q.Before.IsZero() {
		f.and("(started_at, live_id) < (?, ?)", stamp(q.Before), cursor(q.BeforeID))
	}
	sql := "SELECT " + liveColumns + " FROM lives" + f.where() + " ORDER BY started_at DESC, live_id DESC LIMIT " + f.arg(station.PageSize(q.Limit))
	lives, err := list(ctx, c, scanLive, sql, f.args...)
	return lives, c.wrap(err, "listing lives")
}
