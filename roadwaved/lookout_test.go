package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A lookoutTest is a lookout over one server, whose answer can be changed.
type lookoutTest struct {
	answer atomic.Pointer[error] // of the server, one that holds nil if it is there
	parts  *slog.Logger
	log    bytes.Buffer
}

func (l *lookoutTest) answers(err error) { l.answer.Store(&err) }

// lookOut calls f with a lookout at work, and gives what it and the parts logged
// from the level info on.
func lookOut(t *testing.T, f func(l *lookoutTest)) (said []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test := &lookoutTest{}
		test.answers(nil)
		c := defaultConfig()
		l := &lookout{log: c.logger(&test.log), services: []*service{{
			name: "PostgreSQL", effect: "lives go on", flag: "database-url",
			ping:    func(context.Context) error { return *test.answer.Load() },
			waiting: func() []any { return []any{"audit_entries", 3} },
		}}}
		test.parts = l.logger().With("live_id", "L")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.run(ctx) }()
		time.Sleep(lookEvery / 2) // nothing changes at the moment of a look
		f(test)
		synctest.Wait()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(test.log.String()) {
			_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
			said = append(said, line)
		}
	})
	return said
}

func check(t *testing.T, said []string, want ...string) {
	t.Helper()
	if got := strings.Join(said, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the log is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

var errDown = fmt.Errorf("%w: refused", station.ErrAway)

func TestLookoutIsTheOneVoice(t *testing.T) {
	said := lookOut(t, func(l *lookoutTest) {
		l.answers(errDown)
		for range 200 {
			l.parts.Warn("nothing works", "err", errDown)
			l.parts.Warn("nothing works at all", "err", fmt.Errorf("a part: %w", errDown))
			time.Sleep(2 * time.Second)
		}
		l.parts.Warn("something else is wrong", "err", errors.New("a disk"))
		l.parts.Error("the outbox takes nothing", "err", errDown) // it is not PostgreSQL that is away
		l.answers(nil)
		time.Sleep(lookEvery)
	})
	check(t, said,
		`WARN msg="PostgreSQL is away: lives go on" err="`+errDown.Error()+`"`,
		`WARN msg="PostgreSQL is still away" for=5m3s err="`+errDown.Error()+`" audit_entries=3`,
		`WARN msg="something else is wrong" live_id=L err="a disk"`,
		`ERROR msg="the outbox takes nothing" live_id=L err="`+errDown.Error()+`"`,
		`INFO msg="PostgreSQL is back" after=6m43s audit_entries=3`)
}

// A part that misses a server which answers the lookout is heard.
func TestLookoutLetsPass(t *testing.T) {
	check(t, lookOut(t, func(l *lookoutTest) {
		l.parts.Warn("one answer is missing", "err", errDown)
		l.parts.Warn("and another", "err", errDown)
	}), `WARN msg="one answer is missing" live_id=L err="`+errDown.Error()+`"`,
		`WARN msg="and another" live_id=L err="`+errDown.Error()+`"`)
}

func TestLookoutNamesTheSetting(t *testing.T) {
	check(t, lookOut(t, func(l *lookoutTest) {
		l.answers(errors.New("wrong password"))
		time.Sleep(2 * lookEvery)
	}), `ERROR msg="PostgreSQL cannot be used, look at --database-url (ROADWAVE_DATABASE_URL): lives go on" err="wrong password"`)
}

// Before the lookout runs, and when it is over, parts speak for themselves.
func TestLookoutOver(t *testing.T) {
	var log bytes.Buffer
	c := defaultConfig()
	l := &lookout{log: c.logger(&log), services: []*service{{ping: func(context.Context) error { return nil }}}}
	complain := func() { l.logger().Warn("waiting", "err", errDown) }
	complain()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := l.run(ctx); err != nil {
		t.Error(err)
	}
	complain()
	if n := strings.Count(log.String(), "WARN"); n != 2 {
		t.Errorf("%d of 2 complaints are in the log:\n%s", n, &log)
	}
}
