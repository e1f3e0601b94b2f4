package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// Sign implements [station.Signs], by the server's clock.
func (c *Catalog) Sign(ctx context.Context, n station.Node, place string, now time.Time) (before string, err error) {
	before, err = one(ctx, c, pgx.RowTo[string], `
		WITH clock AS (SELECT coalesce($4::timestamptz, now()) AS now),
			before AS (SELECT place FROM nodes WHERE name = $1),
			forgotten AS (DELETE FROM nodes USING clock WHERE seen_at < clock.now - $5::interval AND name <> $1)
		INSERT INTO nodes (name, url, place, seen_at) SELECT $1, $2, $3, clock.now FROM clock
		ON CONFLICT (name) DO UPDATE SET url = excluded.url, place = excluded.place, seen_at = excluded.seen_at
		RETURNING coalesce((SELECT place FROM before), '')`,
		text(n.Name), n.URL, place, c.clock(now), station.SignRetention)
	return before, c.wrap(err, "signing for node %s", n.Name)
}

// Unsign implements [station.Signs].
func (c *Catalog) Unsign(ctx context.Context, name, place string) error {
	_, err := c.pool.Exec(ctx, "DELETE FROM nodes WHERE name = $1 AND place = $2", text(name), place)
	return c.wrap(err, "taking back the sign of node %s", name)
}

// ListSigns implements [station.Signs], by the server's clock.
func (c *Catalog) ListSigns(ctx context.Context, now time.Time) ([]station.Sign, error) {
	signs, err := list(ctx, c, func(row pgx.CollectableRow) (s station.Sign, err error) {
		var at time.Time
		err = row.Scan(&s.Name, &s.URL, &s.Place, &s.At, &at)
		s.At, s.Age = s.At.UTC(), at.Sub(s.At)
		return s, err
	}, `SELECT name, url, place, seen_at, coalesce($1::timestamptz, now()) FROM nodes ORDER BY name COLLATE "C"`, c.clock(now))
	return signs, c.wrap(err, "listing signs of life")
}
