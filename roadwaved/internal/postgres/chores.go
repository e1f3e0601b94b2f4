package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// BeginChore implements [station.Chores], by the server's clock.
func (c *Catalog) BeginChore(ctx context.Context, chore station.Chore, who string, now time.Time, lease time.Duration) (bool, error) {
	begun, err := changed(ctx, c.pool, `
		INSERT INTO chores AS c (name, day, worker, lease_until, begun_at)
		VALUES ($1, $2, $3, coalesce($5::timestamptz, now()) + $4::interval, coalesce($5::timestamptz, now()))
		ON CONFLICT (name, day) DO UPDATE
		SET worker = excluded.worker, lease_until = excluded.lease_until, begun_at = excluded.begun_at
		WHERE c.finished_at IS NULL AND (c.worker = excluded.worker OR c.lease_until < excluded.begun_at)`,
		chore.Name, chore.Day, who, lease, c.clock(now))
	return begun, c.wrap(err, "beginning chore %s of %s", chore.Name, chore.Day)
}

// FinishChore implements [station.Chores].
func (c *Catalog) FinishChore(ctx context.Context, chore station.Chore, who string, now time.Time, outcome string) error {
	held, err := changed(ctx, c.pool, "UPDATE chores SET finished_at = $1, outcome = $2 WHERE name = $3 AND day = $4 AND worker = $5",
		stamp(now), text(outcome), chore.Name, chore.Day, who)
	if err == nil && !held {
		err = station.ErrFenced
	}
	return c.wrap(err, "finishing chore %s of %s", chore.Name, chore.Day)
}

// Secret implements [station.Secrets].
func (c *Catalog) Secret(ctx context.Context, name string) ([]byte, error) {
	const read = "SELECT secret FROM secrets WHERE name = $1"
	secret, err := one(ctx, c, pgx.RowTo[[]byte], read, name)
	if err == nil {
		return secret, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, c.wrap(err, "reading secret %q", name)
	}
	secret = make([]byte, 32)
	rand.Read(secret)
	if _, err := c.pool.Exec(ctx, "INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, secret); err != nil {
		return nil, c.wrap(err, "keeping secret %q", name)
	}
	secret, err = one(ctx, c, pgx.RowTo[[]byte], read, name) // another daemon may have been first
	return secret, c.wrap(err, "reading secret %q", name)
}
