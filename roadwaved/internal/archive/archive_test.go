package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/roadwaved/internal/disk"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const node = "paris-1"

// A house is what an archive works between.
type house struct {
	t       *testing.T
	folder  string
	catalog *stationtest.Catalog
	store   *flaky
	queue   *queue
	log     *bytes.Buffer
	jobs    station.Jobs
}

func newHouse(t *testing.T) *house {
	catalog := &stationtest.Catalog{}
	return &house{
		t: t, folder: filepath.Join(t.TempDir(), "recordings"), catalog: catalog, jobs: catalog,
		store: &flaky{Store: hls.NewMemory()}, queue: &queue{}, log: &bytes.Buffer{},
	}
}

// queue notes what was asked for.
type queue struct {
	station.Queue
	mu    sync.Mutex
	err   error
	asked []string
}

func (q *queue) Enqueue(_ context.Context, id string, p station.Priority) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.asked = append(q.asked, fmt.Sprint(id, " ", p))
	}
	return q.err
}

// flaky is a store that can fail and counts.
type flaky struct {
	hls.Store
	mu     sync.Mutex
	fail   func(ctx context.Context, key string) error
	puts   int
	most   int
	active int
}

func (s *flaky) set(fail func(ctx context.Context, key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *flaky) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	s.mu.Lock()
	fail := s.fail
	s.puts++
	s.active++
	s.most = max(s.most, s.active)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.active--
		s.mu.Unlock()
	}()
	if fail != nil {
		if err := fail(ctx, key); err != nil {
			return err
		}
	}
	return s.Store.Put(ctx, key, body)
}

func (h *house) archive(change func(*Config)) *Archive {
	h.t.Helper()
	cfg := Config{
		Store: h.store, Jobs: h.jobs, Lives: h.catalog, Queue: h.queue,
		Recordings: h.folder, Node: node, MinFree: -1,
		Logger: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// live puts one on air, and its recording on the disk unless that is empty.
func (h *house) live(id, recording string) {
	h.t.Helper()
	l := station.Live{ID: id, CreatorID: "c", Title: "t", Node: node, StartedAt: time.Now(), Premium: strings.HasPrefix(id, "premium")}
	if err := h.catalog.StartLive(h.t.Context(), l); err != nil {
		h.t.Fatal(err)
	}
	if recording != "" {
		h.write(id, recording)
	}
}

func (h *house) write(id, recording string) {
	h.t.Helper()
	if err := os.MkdirAll(h.folder, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.folder, id+".opus"), []byte(recording), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) end(id string, d time.Duration) {
	h.t.Helper()
	h.over(id, station.End{At: time.Now(), State: station.Ended, Reason: station.EndCreator, Stats: station.LiveStats{Duration: d}})
}

func (h *house) over(id string, e station.End) {
	h.t.Helper()
	if err := h.catalog.EndLive(h.t.Context(), id, e); err != nil {
		h.t.Fatal(err)
	}
}

// expect checks where everything of a live is: its job, what the store has ("" is
// nothing) and whether the file is still on the disk.
func (h *house) expect(id string, state station.JobState, stored string, onDisk bool) {
	h.t.Helper()
	job, err := h.catalog.Job(h.t.Context(), id)
	if state == "" {
		if !errors.Is(err, station.ErrNotFound) {
			h.t.Errorf("%s has a job: %+v, %v", id, job, err)
		}
	} else if err != nil || job.State != state {
		h.t.Errorf("the job of %s is %q, %v, want %q", id, job.State, err, state)
	}
	got := ""
	if o, err := h.store.Open(h.t.Context(), station.RawKey(id)); err == nil {
		b, _ := io.ReadAll(o)
		got = string(b)
		o.Close()
	}
	if got != stored {
		h.t.Errorf("the store has %q of %s, want %q", got, id, stored)
	}
	if _, err := os.Stat(filepath.Join(h.folder, id+".opus")); (err == nil) != onDisk {
		h.t.Errorf("the file of %s: %v, want it there: %v", id, err, onDisk)
	}
}

// run runs an archive for a time.
func (h *house) run(a *Archive, d time.Duration) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), d)
	defer cancel()
	if err := a.Run(ctx); err != nil {
		h.t.Errorf("Run = %v", err)
	}
}

func TestUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.live("a", "sound of a")
		h.live("premium", "sound of p")
		h.live("silent", "")
		h.live("lost", "")
		h.live("crashed", "")
		h.live("on-air", "still going")
		h.end("a", time.Minute)
		h.end("premium", time.Minute)
		h.end("silent", 0)
		h.end("lost", time.Minute)
		h.over("crashed", station.End{At: time.Now(), State: station.Lost, Reason: station.EndCrash, Stats: station.LiveStats{Duration: time.Minute}})
		h.write("stranger", "what is this")
		h.run(h.archive(nil), time.Second)
		h.expect("a", station.JobPending, "sound of a", false)
		h.expect("premium", station.JobPending, "sound of p", false)
		h.expect("silent", station.JobEmpty, "", false)
		h.expect("crashed", station.JobEmpty, "", false) // before anything was heard
		h.expect("lost", station.JobPending, "", false)
		h.expect("on-air", "", "", true)
		h.expect("stranger", "", "", true)
		asked := strings.Join(h.queue.asked, ", ")
		for _, want := range []string{"a 0", "premium 1", "lost 0"} {
			if strings.Count(asked, want) != 1 {
				t.Errorf("the queue was asked for %s", asked)
			}
		}
		if log := h.log.String(); !strings.Contains(log, "level=ERROR msg=\"the recording of a live is gone") ||
			strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "the catalog does not know") {
			t.Errorf("the log says:\n%s", log)
		}
	})
}

func TestNudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.live("a", "sound")
		a := h.archive(nil)
		go func() {
			time.Sleep(2 * time.Second)
			h.end("a", time.Minute)
			a.Nudge("a")
		}()
		h.run(a, 3*time.Second)
		h.expect("a", station.JobPending, "sound", false)
	})
}

// The process is killed after each step, and the next one finishes the work.
func TestKilledBetweenSteps(t *testing.T) {
	for _, step := range []string{"while uploading", "after the upload", "after the catalog took note"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.live("a", "sound")
				h.end("a", time.Minute)
				ctx, kill := context.WithCancel(t.Context())
				switch step {
				case "while uploading":
					h.store.set(func(ctx context.Context, _ string) error { kill(); <-ctx.Done(); return ctx.Err() })
				case "after the upload":
					h.jobs = killing{Jobs: h.catalog, before: kill}
				case "after the catalog took note":
					h.jobs = killing{Jobs: h.catalog, after: func() {
						kill()
						os.Rename(filepath.Join(h.folder, "a.opus"), filepath.Join(h.folder, "a"))
					}}
				}
				if err := h.archive(nil).Run(ctx); err != nil {
					t.Fatal(err)
				}
				kill()
				if step == "after the catalog took note" {
					os.Rename(filepath.Join(h.folder, "a"), filepath.Join(h.folder, "a.opus"))
				}
				h.store.set(nil)
				h.jobs = h.catalog
				puts := h.store.puts
				h.run(h.archive(nil), time.Minute)
				h.expect("a", station.JobPending, "sound", false)
				if again := h.store.puts - puts; step != "while uploading" && again != 0 {
					t.Errorf("what the store has was uploaded %d times more", again)
				}
			})
		})
	}
}

// killing cancels the process around Deposited.
type killing struct {
	station.Jobs
	before, after func()
}

func (k killing) Deposited(ctx context.Context, id string, nothing bool) error {
	if k.before != nil {
		k.before()
		return context.Canceled
	}
	err := k.Jobs.Deposited(ctx, id, nothing)
	k.after()
	return err
}

// A store that is away for an hour: everything waits, is told of, and goes up
// soon after.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		for i := range 20 {
			id := fmt.Sprint("live-", i)
			h.live(id, "sound "+id)
			h.end(id, time.Minute)
		}
		h.store.set(func(context.Context, string) error { return station.ErrAway })
		a := h.archive(nil)
		go func() {
			time.Sleep(time.Hour)
			if b := a.Pending(); b.Recordings != 20 || b.Failing != 20 || b.Bytes == 0 || b.Oldest.IsZero() {
				t.Errorf("Pending() = %+v", b)
			}
			h.store.set(nil)
		}()
		h.run(a, time.Hour+2*time.Minute)
		for i := range 20 {
			id := fmt.Sprint("live-", i)
			h.expect(id, station.JobPending, "sound "+id, false)
		}
		if h.store.most > 2 {
			t.Errorf("%d uploads at the same time", h.store.most)
		}
		if h.store.puts > 20*70 {
			t.Errorf("%d attempts in an hour", h.store.puts)
		}
		if b := a.Pending(); b != (Backlog{}) {
			t.Errorf("Pending() = %+v afterwards", b)
		}
	})
}

