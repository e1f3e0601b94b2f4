package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// oldest is the first version of the server that has what the tables use.
const oldest = 13

// Migrate brings the tables of a database up to date and tells their version
// before and after. Called at the same time, by many daemons that start, it does
// so once; those that come later wait up to five minutes and log so. The server
// must say within 10 s what it is; making tables takes as long as it takes.
func Migrate(ctx context.Context, databaseURL string, logger *slog.Logger) (from, to int64, err error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	pc, err := parse(databaseURL)
	if err != nil {
		return 0, 0, err
	}
	pc.ConnConfig.RuntimeParams["statement_timeout"] = "0" // an index takes as long as it takes
	pc.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	pc.MaxConns = max(pc.MaxConns, 2) // one of them holds the lock
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return 0, 0, fmt.Errorf("postgres: %w", err)
	}
	defer pool.Close()
	from, to, err = migrate(ctx, pool, logger)
	if err != nil {
		return from, to, about(target(&pc.ConnConfig.Config), err)
	}
	return from, to, nil
}

func migrate(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) (from, to int64, err error) {
	from, err = ask(ctx, pool)
	if err != nil {
		return 0, 0, err
	}
	known := newest()
	if from > known {
		return from, from, newerError{from, known}
	}
	if from == known {
		return from, from, nil
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 30))
	if err != nil {
		return from, from, err
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return from, from, err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithSessionLocker(loggingLocker{locker, logger}), goose.WithSlog(logger))
	if err != nil {
		return from, from, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return from, from, err
	}
	if len(results) == 0 {
		from = known // another one was first
	}
	for _, r := range results {
		logger.Info("tables of the catalog brought up to date", "version", r.Source.Version, "took", r.Duration)
	}
	return from, known, nil
}

// ask tells the version of the tables of a server that has what they use.
func ask(ctx context.Context, pool *pgxpool.Pool) (version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := checkServer(ctx, pool); err != nil {
		return 0, err
	}
	return tablesVersion(ctx, pool)
}

// A loggingLocker tells those who wait what for.
type loggingLocker struct {
	lock.SessionLocker
	log *slog.Logger
}

func (l loggingLocker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	began := time.Now()
	var wg sync.WaitGroup
	defer wg.Wait()
	locked := make(chan struct{})
	defer close(locked)
	wg.Go(func() {
		tick := time.NewTicker(patience)
		defer tick.Stop()
		for {
			select {
			case <-locked:
				return
			case <-tick.C:
				l.log.Info("another daemon is bringing the tables of the catalog up to date, waiting for it", "for", time.Since(began).Round(time.Second))
			}
		}
	})
	return l.SessionLocker.SessionLock(ctx, conn)
}

// checkServer tells whether the server has what the tables use.
func checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	var version int
	var name, encoding string
	err := pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::integer, current_setting('server_version'), current_setting('server_encoding')`).
		Scan(&version, &name, &encoding)
	switch {
	case err != nil:
		return err
	case version < oldest*10000:
		return fmt.Errorf("the server is PostgreSQL %s, version %d or later is needed", name, oldest)
	case encoding != "UTF8":
		return fmt.Errorf("the database has encoding %s; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	return nil
}

// tablesVersion is the version of the tables, 0 where there are none.
func tablesVersion(ctx context.Context, pool *pgxpool.Pool) (version int64, err error) {
	err = pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&version)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "42P01" { // no such table
		return 0, nil
	}
	return version, err
}

// newest is the version of the tables that this program makes.
func newest() int64 {
	files, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is right
	var version int64
	for _, file := range files {
		v, err := goose.NumericComponent(file)
		if err != nil {
			panic(err) // a file of this package
		}
		version = max(version, v)
	}
	return version
}

// checkVersion tells whether the tables are those that this program knows.
func (c *Catalog) checkVersion(ctx context.Context) error {
	version, err := tablesVersion(ctx, c.pool)
	known := newest()
	switch {
	case err != nil:
	case version > known:
		err = newerError{version, known}
	case version < known:
		err = fmt.Errorf("its tables are version %d, this program needs %d: run \"roadwaved migrate\"", version, known)
	}
	if err != nil {
		return about(c.target, err)
	}
	return nil
}

// A newerError is a catalog whose tables this program does not know.
type newerError struct{ version, known int64 }

func (e newerError) Error() string {
	return fmt.Sprintf("a newer roadwaved prepared it: its tables are version %d, this program knows up to %d; "+
		"run that version again, or restore the copy made before it ran", e.version, e.known)
}
