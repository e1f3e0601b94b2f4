package postgres

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/roadwaved/internal/postgres/postgrestest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

// tests stop the server they have in common before leaks are looked for.
type tests struct{ m *testing.M }

func (t tests) Run() int {
	code := t.m.Run()
	if err := postgrestest.CloseShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// empty gives a database with tables and nothing in them.
func empty(t testing.TB) (databaseURL string) {
	t.Helper()
	s := postgrestest.Shared(t)
	template, err := prepared(s)
	if err != nil {
		t.Fatal(err)
	}
	return s.Copy(t, template)
}

// prepared gives the one database that is migrated; tests have copies of it.
func prepared(s *postgrestest.Server) (databaseURL string, err error) {
	prepare.Do(func() {
		ctx := context.Background()
		if template, prepareErr = s.Create(ctx, ""); prepareErr == nil {
			_, _, prepareErr = Migrate(ctx, template, nil)
		}
	})
	return template, prepareErr
}

var (
	prepare    sync.Once
	template   string
	prepareErr error
)

func openAt(t testing.TB, databaseURL string) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), databaseURL, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// fresh gives an empty catalog. Its database goes to the next test, emptied:
// that takes a tenth of the time that a new one does.
func fresh(t testing.TB) *Catalog {
	t.Helper()
	var databaseURL string
	select {
	case databaseURL = <-used:
	default:
		s := postgrestest.Shared(t)
		template, err := prepared(s)
		if err == nil {
			databaseURL, err = s.Create(t.Context(), template)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := openAt(t, databaseURL)
	t.Cleanup(func() { // before it is closed
		if err := truncate(c); err != nil {
			t.Error(err)
			return
		}
		used <- databaseURL
	})
	return c
}

func truncate(c *Catalog) error {
	_, err := c.pool.Exec(context.Background(), "TRUNCATE lives, replay_jobs, replays, counter_samples, audit_events, audit_lives, audit_ids, chores, secrets, nodes")
	return err
}

// used are databases that tests are done with.
var used = make(chan string, 100)

func TestConformance(t *testing.T) {
	// The suites make hours pass.
	timed := func(t *testing.T) *Catalog {
		c := fresh(t)
		c.callersClock = true
		return c
	}
	t.Run("catalog", func(t *testing.T) {
		stationtest.TestCatalog(t, func(t *testing.T) station.Catalog { return timed(t) })
	})
	t.Run("records", func(t *testing.T) {
		stationtest.TestRecords(t, func(t *testing.T) station.Records { return fresh(t) })
	})
	t.Run("chores", func(t *testing.T) {
		stationtest.TestChores(t, func(t *testing.T) station.Chores { return timed(t) })
	})
	t.Run("signs", func(t *testing.T) {
		stationtest.TestSigns(t, func(t *testing.T) station.Signs { return timed(t) })
	})
	t.Run("secrets", func(t *testing.T) {
		stationtest.TestSecrets(t, func(t *testing.T) station.Secrets { return fresh(t) })
	})
}

// Commands that only look need nothing but to read.
func TestLookingOnly(t *testing.T) {
	databaseURL := empty(t)
	if err := openAt(t, databaseURL).Record(t.Context(), visits(newestStart, 3), nil); err != nil {
		t.Fatal(err)
	}
	c := openAt(t, databaseURL+"&default_transaction_read_only=on")
	if _, err := c.ListJobs(t.Context(), station.JobQuery{}); err != nil {
		t.Errorf("jobs: %v", err)
	}
	if n, err := c.ForgetEvents(t.Context(), newestStart.Add(day), true); n != 3 || err != nil {
		t.Errorf("a dry run: %d events (%v)", n, err)
	}
	if err := c.StartLive(t.Context(), liveCalled("t")); err == nil {
		t.Error("it can write")
	}
}
