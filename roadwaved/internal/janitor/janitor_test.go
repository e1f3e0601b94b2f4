package janitor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/janitor"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const day = 24 * time.Hour

// A house is a catalog and a store with a past. Its objects are put now and its
// clock is moved on, for no store lets the time of an object be chosen.
type house struct {
	t       testing.TB
	catalog *stationtest.Catalog
	store   hls.Store
	begun   time.Time
	now     time.Time
	cfg     janitor.Config
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, catalog: new(stationtest.Catalog), store: hls.NewMemory(), begun: time.Now().UTC()}
	h.now = h.begun
	h.cfg = janitor.Config{
		Catalog: h.catalog, Store: h.store, ReplayID: replayID, Who: "here",
		Now: func() time.Time { return h.now },
	}
	return h
}

func replayID(liveID string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(liveID)).String()
}

func (h *house) must(errs ...error) {
	h.t.Helper()
	if err := errors.Join(errs...); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) put(key string, bytesLong int) string {
	h.t.Helper()
	h.must(h.store.Put(h.t.Context(), key, bytes.NewReader(make([]byte, bytesLong))))
	return key
}

// onAir starts a live.
func (h *house) onAir() string {
	id := uuid.NewString()
	h.must(h.catalog.StartLive(h.t.Context(), station.Live{ID: id, StartedAt: h.begun}))
	return id
}

// over starts a live and ends it; its job is pending.
func (h *house) over() string {
	id := h.onAir()
	h.must(h.catalog.EndLive(h.t.Context(), id, station.End{At: h.begun, State: station.Ended}), h.catalog.Deposited(h.t.Context(), id, false))
	return id
}

func (h *house) claim(id string) station.Claim {
	c, err := h.catalog.Claim(h.t.Context(), id, "worker", h.begun, time.Minute)
	h.must(err)
	return c
}

// published is a live that became a replay.
func (h *house) published() string {
	id := h.over()
	h.must(h.catalog.Publish(h.t.Context(), h.claim(id), station.Replay{ID: replayID(id), LiveID: id, PublishedAt: h.begun, Key: "replay/" + replayID(id)}))
	return id
}

func (h *house) released(state station.JobState) string {
	id := h.over()
	h.must(h.catalog.Release(h.t.Context(), h.claim(id), state, "a reason"))
	return id
}

func (h *house) janitor() *janitor.Janitor {
	h.t.Helper()
	j, err := janitor.New(h.cfg)
	h.must(err)
	return j
}

func (h *house) clean(dryRun bool) janitor.Report {
	h.t.Helper()
	r, err := h.janitor().Clean(h.t.Context(), dryRun)
	h.must(err)
	return r
}

