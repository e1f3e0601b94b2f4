package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Catalog = (*Catalog)(nil)

// Config makes a [Catalog].
type Config struct {
	// Logger hears of partitions of the audit log that are made and dropped.
	// Default: nothing.
	Logger *slog.Logger
}

// A Catalog is a [station.Catalog] in PostgreSQL. Its methods may be called at
// the same time.
type Catalog struct {
	pool   *pgxpool.Pool
	target string
	log    *slog.Logger
	days   days
	// audits holds a token for each reading of the audit log that runs. One that
	// names no days locks all partitions with their indexes, 460 of the 6400
	// locks that a server has by default.
	audits chan struct{}
	// callersClock counts leases by the times that callers give instead of by the
	// server's clock, as tests need that make time pass.
	callersClock bool
}

// clock is the time that a lease is counted from: NULL for the server's now.
func (c *Catalog) clock(now time.Time) *time.Time {
	if c.callersClock {
		return stamp(now)
	}
	return nil
}

// maxAudits is how many readings of the audit log run at once.
const maxAudits = 2

// patience is how long a server may take to say what it is and which tables it
// has.
var patience = 10 * time.Second

// Open connects to a database whose tables [Migrate] has made. A server that
// does not answer is [station.ErrAway]; tables of another version than this
// program knows are an error that says what to do. It changes nothing there.
//
// The URL takes the parameters of libpq, those of the server's settings and
// those of the pool: at most pool_max_conns connections, 10 by default.
func Open(ctx context.Context, databaseURL string, cfg Config) (*Catalog, error) {
	pc, err := parse(databaseURL)
	if err != nil {
		return nil, err
	}
	return open(ctx, pc, cfg)
}

func open(ctx context.Context, pc *pgxpool.Config, cfg Config) (*Catalog, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	at := target(&pc.ConnConfig.Config)
	pool, err := connect(ctx, pc, cfg.Logger)
	if err != nil {
		return nil, about(at, err)
	}
	c := &Catalog{pool: pool, target: at, log: cfg.Logger, audits: make(chan struct{}, maxAudits)}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.checkVersion(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return c, nil
}

// Ping tells whether the database answers.
func (c *Catalog) Ping(ctx context.Context) error {
	return c.wrap(c.pool.Ping(ctx), "asking for an answer")
}

// Close waits for what runs and closes all connections.
func (c *Catalog) Close() error {
	c.pool.Close()
	return nil
}

// wrap says what was being done when an error came; nil stays nil.
func (c *Catalog) wrap(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("postgres: "+doing+": %w", append(args, classify(c.target, err))...)
}

// write runs f in a transaction, each statement of which sees what others have
// committed meanwhile.
func (c *Catalog) write(ctx context.Context, f func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, c.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, f)
}

// A querier is a transaction, or the pool. Who is in a transaction asks no other:
// when all wait for a second connection nobody gets one.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// changed tells whether a statement changed a row.
func changed(ctx context.Context, q querier, sql string, args ...any) (bool, error) {
	tag, err := q.Exec(ctx, sql, args...)
	return tag.RowsAffected() > 0, err
}

// list reads all rows.
func list[T any](ctx context.Context, c *Catalog, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := c.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// one reads the only row, or finds none.
func one[T any](ctx context.Context, c *Catalog, scan pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	rows, err := c.pool.Query(ctx, sql, args...)
	if err != nil {
		var zero T
		return zero, err
	}
	return pgx.CollectExactlyOneRow(rows, scan)
}
