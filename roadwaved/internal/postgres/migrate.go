package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
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
	pc.MaxConns = max(pc.MaxConns, 2)                      // one of them holds the lock
	pool, err := connect(ctx, pc, slog.New(slog.DiscardHandler))
	if err == nil {
		defer pool.Close()
		from, to, err = migrate(ctx, pool, logger)
	}
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
		return from, from, checkRole(ctx, pool)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return from, from, err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithSlog(logger))
	if err != nil {
		return from, from, err
	}
	var results []*goose.MigrationResult
	err = alone(ctx, pool, logger, func() error {
		results, err = p.Up(ctx)
		return err
	})
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

const (
	// migrationsLock is the one that goose takes, which programs before this one
	// had take it.
	migrationsLock = lock.DefaultLockID
	// migrationsPatience is how long others may take to make tables.
	migrationsPatience = 5 * time.Minute
)

// alone runs f while no other daemon does. The lock is that of a transaction: a
// pooler gives each one a connection of its own, sessions it does not.
func alone(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger, f func() error) error {
	began := time.Now()
	for said := began; ; {
		locked := false
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			// It does nothing for as long as f takes.
			if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
				return err
			}
			// Who waits holds no connection: a pooler may have few.
			if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", migrationsLock).Scan(&locked); err != nil || !locked {
				return err
			}
			return f()
		})
		switch waited := time.Since(began); {
		case err != nil || locked:
			return err
		case waited > migrationsPatience:
			return fmt.Errorf("another daemon has been bringing its tables up to date for %v: look at its log", waited.Round(time.Second))
		case time.Since(said) > patience:
			said = time.Now()
			logger.Info("another daemon is bringing the tables of the catalog up to date, waiting for it", "for", waited.Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(time.Second)): // not all of them at once
		}
	}
}

// checkServer tells whether the server has what the tables use.
func checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	var version int
	var name, encoding string
	err := pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::integer, current_setting('server_version'), current_setting('server_encoding')`).
		Scan(&version, &name, &encoding)
	if err != nil {
		return err
	}
	return suits(version, name, encoding)
}

func suits(version int, name, encoding string) error {
	switch {
	case version < oldest*10000:
		return fmt.Errorf("the server is PostgreSQL %s, version %d or later is needed", name, oldest)
	case encoding != "UTF8":
		return fmt.Errorf("the database has encoding %s; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	return nil
}

// checkRole tells whether the role may add partitions to the audit log, which it
// must every day.
func checkRole(ctx context.Context, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var may bool
	var role, owner string
	err := pool.QueryRow(ctx, `
		SELECT pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE'), current_user::text, pg_get_userbyid(relowner)::text
		FROM pg_class WHERE oid = 'audit_events'::regclass`).Scan(&may, &role, &owner)
	if err == nil && !may {
		err = fmt.Errorf("role %q may not add partitions to the tables of role %q: %s", role, owner, ownership)
	}
	return err
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
