package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const eventColumns = `event_id, at, kind, live_id, user_id, zone_geo, latitude, longitude, category, listened_seconds,
	duration_seconds, packets_received, packets_lost, visits, peak_listeners, likes, reports`

func scanEvent(row pgx.CollectableRow) (station.Event, error) {
	var e station.Event
	var live *string
	var lat, lon *float64
	var listened, seconds float64
	err := row.Scan(&e.ID, &e.At, &e.Kind, &live, &e.UserID, &e.ZoneGeo, &lat, &lon, &e.Category, &listened,
		&seconds, &e.Stats.Packets, &e.Stats.Lost, &e.Stats.Visits, &e.Stats.PeakListeners, &e.Stats.Likes, &e.Stats.Reports)
	e.At, e.Listened, e.Stats.Duration = e.At.UTC(), duration(listened), duration(seconds)
	if live != nil {
		e.LiveID = *live
	}
	if lat != nil && lon != nil {
		e.Position = &station.Position{Lat: *lat, Lon: *lon}
	}
	return e, err
}

// Record implements [station.Records]. Ids must be uuids.
//
// Whoever writes locks audit_lives, audit_ids, audit_events and counter_samples
// in this order.
func (c *Catalog) Record(ctx context.Context, events []station.Event, samples []station.Sample) error {
	for _, e := range events {
		if !key(e.ID).Valid || (e.LiveID != "" && !key(e.LiveID).Valid) {
			return fmt.Errorf("postgres: event %q of live %q: ids must be uuids in lower case", e.ID, e.LiveID)
		}
	}
	sampleArgs, err := sampleArrays(samples)
	if err != nil {
		return err
	}
	rows := distinct(events)
	err = c.withDays(ctx, daysOf(events), func() (homes []time.Time, err error) {
		return homes, c.write(ctx, func(tx pgx.Tx) error {
			if homes, err = recordEvents(ctx, tx, rows); err != nil || len(samples) == 0 {
				return err
			}
			_, err := tx.Exec(ctx, insertSamples, sampleArgs...)
			return err
		})
	})
	return c.wrap(err, "recording %d events and %d samples", len(events), len(samples))
}

// recordEvents writes those of distinct events that are new, and tells under
// which days the ids of their lives are.
func recordEvents(ctx context.Context, tx pgx.Tx, events []station.Event) (days []time.Time, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	homes, err := findHomes(ctx, tx, events)
	if err != nil {
		return nil, err
	}
	days = slices.Collect(maps.Values(homes))
	events, err = enroll(ctx, tx, events, homes)
	if err != nil || len(events) == 0 {
		return days, err
	}
	_, err = tx.Exec(ctx, insertEvents, eventArrays(events)...)
	return days, err
}

// Rows go in by columns, one array each: one round trip and one plan for a whole
// batch. They come sorted, so that two batches with the same rows wait for one
// another instead of blocking one another. An event that is there already though
// nothing knows its id any more is left as it is.
const (
	insertEvents = `
		INSERT INTO audit_events (` + eventColumns + `)
		SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::text[], $6::text[],
			$7::double precision[], $8::double precision[], $9::text[], $10::double precision[],
			$11::double precision[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])
		ON CONFLICT DO NOTHING`
	insertSamples = `
		INSERT INTO counter_samples (live_id, at, listeners, likes, reports, visits)
		SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
		ON CONFLICT (live_id, at) DO UPDATE
		SET listeners = excluded.listeners, likes = excluded.likes, reports = excluded.reports, visits = excluded.visits`
)

