package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/api"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// jobs is the command that shows the replays that are not there yet, and has
// parked ones made again.
func jobs(ctx context.Context, args []string, getenv func(string) (string, bool), stdout, stderr io.Writer) error {
	action := "list"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		action, args = args[0], args[1:]
	}
	var everything, asJSON bool
	cfg := defaultConfig()
	ids, err := cfg.parse(args, getenv, func(f *flag.FlagSet) {
		f.BoolVar(&everything, "all", false, "list: those that are done, too; retry: every parked one")
		f.BoolVar(&asJSON, "json", false, "list: for programs, one JSON object per line, as GET /v1/jobs has them")
	})
	switch {
	case err != nil:
	case action != "list" && action != "retry", action == "list" && len(ids) > 0:
		err = fmt.Errorf("jobs: %q is not known; say list, or retry and the ids of lives", strings.Join(append([]string{action}, ids...), " "))
	case action == "retry" && asJSON:
		err = errors.New("jobs retry: --json is for the list")
	case action == "retry" && everything == (len(ids) > 0):
		err = errors.New("jobs retry: name the lives, or say --all")
	}
	if err != nil {
		return usageError{err}
	}
	s := &services{cfg: cfg, log: cfg.logger(stderr)}
	if err := s.lookAtCatalog(ctx); err != nil {
		return err
	}
	switch {
	case action == "retry":
		err = retryJobs(ctx, s.catalog, ids, stdout)
	case asJSON:
		encoder := json.NewEncoder(stdout)
		err = eachJob(ctx, s.catalog, everything, func(j station.Job) error { return encoder.Encode(api.NewJob(j)) })
	default:
		err = listJobs(ctx, s.catalog, everything, time.Now(), stdout)
	}
	return errors.Join(err, s.close())
}

// unfinished are the states that a person may want to know of.
var unfinished = []station.JobState{station.JobUploading, station.JobPending, station.JobRunning, station.JobParked}

// eachJob calls f for the unfinished jobs, or for all, the oldest first.
func eachJob(ctx context.Context, catalog station.Catalog, everything bool, f func(station.Job) error) error {
	q := station.JobQuery{States: unfinished}
	if everything {
		q.States = nil
	}
	return station.EachJob(ctx, catalog.ListJobs, q, f)
}

func listJobs(ctx context.Context, catalog station.Catalog, everything bool, now time.Time, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	n := 0
	err := eachJob(ctx, catalog, everything, func(j station.Job) error {
		if n == 0 {
			fmt.Fprintln(w, "LIVE\tSTATE\tAGE\tTRIES\tWHAT")
		}
		n++
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", j.LiveID, j.State, age(now.Sub(j.Opened)), j.Attempts, what(j))
		return nil
	})
	switch {
	case n > 0 || err != nil:
	case everything:
		fmt.Fprintln(w, "No live has ended yet.")
	default:
		fmt.Fprintln(w, "Nothing waits: every replay is made.")
	}
	return errors.Join(err, w.Flush())
}

// age is how long ago something was, as short as people say it.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return d.Truncate(time.Second).String()
}

// what says in one line how far a job is and who has it, or what went wrong.
func what(j station.Job) string {
	switch {
	case j.State == station.JobUploading:
		return "from " + j.Node
	case j.State == station.JobRunning:
		return fmt.Sprintf("%s %.0f %% on %s", j.Step, 100*j.Progress, j.Worker)
	case j.State == station.JobPending && j.Error == "":
		return j.Step // what the last worker waited for
	}
	return strings.Join(strings.Fields(j.Error), " ")
}

// retryJobs reopens jobs that were given up, parked or found empty; a daemon or
// worker takes them up within a minute. No ids means all that are parked.
func retryJobs(ctx context.Context, catalog station.Catalog, ids []string, out io.Writer) error {
	if len(ids) == 0 {
		err := station.EachJob(ctx, catalog.ListJobs, station.JobQuery{States: []station.JobState{station.JobParked}}, func(j station.Job) error {
			ids = append(ids, j.LiveID)
			return nil
		})
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			fmt.Fprintln(out, "No replay is parked.")
		}
	}
	var errs []error
	for _, id := range ids {
		err := catalog.Reopen(ctx, id)
		switch {
		case errors.Is(err, station.ErrNotFound):
			errs = append(errs, fmt.Errorf("no live %s has a job", id))
		case errors.Is(err, station.ErrJobOver):
			errs = append(errs, fmt.Errorf("the job of live %s is over, its replay is there", id))
		case err != nil:
			errs = append(errs, err)
		default:
			fmt.Fprintf(out, "%s will be made again.\n", id)
		}
	}
	return errors.Join(errs...)
}
