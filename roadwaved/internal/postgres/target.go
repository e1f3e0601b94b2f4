package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errURL never quotes the URL: what cannot be told apart may be the password.
var errURL = errors.New("postgres: the database URL is not understood; it has the form " +
	"postgres://user:password@host:5432/database, with all but letters and digits percent-encoded in the password")

// defaults are the parameters that a URL need not have. Times without a unit are
// in milliseconds.
var defaults = map[string]string{
	"application_name":              "roadwaved",
	"connect_timeout":               "5", // s
	"pool_max_conns":                "10",
	"pool_max_conn_lifetime_jitter": "5m",
	"pool_ping_timeout":             "5s", // a connection that idled is tried before it is used
	"timezone":                      "UTC",
	"statement_timeout":             "30000",
	"lock_timeout":                  "10000",
	// A daemon that loses its power must not hold locks until TCP notices.
	"idle_in_transaction_session_timeout": "60000",
	// No prepared statements: they belong to a session, which a pooler does not
	// give. And a plan is made for the values at hand: how common a tag is decides it.
	"default_query_exec_mode": "cache_describe",
	// Compiling takes longer than any of these queries.
	"jit": "off",
}

// parse reads a URL. The driver's parser, whose errors quote what it was given,
// never sees the password.
func parse(databaseURL string) (*pgxpool.Config, error) {
	u, err := url.Parse(databaseURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errURL
	}
	// A password with a bare / ? or # in it would end up in what follows the host.
	if strings.Contains(u.Path+u.RawQuery, "@") || u.Fragment != "" {
		return nil, errURL
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errURL
	}
	if q.Has("sslpassword") {
		return nil, errors.New("postgres: the database URL has an sslpassword; use a key file without one")
	}
	password, given := u.User.Password()
	if given {
		u.User = url.User(u.User.Username())
	}
	if q.Has("password") {
		password, given = q.Get("password"), true
		q.Del("password")
	}
	for name, value := range defaults {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	cfg, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("postgres: the database URL is not understood: %w", err)
	}
	if given {
		cfg.ConnConfig.Password = password
	}
	cfg.ConnConfig.OnPgError = worthKeeping
	return cfg, nil
}

// connect opens a pool of connections to a server that answers. A pooler in between
// keeps few settings apart for those who share its connections and refuses others:
// they are done without.
func connect(ctx context.Context, pc *pgxpool.Config, logger *slog.Logger) (*pgxpool.Pool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pool, err := reach(ctx, pc)
	if !refusesSettings(err) {
		return pool, err
	}
	var without []string
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit"} {
		without = append(without, name+" = "+pc.ConnConfig.RuntimeParams[name])
		delete(pc.ConnConfig.RuntimeParams, name)
	}
	pool, err = reach(ctx, pc)
	if err == nil {
		logger.Info("the pooler in front of the database takes no settings, set them with ALTER ROLE if the server's do not suit", "wanted", without)
	}
	return pool, err
}

func reach(ctx context.Context, pc *pgxpool.Config) (*pgxpool.Pool, error) {
	// The context of a pool counts while it is made.
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// refusesSettings tells what PgBouncer answers to parameters that it does not know.
func refusesSettings(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && strings.HasPrefix(answer.Message, "unsupported startup parameter")
}

// worthKeeping tells whether a connection is of use after an error. One to a
// server that became a standby is not: its successor is at the same name.
func worthKeeping(_ *pgconn.PgConn, e *pgconn.PgError) bool {
	return e.SeverityUnlocalized != "FATAL" && e.Code != readOnly
}

// readOnly is the SQLSTATE of a write that a standby refuses.
const readOnly = "25006"

// target names a database to people: host, port and database.
func target(c *pgconn.Config) string {
	_, address := pgconn.NetworkAddress(c.Host, c.Port)
	if strings.HasPrefix(c.Host, "/") {
		return strconv.Quote(c.Database) + " on socket " + address
	}
	return strconv.Quote(c.Database) + " at " + address
}