// An upload that takes an hour is told of and does not hold up the others; what
// takes longer than PutTimeout is tried again.
func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		for _, id := range []string{"slow", "b", "c", "d"} {
			h.live(id, id)
			h.end(id, time.Minute)
		}
		first := true
		h.store.set(func(ctx context.Context, key string) error {
			if key != station.RawKey("slow") {
				return nil
			}
			wait := 10 * time.Minute
			if first {
				first, wait = false, time.Hour
			}
			select {
			case <-time.After(wait):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		a := h.archive(func(c *Config) { c.PutTimeout = 30 * time.Minute })
		go func() {
			time.Sleep(10 * time.Second)
			for _, id := range []string{"b", "c", "d"} {
				h.expect(id, station.JobPending, id, false)
			}
		}()
		h.run(a, 45*time.Minute)
		h.expect("slow", station.JobPending, "slow", false)
		if log := h.log.String(); strings.Count(log, "still being uploaded") < 30 {
			t.Errorf("the log says:\n%s", log)
		}
	})
}

func TestCatalogAndQueueAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.queue.err = station.ErrAway
		h.live("a", "sound")
		h.end("a", time.Minute)
		away := &awayJobs{Jobs: h.catalog, until: time.Now().Add(5 * time.Minute)}
		h.jobs = away
		a := h.archive(nil)
		h.run(a, 4*time.Minute)
		h.expect("a", station.JobUploading, "", true)
		h.run(a, 3*time.Minute)
		h.expect("a", station.JobPending, "sound", false)
		if log := h.log.String(); !strings.Contains(log, "the queue does not answer") {
			t.Errorf("the log says:\n%s", log)
		}
	})
}

type awayJobs struct {
	station.Jobs
	until time.Time
}

func (j *awayJobs) ListJobs(ctx context.Context, q station.JobQuery) ([]station.Job, error) {
	if time.Now().Before(j.until) {
		return nil, station.ErrAway
	}
	return j.Jobs.ListJobs(ctx, q)
}

// What is still being written is not handed on, whatever the catalog says.
func TestStillWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.live("known", "sou")
		h.live("unknown", "sou")
		h.end("known", time.Minute)
		h.end("unknown", time.Minute)
		var writing atomic.Bool
		writing.Store(true)
		h.store.set(func(_ context.Context, key string) error {
			if writing.Load() { // while it is being uploaded
				h.write("unknown", "sound")
			}
			return nil
		})
		a := h.archive(func(c *Config) { c.Recording = func(id string) bool { return id == "known" && writing.Load() } })
		go func() {
			time.Sleep(time.Minute)
			h.expect("known", station.JobUploading, "", true)
			h.write("known", "sound")
			writing.Store(false)
		}()
		h.run(a, 3*time.Minute)
		h.expect("known", station.JobPending, "sound", false)
		h.expect("unknown", station.JobPending, "sound", false)
	})
}

// A disk that was not there when the job was handed on comes back.
func TestLeftovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		for _, id := range []string{"back", "done"} {
			h.live(id, "")
			h.end(id, 0)
		}
		h.catalog.Deposited(t.Context(), "done", false)
		h.mark()
		h.run(h.archive(nil), time.Second)
		h.expect("back", station.JobEmpty, "", false)
		c, err := h.catalog.Claim(t.Context(), "done", "w", time.Now(), time.Minute)
		if err == nil {
			err = h.catalog.Publish(t.Context(), c, station.Replay{ID: "r", LiveID: "done", PublishedAt: time.Now()})
		}
		if err != nil {
			t.Fatal(err)
		}
		h.write("back", "sound")
		h.write("done", "its raw was deleted after 7 days")
		h.run(h.archive(nil), time.Second)
		h.expect("back", station.JobPending, "sound", false)
		h.expect("done", station.JobDone, "", false)
		if asked := strings.Join(h.queue.asked, ","); asked != "back 0" {
			t.Errorf("the queue was asked for %s", asked)
		}
	})
}

