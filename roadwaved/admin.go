package main

import (
	"context"
	"net/http"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/auth"
)

// newAdmin is what operators, and what watches over the process, are told.
func (d *daemon) newAdmin() http.Handler {
	cfg := api.AdminConfig{
		Checks: []api.Check{
			{Name: "catalog", Ping: d.catalog.Ping},
			{Name: "redis", Ping: d.redis.Ping},
			{Name: "objects", Ping: d.checkStore},
			{Name: "data", Ping: func(context.Context) error { return writable(d.cfg.Data) }, Vital: true},
		},
		Jobs: d.catalog, Queue: d.queue, Records: d.catalog,
		LoopbackOnly: d.cfg.Auth == auth.OpenMode,
		Logger:       d.log,
	}
	if d.cfg.Auth != auth.OpenMode {
		cfg.Identify = d.auth.Identify
	}
	return api.NewAdmin(cfg)
}

// lookOut gives the lookout over the servers elsewhere; what it means when each of
// them is away depends on the command.
func (d *daemon) lookOut(database, redis, storage string) func(context.Context) error {
	add := func(url string, s service) {
		if url != "" {
			d.lookout.services = append(d.lookout.services, &s)
		}
	}
	add(d.cfg.DatabaseURL, service{name: "PostgreSQL", effect: database, flag: "database-url", ping: d.catalog.Ping, waiting: d.entriesWaiting})
	add(d.cfg.RedisURL, service{name: "Redis", effect: redis, flag: "redis-url", ping: d.redis.Ping})
	add(d.cfg.StorageURL, service{name: "the object store", effect: storage, flag: "storage-url", ping: d.checkStore, waiting: d.recordingsWaiting})
	return d.lookout.run
}

// entriesWaiting is what waits for the database, for the log.
func (d *daemon) entriesWaiting() []any {
	if d.journal == nil { // a worker
		return nil
	}
	b := d.journal.Backlog()
	return []any{"audit_entries", b.Memory + b.Outbox}
}

// recordingsWaiting is what waits for the object store, for the log.
func (d *daemon) recordingsWaiting() []any {
	if d.archive == nil {
		return nil
	}
	b := d.archive.Pending()
	return []any{"recordings", b.Recordings, "bytes", b.Bytes}
}
