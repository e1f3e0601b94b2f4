// Package sqlite is the embedded catalog: lives and their search, replays and
// replay jobs, the audit log and what daemons share, in one SQLite file, for a
// roadwaved that runs alone. What a method has acknowledged survives the death of
// the process and of the machine. An error that wraps [station.ErrAway] is a file
// that another process holds, or a full disk.
//
// The [Outbox] is a file of its own, of every daemon: there audit records wait for
// the catalog, whichever it is.
package sqlite
