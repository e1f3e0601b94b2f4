package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// An identity says which event one is, whenever it happened.
type identity struct{ live, event pgtype.UUID }

func identityOf(e station.Event) identity { return identity{liveOf(e), key(e.ID)} }

// liveOf is the live of an event in audit_lives and audit_ids: the uuid of zeros
// for those of none.
func liveOf(e station.Event) pgtype.UUID {
	live := key(e.LiveID)
	live.Valid = true
	return live
}

// distinct gives the first of the events with the same identity, sorted: what
// writes two batches with the same ones waits for one another in the same order.
func distinct(events []station.Event) []station.Event {
	seen := make(map[identity]bool, len(events))
	var rows []station.Event
	for _, e := range events {
		if id := identityOf(e); !seen[id] {
			seen[id], rows = true, append(rows, e)
		}
	}
	slices.SortFunc(rows, func(a, b station.Event) int {
		return cmp.Or(cmp.Compare(a.LiveID, b.LiveID), cmp.Compare(a.ID, b.ID))
	})
	return rows
}

// enroll keeps the ids of distinct events and gives those events that are not in
// the log at any time. Who writes the same id at the same moment waits for the
// end of tx.
func enroll(ctx context.Context, tx pgx.Tx, events []station.Event, homes map[pgtype.UUID]time.Time) ([]station.Event, error) {
	rows, err := tx.Query(ctx, `
		INSERT INTO audit_ids (day, live_id, event_id) SELECT * FROM unnest($1::date[], $2::uuid[], $3::uuid[])
		ON CONFLICT DO NOTHING RETURNING live_id, event_id`,
		column(events, func(e station.Event) time.Time { return homes[liveOf(e)] }),
		column(events, liveOf),
		column(events, func(e station.Event) pgtype.UUID { return key(e.ID) }))
	if err != nil {
		return nil, err
	}
	enrolled := make(map[identity]bool, len(events))
	var id identity
	if _, err := pgx.ForEachRow(rows, []any{&id.live, &id.event}, func() error {
		enrolled[id] = true
		return nil
	}); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(events), func(e station.Event) bool { return !enrolled[identityOf(e)] }), nil
}

// findHomes tells under which days the ids of lives are kept: for a live that is
// new to the log that of its first event.
func findHomes(ctx context.Context, tx pgx.Tx, events []station.Event) (map[pgtype.UUID]time.Time, error) {
	var lives []pgtype.UUID // in the order of events
	first := make(map[pgtype.UUID]time.Time)
	for _, e := range events {
		live, d := liveOf(e), e.At.UTC().Truncate(day)
		known, seen := first[live]
		if !seen {
			lives = append(lives, live)
		}
		if !seen || d.Before(known) {
			first[live] = d
		}
	}
	homes := make(map[pgtype.UUID]time.Time, len(lives))
	if err := readHomes(ctx, tx, lives, homes); err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(lives, func(live pgtype.UUID) bool { return !homes[live].IsZero() })
	if len(missing) == 0 {
		return homes, nil
	}
	_, err := tx.Exec(ctx, "INSERT INTO audit_lives (live_id, day) SELECT * FROM unnest($1::uuid[], $2::date[]) ON CONFLICT DO NOTHING",
		missing, column(missing, func(live pgtype.UUID) time.Time { return first[live] }))
	if err != nil {
		return nil, err
	}
	return homes, readHomes(ctx, tx, missing, homes) // another daemon may have been first
}

func readHomes(ctx context.Context, tx pgx.Tx, lives []pgtype.UUID, homes map[pgtype.UUID]time.Time) error {
	rows, err := tx.Query(ctx, "SELECT live_id, day FROM audit_lives WHERE live_id = ANY($1)", lives)
	if err != nil {
		return err
	}
	var live pgtype.UUID
	var d time.Time
	_, err = pgx.ForEachRow(rows, []any{&live, &d}, func() error {
		homes[live] = d
		return nil
	})
	return err
}
