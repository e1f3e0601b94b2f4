// Package postgrestest starts PostgreSQL servers for tests and demonstrations.
package postgrestest