func (h *house) keys() []string {
	h.t.Helper()
	keys := make(map[string]bool)
	for info, err := range h.store.List(h.t.Context(), "") {
		h.must(err)
		keys[info.Key] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// A past has one of each thing that may be in the store. It tells those that stay
// for ever; the others go after a time.
func (h *house) past() (stay []string, go1, go7 []string) {
	kept := func(keys ...string) { stay = append(stay, keys...) }
	day1 := func(keys ...string) { go1 = append(go1, keys...) }
	day7 := func(keys ...string) { go7 = append(go7, keys...) }

	done := h.published()
	kept(h.put("replay/"+replayID(done)+"/index.m3u8", 100), h.put("replay/"+replayID(done)+"/audio.mp3", 5000))
	day7(h.put(station.RawKey(done), 1000))
	day1(h.put("live/"+done+"/index.m3u8", 10), h.put("live/"+done+"/aac48/1.ts", 20))

	air := h.onAir()
	kept(h.put("live/"+air+"/index.m3u8", 10), h.put(station.RawKey(air), 10))

	empty := h.released(station.JobEmpty)
	day7(h.put(station.RawKey(empty), 3))
	day1(h.put("replay/"+replayID(empty)+"/1.ts", 7))
	kept(h.put(station.RawKey(h.released(station.JobEmpty)), 1001)) // a worker with another store could not see it

	parked := h.released(station.JobParked)
	kept(h.put(station.RawKey(parked), 2000))
	day1(h.put("replay/"+replayID(parked)+"/1.ts", 7), h.put("replay/"+replayID(parked)+"/2.ts", 7))

	for _, id := range []string{h.over(), h.released(station.JobPending)} { // tried before, about to be tried again
		kept(h.put(station.RawKey(id), 2000), h.put("replay/"+replayID(id)+"/1.ts", 7))
	}
	running := h.over()
	h.claim(running)
	kept(h.put(station.RawKey(running), 2000), h.put("replay/"+replayID(running)+"/1.ts", 7))

	unknown := uuid.NewString()
	kept(h.put(station.RawKey(unknown), 50)) // precious: perhaps the catalog is an old copy
	kept(h.put("replay/"+unknown+"/index.m3u8", 1), h.put("replay/"+unknown+"/audio.mp3", 1))
	day7(h.put("live/"+unknown+"/index.m3u8", 1))

	kept(h.put("raw/notes.txt", 5), h.put("replay/readme.txt", 5), h.put("live/x/1.ts", 5), h.put("other/1.ts", 5))
	return stay, go1, go7
}

func sorted(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return all
}

func TestWhatGoesWhen(t *testing.T) {
	h := newHouse(t)
	stay, go1, go7 := h.past()
	for _, step := range []struct {
		after   time.Duration
		want    []string
		objects int64
		left    int
	}{
		{day - time.Hour, sorted(stay, go1, go7), 0, 0},
		{day + time.Hour, sorted(stay, go7), int64(len(go1)), 3}, // readme.txt, live/x, the unknown replay
		{day + 2*time.Hour, sorted(stay, go7), 0, 3},
		{7*day - time.Hour, sorted(stay, go7), 0, 3},
		{7*day + time.Hour, sorted(stay), int64(len(go7)), 6}, // notes.txt, the unknown recording, that which should be empty
		{1000 * day, sorted(stay), 0, 6},
	} {
		h.now = h.begun.Add(step.after)
		dry := h.clean(true)
		wet := h.clean(false)
		if got := h.keys(); !slices.Equal(got, step.want) {
			t.Errorf("after %v there is\n%s\nwant\n%s", step.after, strings.Join(got, "\n"), strings.Join(step.want, "\n"))
		}
		if len(wet.Left) != step.left {
			t.Errorf("after %v left %+v, want %d", step.after, wet.Left, step.left)
		}
		var objects int64
		for _, total := range wet.Totals {
			objects += total.Objects
		}
		if objects != step.objects {
			t.Errorf("after %v reported %d objects, want %d:\n%s", step.after, objects, step.objects, &wet)
		}
		if dry.Summary() != wet.Summary() {
			t.Errorf("a dry run promised %s, done was %s", dry.Summary(), wet.Summary())
		}
	}
}

// readOnly fails on whatever would change it.
type readOnly struct{ hls.Store }

func (readOnly) Put(context.Context, string, io.ReadSeeker) error { return errors.New("read only") }
func (readOnly) Delete(context.Context, string) error             { return errors.New("read only") }

func TestDryRunTouchesNothing(t *testing.T) {
	h := newHouse(t)
	h.past()
	before := h.keys()
	h.must(h.catalog.Record(t.Context(), []station.Event{{ID: uuid.NewString(), At: h.begun, Kind: station.EventJoin}}, nil))
	h.cfg.Store = readOnly{h.store}
	h.cfg.SweepTemp = func(dryRun bool) (int, int64, error) {
		if !dryRun {
			t.Error("asked to delete temporary folders")
		}
		return 1, 0, nil
	}
	h.cfg.AbortUploads = func(_ context.Context, before time.Time, dryRun bool) (int, int64, error) {
		if !dryRun || !before.Equal(h.now.Add(-day)) {
			t.Errorf("asked to abort uploads before %v, dry %v", before, dryRun)
		}
		return 2, 10_000_000, nil
	}
	h.now = h.begun.Add(100 * day)
	r := h.clean(true)
	if got := h.keys(); !slices.Equal(got, before) {
		t.Errorf("there is\n%s", strings.Join(got, "\n"))
	}
	if left, err := h.catalog.ListEvents(t.Context(), station.EventQuery{}); err != nil || len(left) != 1 {
		t.Errorf("events: %v %v", left, err)
	}
	if len(r.Totals) != 6 {
		t.Errorf("want something of each kind:\n%s", &r)
	}
	for _, want := range []string{"would delete raw", "its replay has been published for 7 days", "would delete upload    10.0 MB", "left, look at it: raw", "would delete 10.0 MB: temp 1 0 B, raw ", "audit 1 0 B\n"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &r)
		}
	}
}

// The law counts days: an event is kept for 90 of them and not much longer.
func TestAudit(t *testing.T) {
	h := newHouse(t)
	h.must(h.catalog.Record(t.Context(), []station.Event{{ID: uuid.NewString(), At: h.begun, Kind: station.EventJoin}}, nil))
	for after, want := range map[time.Duration]int{89 * day: 1, 90*day - time.Minute: 1, 91 * day: 0} {
		h.now = h.begun.Add(after)
		r := h.clean(true)
		if got := 1 - len(r.Totals); got != want {
			t.Errorf("after %v %d events are left, want %d", after, got, want)
		}
	}
	h.clean(false)
}

// used is what a folder takes on the disk.
func used(t *testing.T, folder string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		bytes += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// Space is really freed (M11): what is reported is what the disk has got back,
// folders included.
func TestSpaceIsFreed(t *testing.T) {
	h := newHouse(t)
	folder := t.TempDir()
	dir, err := hls.NewDir(folder)
	h.must(err)
	defer func() { h.must(dir.Close()) }()
	h.store = dir.WithoutSync()
	h.cfg.Store = h.store
	done := h.published()
	mp3 := h.put("replay/"+replayID(done)+"/audio.mp3", 100_000)
	lone := used(t, folder)
	for range 20 {
		h.put(station.RawKey(h.published()), 1_000_000)
		orphan := h.released(station.JobParked)
		for n := range 5 {
			h.put(fmt.Sprintf("replay/%s/%d.ts", replayID(orphan), n), 10_000)
		}
	}
	before := used(t, folder)
	h.now = h.begun.Add(8 * day)
	r := h.clean(false)
	after := used(t, folder)
	if r.Bytes() != 21_000_000 || before-after < r.Bytes() || after > lone+4096 {
		t.Errorf("reported %d, the disk got back %d, holds %d and should %d", r.Bytes(), before-after, after, lone)
	}
	if got := h.keys(); !slices.Equal(got, []string{mp3}) {
		t.Errorf("left %v", got)
	}
}
