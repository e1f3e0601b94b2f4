package station_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

// A street is several houses on one catalog and one board.
type street struct {
	catalog *flakyCatalog
	board   *flakyBoard
	nodes   *flakyNodes
	journal *eventList
}

type flakyNodes struct {
	*stationtest.Nodes
	flaky
}

func (n *flakyNodes) Present(ctx context.Context, node station.Node, lease time.Duration) error {
	if err := n.broken(); err != nil {
		return err
	}
	return n.Nodes.Present(ctx, node, lease)
}

func (n *flakyNodes) Node(ctx context.Context, name string) (station.Node, error) {
	if err := n.broken(); err != nil {
		return station.Node{}, err
	}
	return n.Nodes.Node(ctx, name)
}

func (n *flakyNodes) ListNodes(ctx context.Context) ([]station.Node, error) {
	if err := n.broken(); err != nil {
		return nil, err
	}
	return n.Nodes.ListNodes(ctx)
}

// An eventList keeps what it was told, the first of equal ones.
type eventList struct {
	flaky
	events map[string]station.Event
	told   int

	flushes atomic.Int64
}

func (l *eventList) Add(events []station.Event, _ []station.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = make(map[string]station.Event)
	}
	for _, e := range events {
		l.told++
		if _, known := l.events[e.ID]; !known {
			l.events[e.ID] = e
		}
	}
}

func (l *eventList) Flush(context.Context) error {
	l.flushes.Add(1)
	return nil
}

func (l *eventList) of(kind station.EventKind) []station.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Collect(maps.Values(l.events))
	return slices.DeleteFunc(all, func(e station.Event) bool { return e.Kind != kind })
}

func newStreet() *street {
	return &street{&flakyCatalog{}, &flakyBoard{}, &flakyNodes{Nodes: &stationtest.Nodes{}}, &eventList{}}
}

const linger = 2 * time.Minute

