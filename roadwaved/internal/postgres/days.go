package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

const day = 24 * time.Hour

// partitionSuffix is what the name of the partition of a day ends with.
const partitionSuffix = "_20060102"

// days are the UTC days whose partitions are known to be there.
type days struct {
	mu    sync.Mutex
	known map[time.Time]bool
}

func (d *days) has(days []time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, day := range days {
		if !d.known[day] {
			return false
		}
	}
	return true
}

func (d *days) add(days []time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[time.Time]bool)
	}
	for _, day := range days {
		d.known[day] = true
	}
}

func (d *days) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}

// daysOf are the days on which events happened and the one after the last, so
// that at midnight nobody has to wait for a partition.
func daysOf(events []station.Event) []time.Time {
	var all []time.Time
	seen := make(map[time.Time]bool)
	var last time.Time
	for _, e := range events {
		d := e.At.UTC().Truncate(day)
		if !seen[d] {
			seen[d], all = true, append(all, d)
		}
		if d.After(last) {
			last = d
		}
	}
	if next := last.Add(day); len(all) > 0 && !seen[next] {
		all = append(all, next)
	}
	return all
}

// withDays runs f, which writes events, with the partitions of these days there,
// and tells of more days that it needs.
func (c *Catalog) withDays(ctx context.Context, needed []time.Time, f func() (more []time.Time, err error)) error {
	for tries := 0; ; tries++ {
		if !c.days.has(needed) {
			if err := c.makeDays(ctx, needed); err != nil {
				return err
			}
			c.days.add(needed)
		}
		more, err := f()
		if !noPartition(err) || tries == 2 {
			return err
		}
		c.days.forget() // another daemon dropped one
		needed = append(needed, more...)
	}
}

// noPartition tells that a row found no partition.
func noPartition(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "23514" && pe.ConstraintName == ""
}

// makeDays makes the partitions that are missing. Attached and not made in
// place, they keep nobody from reading and writing the others.
func (c *Catalog) makeDays(ctx context.Context, needed []time.Time) error {
	return c.write(ctx, func(tx pgx.Tx) error {
		// Daemons do this at the same moment, after midnight.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", partitionsLock); err != nil {
			return err
		}
		for _, d := range needed {
			if err := c.makeDay(ctx, tx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Catalog) makeDay(ctx context.Context, tx pgx.Tx, d time.Time) error {
	for _, table := range []string{"audit_ids", "audit_events"} {
		name := table + d.Format(partitionSuffix)
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		if _, err := tx.Exec(ctx, "CREATE TABLE "+name+" (LIKE "+table+" INCLUDING ALL)"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE "+table+" ATTACH PARTITION "+name+
			" FOR VALUES FROM ('"+bound(d)+"') TO ('"+bound(d.Add(day))+"')"); err != nil {
			return err
		}
		c.log.Debug("partition of the audit log added", "partition", name)
	}
	return nil
}

// partitionsLock is held while partitions are made.
const partitionsLock = 0x726f616477617665 // "roadwave"

func bound(d time.Time) string { return d.Format("2006-01-02 00:00:00+00") }