// eventArrays are the arguments of insertEvents.
func eventArrays(events []station.Event) []any {
	rows := slices.SortedFunc(slices.Values(events), func(a, b station.Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	return []any{
		column(rows, func(e station.Event) pgtype.UUID { return key(e.ID) }),
		column(rows, func(e station.Event) time.Time { return e.At.UTC().Truncate(time.Microsecond) }),
		column(rows, func(e station.Event) string { return text(string(e.Kind)) }),
		column(rows, func(e station.Event) pgtype.UUID { return key(e.LiveID) }),
		column(rows, func(e station.Event) string { return text(e.UserID) }),
		column(rows, func(e station.Event) string { return text(e.ZoneGeo) }),
		column(rows, func(e station.Event) *float64 { return latitude(e.Position) }),
		column(rows, func(e station.Event) *float64 { return longitude(e.Position) }),
		column(rows, func(e station.Event) string { return text(e.Category) }),
		column(rows, func(e station.Event) float64 { return e.Listened.Seconds() }),
		column(rows, func(e station.Event) float64 { return e.Stats.Duration.Seconds() }),
		column(rows, func(e station.Event) int64 { return e.Stats.Packets }),
		column(rows, func(e station.Event) int64 { return e.Stats.Lost }),
		column(rows, func(e station.Event) int64 { return e.Stats.Visits }),
		column(rows, func(e station.Event) int64 { return e.Stats.PeakListeners }),
		column(rows, func(e station.Event) int64 { return e.Stats.Likes }),
		column(rows, func(e station.Event) int64 { return e.Stats.Reports }),
	}
}

// sampleArrays are the arguments of insertSamples. Of samples with the same
// identity the last counts.
func sampleArrays(samples []station.Sample) ([]any, error) {
	type identity struct {
		live string
		at   time.Time
	}
	last := make(map[identity]station.Sample, len(samples))
	for _, s := range samples {
		if !key(s.LiveID).Valid {
			return nil, fmt.Errorf("postgres: a sample of live %q: ids must be uuids in lower case", s.LiveID)
		}
		s.At = s.At.UTC().Truncate(time.Second)
		last[identity{s.LiveID, s.At}] = s
	}
	rows := slices.SortedFunc(maps.Values(last), func(a, b station.Sample) int {
		return cmp.Or(cmp.Compare(a.LiveID, b.LiveID), a.At.Compare(b.At))
	})
	return []any{
		column(rows, func(s station.Sample) pgtype.UUID { return key(s.LiveID) }),
		column(rows, func(s station.Sample) time.Time { return s.At }),
		column(rows, func(s station.Sample) int64 { return s.Listeners }),
		column(rows, func(s station.Sample) int64 { return s.Likes }),
		column(rows, func(s station.Sample) int64 { return s.Reports }),
		column(rows, func(s station.Sample) int64 { return s.Visits }),
	}, nil
}

func latitude(p *station.Position) *float64 {
	if p == nil {
		return nil
	}
	return &p.Lat
}

func longitude(p *station.Position) *float64 {
	if p == nil {
		return nil
	}
	return &p.Lon
}

// column makes the array of one column.
func column[R, V any](rows []R, value func(R) V) []V {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = value(row)
	}
	return values
}

// ListEvents implements [station.Records].
func (c *Catalog) ListEvents(ctx context.Context, q station.EventQuery) ([]station.Event, error) {
	var f filter
	if q.LiveID != "" {
		f.and("live_id = ?", key(q.LiveID))
	}
	if q.UserID != "" {
		f.and("user_id = ? AND user_id <> ''", text(q.UserID))
	}
	if q.Kind != "" {
		f.and("kind = ?", text(string(q.Kind)))
	}
	if !q.Since.IsZero() {
		f.and("at >= ?", stamp(q.Since))
	}
	if !q.Until.IsZero() {
		f.and("at < ?", stamp(q.Until))
	}
	if !q.After.IsZero() {
		// The first half alone tells which partitions are not needed.
		f.and("at >= ? AND (at, event_id) > (?, ?)", stamp(q.After), stamp(q.After), cursor(q.AfterID))
	}
	select {
	case c.audits <- struct{}{}:
		defer func() { <-c.audits }()
	case <-ctx.Done():
		return nil, c.wrap(ctx.Err(), "listing events")
	}
	sql := "SELECT " + eventColumns + " FROM audit_events" + f.where() + " ORDER BY at, event_id LIMIT " + f.arg(station.PageSize(q.Limit))
	events, err := list(ctx, c, scanEvent, sql, f.args...)
	return events, c.wrap(err, "listing events")
}

// ListSamples implements [station.Records].
func (c *Catalog) ListSamples(ctx context.Context, liveID string) ([]station.Sample, error) {
	samples, err := list(ctx, c, func(row pgx.CollectableRow) (station.Sample, error) {
		s := station.Sample{LiveID: liveID}
		err := row.Scan(&s.At, &s.Listeners, &s.Likes, &s.Reports, &s.Visits)
		s.At = s.At.UTC()
		return s, err
	}, "SELECT at, listeners, likes, reports, visits FROM counter_samples WHERE live_id = $1 ORDER BY at", key(liveID))
	return samples, c.wrap(err, "listing the samples of live %s", liveID)
}

// Reactors implements [station.Records].
func (c *Catalog) Reactors(ctx context.Context, liveID string, r station.Reaction) ([]string, error) {
	// Nobody reacts to a live before it starts: with that, and a day for clocks
	// that disagree, one partition or two are read instead of all of them.
	var since *time.Time
	l, err := c.Live(ctx, liveID)
	switch {
	case err == nil:
		since = stamp(l.StartedAt.Add(-day))
	case !errors.Is(err, station.ErrNotFound):
		return nil, err
	}
	var f filter
	f.and("live_id = ?", key(liveID))
	f.and("kind = ?", string(r))
	if since != nil {
		f.and("at >= ?", since)
	}
	users, err := list(ctx, c, pgx.RowTo[string], "SELECT DISTINCT user_id FROM audit_events"+f.where()+" ORDER BY user_id", f.args...)
	return users, c.wrap(err, "listing who sent a %s to live %s", r, liveID)
}