// house starts a daemon in a bubble; stop kills it without a goodbye.
func (st *street) house(t *testing.T, name string) (h *house, stop func()) {
	t.Helper()
	h = &house{catalog: st.catalog, board: st.board, ends: &endLog{}}
	s, err := station.New(station.Config{
		Lives: st.catalog, Board: st.board, Nodes: mortal(st.nodes), Signs: mortalSigns{st.catalog}, Journal: st.journal, OnEnd: h.ends.add,
		Node: name, NodeURL: "http://" + name, Linger: linger, Audience: figures{Peak: 9, Counters: station.Counters{Visits: 40, Likes: 3, Reports: 1, Listeners: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Station = s
	stop = running(t, s.Run)
	synctest.Wait() // it has presented itself
	return h, stop
}

// mortal is nodes of which nobody takes leave.
func mortal(n station.Nodes) station.Nodes { return silentNodes{n} }

type silentNodes struct{ station.Nodes }

func (silentNodes) Absent(context.Context, string) error { return nil }

type mortalSigns struct{ station.Signs }

func (mortalSigns) Unsign(context.Context, string, string) error { return nil }

// figures are those of every live.
type figures station.Figures

func (f figures) Finish(context.Context, string) station.Figures { return station.Figures(f) }

func (st *street) state(t *testing.T, id string) station.LiveState {
	t.Helper()
	l, err := st.catalog.Catalog.Live(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return l.State
}

// A daemon dies: its lives are lost after 90 s and the last lease, once, their
// slots are free; those of others go on.
func TestDeadNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		dead, kill := st.house(t, "dead")
		a, _ := st.house(t, "a")
		b, _ := st.house(t, "b")
		lost := []station.Live{dead.open(t), dead.open(t)}
		stays := a.open(t)
		time.Sleep(10*time.Minute + 5*time.Second) // the last sign is 5 s old
		kill()
		time.Sleep(90 * time.Second)
		for _, l := range lost {
			if st.state(t, l.ID) != station.OnAir {
				t.Error("a live was lost before its time")
			}
		}
		time.Sleep(45 * time.Second)
		for _, l := range lost {
			got, err := st.catalog.Live(t.Context(), l.ID)
			if err != nil || got.State != station.Lost || got.EndReason != station.EndCrash {
				t.Errorf("the live of a dead daemon is %+v (%v), want it lost", got, err)
			}
			want := station.LiveStats{Duration: 10 * time.Minute, Visits: 40, PeakListeners: 9, Likes: 3, Reports: 1}
			if got.Stats != want {
				t.Errorf("its figures are %+v, want %+v", got.Stats, want)
			}
			if !got.EndedAt.Equal(l.StartedAt.Add(10 * time.Minute)) {
				t.Errorf("it began at %v and ended at %v, want the last sign of life", l.StartedAt, got.EndedAt)
			}
			if job, err := st.catalog.Job(t.Context(), l.ID); err != nil || job.State != station.JobUploading || job.Node != "dead" {
				t.Errorf("its job is %+v (%v)", job, err)
			}
		}
		if st.state(t, stays.ID) != station.OnAir || a.slots(t) != 1 {
			t.Errorf("the other live is %s, %d slots are taken", st.state(t, stays.ID), a.slots(t))
		}
		if starts, ends := st.journal.of(station.EventLiveStart), st.journal.of(station.EventLiveEnd); len(starts) != 3 || len(ends) != 2 {
			t.Errorf("the log has %d starts and %d ends, want 3 and 2", len(starts), len(ends))
		} else if !ends[0].At.Equal(lost[0].StartedAt.Add(10*time.Minute)) || ends[0].Stats.Duration != 10*time.Minute {
			t.Errorf("the log has the end %+v", ends[0])
		}
		told := append(a.ends.take(), b.ends.take()...)
		slices.Sort(told)
		if told = slices.Compact(told); len(told) != 2 {
			t.Errorf("told of the ends of %v, want both lives", told)
		}
	})
}

// Nobody is declared dead who could not be seen: the board is away, forgets, or
// a daemon is back in time.
func TestNodesNotDead(t *testing.T) {
	for name, trouble := range map[string]func(t *testing.T, st *street, kill func()){
		"the board away": func(t *testing.T, st *street, _ func()) {
			st.nodes.fail(errAway)
			time.Sleep(10 * time.Minute)
			st.nodes.fail(nil)
		},
		"the board comes and goes": func(t *testing.T, st *street, kill func()) {
			kill()
			for range 10 {
				time.Sleep(time.Minute)
				st.nodes.fail(errAway)
				time.Sleep(30 * time.Second)
				st.nodes.fail(nil)
			}
			st.house(t, "a")
		},
		"the board forgets": func(t *testing.T, st *street, _ func()) {
			for range 20 {
				for _, node := range []string{"a", "b"} {
					if err := st.nodes.Nodes.Absent(t.Context(), node); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(13 * time.Second)
			}
		},
		"seen while the catalog was away": func(t *testing.T, st *street, kill func()) {
			kill()
			time.Sleep(time.Minute)
			st.catalog.fail(fmt.Errorf("%w", station.ErrAway))
			_, killAgain := st.house(t, "a")
			time.Sleep(20 * time.Second)
			killAgain()
			time.Sleep(40 * time.Second)
			st.catalog.fail(nil)
			time.Sleep(time.Minute) // two minutes since the first death, one since the second
			st.house(t, "a")
		},
		"back in time": func(t *testing.T, st *street, kill func()) {
			kill()
			time.Sleep(80 * time.Second)
			st.house(t, "a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStreet()
				a, kill := st.house(t, "a")
				st.house(t, "b")
				l := a.open(t)
				time.Sleep(time.Minute)
				trouble(t, st, kill)
				time.Sleep(5 * time.Minute)
				if got := st.state(t, l.ID); got != station.OnAir {
					t.Errorf("the live is %s", got)
				}
			})
		})
	}
}

// A catalog that is away when a daemon dies only delays what follows.
func TestDeadNodeCatalogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStreet()
		dead, kill := st.house(t, "dead")
		st.house(t, "a")
		l := dead.open(t)
		kill()
		st.catalog.fail(fmt.Errorf("%w", station.ErrAway))
		time.Sleep(5 * time.Minute)
		if got := st.state(t, l.ID); got != station.OnAir {
			t.Errorf("the live is %s", got)
		}
		st.catalog.fail(nil)
		time.Sleep(3 * time.Minute)
		if got := st.state(t, l.ID); got != station.Lost {
			t.Errorf("the live is %s, want it lost", got)
		}
	})
}

// A daemon that stops says so.
func TestAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := &stationtest.Nodes{}
		h := newHouse(t, station.Config{Nodes: nodes, Node: "a"})
		stop := running(t, h.Run)
		time.Sleep(time.Second)
		if n, err := nodes.Node(t.Context(), "a"); err != nil || n.Name != "a" {
			t.Errorf("it is %+v (%v)", n, err)
		}
		stop()
		if _, err := nodes.Node(t.Context(), "a"); !errors.Is(err, station.ErrNotFound) {
			t.Errorf("it stopped and is up: %v", err)
		}
	})
}
