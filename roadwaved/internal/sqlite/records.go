package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const eventColumns = `at, event_id, kind, live_id, user_id, zone_geo, latitude, longitude, category, listened_seconds,
	duration_seconds, packets_received, packets_lost, visits, peak_listeners, likes, reports`

func scanEvent(r row) (station.Event, error) {
	var e station.Event
	var lat, lon sql.NullFloat64
	err := r.Scan(timeColumn{&e.At}, &e.ID, &e.Kind, &e.LiveID, &e.UserID, &e.ZoneGeo, &lat, &lon, &e.Category, secondsColumn{&e.Listened},
		secondsColumn{&e.Stats.Duration}, &e.Stats.Packets, &e.Stats.Lost,
		&e.Stats.Visits, &e.Stats.PeakListeners, &e.Stats.Likes, &e.Stats.Reports)
	if lat.Valid {
		e.Position = &station.Position{Lat: lat.Float64, Lon: lon.Float64}
	}
	return e, err
}

const sampleColumns = "live_id, at, listeners, likes, reports, visits"

func scanSample(r row) (station.Sample, error) {
	var s station.Sample
	err := r.Scan(&s.LiveID, timeColumn{&s.At}, &s.Listeners, &s.Likes, &s.Reports, &s.Visits)
	return s, err
}

// Record implements [station.Records].
func (c *Catalog) Record(ctx context.Context, events []station.Event, samples []station.Sample) error {
	err := c.write(ctx, func(tx *sql.Tx) error {
		if err := insertEvents(ctx, tx, events); err != nil {
			return err
		}
		return insertSamples(ctx, tx, samples)
	})
	if err != nil {
		return fmt.Errorf("sqlite: recording %d events and %d samples: %w", len(events), len(samples), err)
	}
	return nil
}

func insertEvents(ctx context.Context, tx *sql.Tx, events []station.Event) error {
	if len(events) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO audit_events ("+eventColumns+
		") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, e := range events {
		var lat, lon sql.NullFloat64
		if e.Position != nil {
			lat, lon = sql.NullFloat64{Float64: e.Position.Lat, Valid: true}, sql.NullFloat64{Float64: e.Position.Lon, Valid: true}
		}
		_, err := insert.ExecContext(ctx, stamp(e.At), e.ID, e.Kind, e.LiveID, e.UserID, e.ZoneGeo, lat, lon, e.Category, e.Listened.Seconds(),
			e.Stats.Duration.Seconds(), e.Stats.Packets, e.Stats.Lost,
			e.Stats.Visits, e.Stats.PeakListeners, e.Stats.Likes, e.Stats.Reports)
		if err != nil {
			return fmt.Errorf("event %q: %w", e.ID, err)
		}
	}
	return nil
}

func insertSamples(ctx context.Context, tx *sql.Tx, samples []station.Sample) error {
	for _, s := range samples {
		_, err := tx.ExecContext(ctx, "INSERT INTO counter_samples ("+sampleColumns+`) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET listeners = excluded.listeners, likes = excluded.likes, reports = excluded.reports, visits = excluded.visits`,
			s.LiveID, stamp(s.At.Truncate(time.Second)), s.Listeners, s.Likes, s.Reports, s.Visits)
		if err != nil {
			return fmt.Errorf("sample of live %s: %w", s.LiveID, err)
		}
	}
	return nil
}

// ListEvents implements [station.Records].
func (c *Catalog) ListEvents(ctx context.Context, q station.EventQuery) ([]station.Event, error) {
	var f filter
	f.equal("live_id", q.LiveID)
	f.equal("user_id", q.UserID)
	f.equal("kind", string(q.Kind))
	if !q.Since.IsZero() {
		f.add("at >= ?", stamp(q.Since))
	}
	if !q.Until.IsZero() {
		f.add("at < ?", stamp(q.Until))
	}
	if !q.After.IsZero() {
		f.add("(at, event_id) > (?, ?)", stamp(q.After), q.AfterID)
	}
	rows, err := c.reader.QueryContext(ctx,
		"SELECT "+eventColumns+" FROM audit_events"+f.where()+" ORDER BY at, event_id LIMIT ?", f.with(station.PageSize(q.Limit))...)
	events, err := collect(rows, err, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing events: %w", later(err))
	}
	return events, nil
}

// ListSamples implements [station.Records].
func (c *Catalog) ListSamples(ctx context.Context, liveID string) ([]station.Sample, error) {
	rows, err := c.reader.QueryContext(ctx, "SELECT "+sampleColumns+" FROM counter_samples WHERE live_id = ? ORDER BY at", liveID)
	samples, err := collect(rows, err, scanSample)
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing samples of live %s: %w", liveID, later(err))
	}
	return samples, nil
}

// reactorsQuery spells the two kinds out for the index that holds no others.
const reactorsQuery = "SELECT DISTINCT user_id FROM audit_events WHERE live_id = ? AND kind = ? AND kind IN ('like', 'report') ORDER BY user_id"

// Reactors implements [station.Records].
func (c *Catalog) Reactors(ctx context.Context, liveID string, r station.Reaction) ([]string, error) {
	rows, err := c.reader.QueryContext(ctx, reactorsQuery, liveID, r)
	users, err := collect(rows, err, func(r row) (user string, err error) {
		err = r.Scan(&user)
		return user, err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: listing who reacted to live %s: %w", liveID, later(err))
	}
	return users, nil
}

// forgetBatch is how many events are deleted in one transaction: a live that
// starts meanwhile waits for no more than that.
const forgetBatch = 5000

// ForgetEvents implements [station.Records]. It deletes the oldest first, in
// several transactions; cut short, it has done that much.
func (c *Catalog) ForgetEvents(ctx context.Context, before time.Time, dryRun bool) (int64, error) {
	midnight := stamp(before.UTC().Truncate(24 * time.Hour))
	var total int64
	if dryRun {
		err := c.reader.QueryRowContext(ctx, "SELECT count(*) FROM audit_events WHERE at < ?", midnight).Scan(&total)
		if err != nil {
			return 0, fmt.Errorf("sqlite: counting old events: %w", later(err))
		}
		return total, nil
	}
	for {
		var n int64
		err := c.write(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM audit_events WHERE (at, event_id) IN (
				SELECT at, event_id FROM audit_events WHERE at < ? ORDER BY at, event_id LIMIT ?)`, midnight, forgetBatch)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return total, fmt.Errorf("sqlite: deleting old events: %w", err)
		}
		if total += n; n < forgetBatch {
			return total, nil
		}
	}
}
