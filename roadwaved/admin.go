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
