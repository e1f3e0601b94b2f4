// Package postgres is the catalog of several daemons: lives, replays, replay
// jobs, the audit log and the counters over time in one PostgreSQL database,
// version 13 or later. What a method has acknowledged survives the death of the
// process and, as far as the server promises it, of the machine.
//
// Every error that means "later" wraps [station.ErrAway]; the catalog answers
// again by itself once the server does. No error holds the password.
//
// The role that daemons connect with must own the tables, because it adds and
// drops the partitions of the audit log, day by day. A pooler such as PgBouncer
// may be in between, in any mode but that of statements: nothing here outlasts a
// transaction on a connection.
package postgres