// What is a matter of another daemon is left alone and told once.
func TestOtherDaemons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.live("mine", "sound")
		h.live("on-air", "sound")
		h.end("mine", time.Minute)
		a := h.archive(func(c *Config) { c.Node = "paris-2" })
		h.run(a, time.Hour)
		h.expect("mine", station.JobUploading, "", true)
		h.expect("on-air", "", "", true)
		if log := h.log.String(); strings.Count(log, "level=WARN") != 2 || strings.Count(log, "node=paris-1") != 2 {
			t.Errorf("the log says:\n%s", log)
		}
	})
}

// mark says that the folder is the right one.
func (h *house) mark() {
	h.t.Helper()
	if err := errors.Join(os.MkdirAll(h.folder, 0o700), os.WriteFile(filepath.Join(h.folder, markName), nil, 0o600)); err != nil {
		h.t.Fatal(err)
	}
}

// A disk that is not mounted, or another one, does not make the lives of a crash
// lives that nobody heard: their jobs wait until it is there.
func TestWrongDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		disk := h.folder
		h.run(h.archive(nil), time.Second) // nothing is expected: it is the right one
		if _, err := os.Stat(filepath.Join(disk, markName)); err != nil {
			t.Fatal(err)
		}
		h.live("heard", "sound")
		h.live("silent", "")
		h.end("heard", 0)
		h.end("silent", 0)
		h.folder = filepath.Join(t.TempDir(), "empty")
		h.run(h.archive(nil), 10*time.Minute)
		h.expect("heard", station.JobUploading, "", false)
		h.expect("silent", station.JobUploading, "", false)
		if log := h.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "mount its disk") {
			t.Errorf("the log says:\n%s", log)
		}
		h.folder = disk
		h.run(h.archive(nil), time.Second)
		h.expect("heard", station.JobPending, "sound", false)
		h.expect("silent", station.JobEmpty, "", false)
	})
}

// A folder from before there were marks is known by what it holds.
func TestOldFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.live("heard", "sound")
		h.live("silent", "")
		h.end("silent", 0)
		h.end("heard", 0)
		h.run(h.archive(nil), time.Minute)
		h.expect("heard", station.JobPending, "sound", false)
		h.expect("silent", station.JobEmpty, "", false)
	})
}

// Who puts a recording into the store by hand is believed.
func TestPutByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.mark()
		h.live("a", "")
		h.end("a", 0)
		if err := h.store.Store.Put(t.Context(), station.RawKey("a"), strings.NewReader("sound")); err != nil {
			t.Fatal(err)
		}
		h.run(h.archive(nil), time.Second)
		h.expect("a", station.JobPending, "sound", false)
	})
}

func TestFolderGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.live("a", "")
		h.end("a", time.Minute)
		a := h.archive(nil)
		if err := os.RemoveAll(h.folder); err != nil {
			t.Fatal(err)
		}
		h.run(a, time.Minute)
		h.expect("a", station.JobUploading, "", false)
	})
}

func TestDiskFull(t *testing.T) {
	if _, known := disk.Free(t.TempDir()); !known {
		t.Skip("free space is not known on this system")
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.run(h.archive(func(c *Config) { c.MinFree = 1 << 62 }), 10*time.Minute+time.Second)
		if n := strings.Count(h.log.String(), "almost full"); n < 9 || n > 12 {
			t.Errorf("told %d times in 10 minutes", n)
		}
	})
}

func TestConfig(t *testing.T) {
	h := newHouse(t)
	for name, change := range map[string]func(*Config){
		"Store":       func(c *Config) { c.Store = nil },
		"Recordings":  func(c *Config) { c.Recordings = "" },
		"Interval":    func(c *Config) { c.Interval = time.Millisecond },
		"Concurrency": func(c *Config) { c.Concurrency = 65 },
		"PutTimeout":  func(c *Config) { c.PutTimeout = -1 },
	} {
		cfg := Config{Store: h.store, Jobs: h.jobs, Lives: h.catalog, Queue: h.queue, Recordings: h.folder}
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
	if _, err := os.Stat(h.folder); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made for a wrong configuration")
	}
}
