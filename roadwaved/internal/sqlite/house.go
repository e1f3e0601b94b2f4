package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// BeginChore implements [station.Chores]. Who holds a chore gets it again, with
// a new lease: a daemon that restarts need not wait for itself.
func (c *Catalog) BeginChore(ctx context.Context, chore station.Chore, who string, now time.Time, lease time.Duration) (bool, error) {
	var begun bool
	err := c.write(ctx, func(tx *sql.Tx) (err error) {
		begun, err = changed(ctx, tx, `
			INSERT INTO chores (name, day, worker, begun_at, lease_until) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT DO UPDATE SET worker = excluded.worker, begun_at = excluded.begun_at, lease_until = excluded.lease_until
			WHERE finished_at IS NULL AND (worker = excluded.worker OR lease_until < excluded.begun_at)`,
			chore.Name, chore.Day, who, stamp(now), stamp(now.Add(lease)))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("sqlite: beginning %s of %s: %w", chore.Name, chore.Day, err)
	}
	return begun, nil
}

// FinishChore implements [station.Chores].
func (c *Catalog) FinishChore(ctx context.Context, chore station.Chore, who string, now time.Time, outcome string) error {
	err := c.write(ctx, func(tx *sql.Tx) error {
		held, err := changed(ctx, tx, "UPDATE chores SET finished_at = ?, outcome = ? WHERE name = ? AND day = ? AND worker = ?",
			stamp(now), outcome, chore.Name, chore.Day, who)
		if err == nil && !held {
			err = station.ErrFenced
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlite: finishing %s of %s: %w", chore.Name, chore.Day, err)
	}
	return nil
}

// Secret implements [station.Secrets].
func (c *Catalog) Secret(ctx context.Context, name string) ([]byte, error) {
	const query = "SELECT secret FROM secrets WHERE name = ?"
	var secret []byte
	err := c.reader.QueryRowContext(ctx, query, name).Scan(&secret)
	if errors.Is(err, sql.ErrNoRows) {
		fresh := make([]byte, 32)
		rand.Read(fresh)
		err = c.write(ctx, func(tx *sql.Tx) error {
			// Another one may have been faster: theirs it is.
			if _, err := tx.ExecContext(ctx, "INSERT INTO secrets (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING", name, fresh); err != nil {
				return err
			}
			return tx.QueryRowContext(ctx, query, name).Scan(&secret)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: secret %q: %w", name, later(err))
	}
	return secret, nil
}
