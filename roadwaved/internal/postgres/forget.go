package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ForgetEvents implements [station.Records]. It drops the partitions of each
// day, which takes no longer for many events than for few, and gives the disk
// its space back. While somebody reads the log (a copy that is being made) it
// does not wait: that is an error that says who.
func (c *Catalog) ForgetEvents(ctx context.Context, before time.Time, dryRun bool) (int64, error) {
	names, err := c.partitions(ctx)
	if err != nil {
		return 0, c.wrap(err, "listing the partitions of the audit log")
	}
	var total int64
	for _, name := range names {
		d, err := time.Parse("audit_events"+partitionSuffix, name)
		if err != nil || d.Add(day).After(before) {
			continue
		}
		n, err := c.forgetDay(ctx, d, dryRun)
		total += n
		if err != nil {
			return total, c.wrap(c.inTheWay(ctx, d, err), "dropping %s", name)
		}
	}
	return total, nil
}

// partitions are those of the audit log, the oldest first.
func (c *Catalog) partitions(ctx context.Context) ([]string, error) {
	return list(ctx, c, pgx.RowTo[string], `
		SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'audit_events'::regclass ORDER BY c.relname`)
}

// forgetDay drops the partitions of a day and tells how many events were there.
func (c *Catalog) forgetDay(ctx context.Context, d time.Time, dryRun bool) (n int64, err error) {
	events, ids := partitionsOf(d)
	err = c.write(ctx, func(tx pgx.Tx) error {
		// Counting a hundred million rows takes its time, waiting for the lock
		// must not: whoever writes events waits behind.
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '2s'"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+events).Scan(&n); err != nil || dryRun {
			return err
		}
		// In the order of those who write; then none of them has a live enrolled
		// whose ids are about to go.
		if _, err := tx.Exec(ctx, "LOCK TABLE ONLY audit_ids, ONLY audit_events IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+ids+", "+events); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM audit_lives WHERE day = $1", d)
		return err
	})
	if err != nil {
		return 0, err
	}
	if !dryRun {
		c.log.Info("partition of the audit log dropped", "partition", events, "events", n)
	}
	return n, nil
}

func partitionsOf(d time.Time) (events, ids string) {
	suffix := d.Format(partitionSuffix)
	return "audit_events" + suffix, "audit_ids" + suffix
}

// inTheWay gives an error of forgetDay its meaning: a lock that others hold and
// a count that takes too long are no server that is away.
func (c *Catalog) inTheWay(ctx context.Context, d time.Time, err error) error {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return err
	}
	switch pe.Code {
	case lockTimeout:
		return fmt.Errorf("the audit log is in use by %s, and writers must not wait for that: clean again when it has ended", c.holder(ctx, d))
	case statementTimeout:
		return errors.New("it was cancelled, or counting its events took longer than 10 minutes: clean again when the server has less to do")
	}
	return err
}

// holder tells who has held the audit log for the longest time.
func (c *Catalog) holder(ctx context.Context, d time.Time) string {
	events, ids := partitionsOf(d)
	var pid int
	var user, program, since string
	err := c.pool.QueryRow(ctx, `
		SELECT a.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''), coalesce(to_char(a.xact_start, '", since "HH24:MI:SS TZ'), '')
		FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.granted AND l.pid <> pg_backend_pid() AND a.datname = current_database()
		AND l.relation IN ('audit_events'::regclass, 'audit_ids'::regclass, to_regclass($1), to_regclass($2))
		ORDER BY a.xact_start, a.pid LIMIT 1`, events, ids).Scan(&pid, &user, &program, &since)
	if err != nil {
		return "somebody else" // who has let go, or cannot be asked for
	}
	return fmt.Sprintf("%q (user %s, server process %d%s)", program, user, pid, since)
}
