package main

import (
	"context"
	"fmt"
	"io"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres"
)

// migrate is the command that brings the tables up to date. Daemons and workers
// do so by themselves when they start; this is for who wants it done before.
func migrate(ctx context.Context, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) error {
	cfg := defaultConfig()
	err := cfg.parseAll(args, getenv, noFlags)
	if err != nil {
		return usageError{err}
	}
	if cfg.DatabaseURL == "" {
		s := &services{cfg: cfg, log: cfg.logger(stderr)}
		if err := s.openCatalog(ctx); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "The tables of %s are up to date.\n", s.path("catalog.sqlite"))
		return s.close()
	}
	from, to, err := postgres.Migrate(ctx, cfg.DatabaseURL, cfg.logger(stderr))
	switch {
	case err != nil:
		return fmt.Errorf("--database-url: %w", err)
	case from == to:
		fmt.Fprintf(stdout, "The tables are up to date: version %d.\n", to)
	default:
		fmt.Fprintf(stdout, "The tables were version %d and are now version %d.\n", from, to)
	}
	return nil
}
