package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"io"

	"github.com/roadwave/roadwave/roadwaved/internal/janitor"
	"github.com/roadwave/roadwave/roadwaved/internal/relive"
)

// clean is the command that does the daily cleaning now, or only tells what it
// would do.
func clean(ctx context.Context, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) error {
	var dryRun bool
	cfg := defaultConfig()
	err := cfg.parseAll(args, getenv, func(f *flag.FlagSet) {
		f.BoolVar(&dryRun, "dry-run", false, "list what would be deleted, delete nothing")
	})
	if err != nil {
		return usageError{err}
	}
	d := newParts(cfg, cfg.logger(stderr))
	err = d.openAll(ctx, d.lookAtCatalog, d.openObjects, d.openJanitor)
	if err == nil {
		var report janitor.Report
		report, err = d.janitor.Clean(ctx, dryRun)
		if err == nil || len(report.Items)+len(report.Left) > 0 { // "nothing" would not be known
			_, werr := report.WriteTo(stdout)
			err = errors.Join(err, werr)
		}
	}
	return errors.Join(err, d.close())
}

func (d *daemon) openJanitor(context.Context) (err error) {
	d.janitor, err = janitor.New(janitor.Config{
		Catalog:        d.catalog,
		Store:          d.objects,
		ReplayID:       relive.ReplayID,
		RawRetention:   d.cfg.RawRetention,
		AuditRetention: d.cfg.AuditRetention,
		AbortUploads:   d.abortUploads,
		SweepTemp:      func(dryRun bool) (int, int64, error) { return sweepTemp(d.cfg.Data, dryRun) },
		At:             d.cfg.CleanAt,
		Who:            cmp.Or(d.node, "command line"),
		Logger:         d.log,
	})
	return err
}
