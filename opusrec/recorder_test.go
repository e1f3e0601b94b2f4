package opusrec

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/opusrec/internal/ogg"
)

func begin(t testing.TB, cfg Config) *Recorder {
	t.Helper()
	r, err := Create(filepath.Join(t.TempDir(), "live.opus"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// write records packets into a new file and closes it.
func write(t testing.TB, cfg Config, packets []media.Packet) string {
	t.Helper()
	r := begin(t, cfg)
	if err := media.Copy(r, mediatest.Packets(packets...)); err != nil {
		t.Fatal(err)
	}
	return r.Path()
}

func TestRecorderIsSink(t *testing.T) {
	var last *Recorder
	mediatest.TestSink(t, func(t *testing.T) media.Sink {
		last = begin(t, Config{})
		if t.Name() == "TestRecorderIsSink/takes_a_live" {
			t.Cleanup(func() {
				got, _ := readFile(t, last.Path())
				samePackets(t, got, mediatest.Conformance())
			})
		}
		return last
	})
}

func TestRoundTrip(t *testing.T) {
	packets := long(t, 10*time.Second)
	path := write(t, Config{Channels: 1}, packets)
	got, damage := readFile(t, path)
	samePackets(t, got, packets)
	if damage.Bytes != 0 || damage.Unended || damage.Headers {
		t.Errorf("damage %+v", damage)
	}
	info, err := Inspect(path)
	if err != nil || info.Duration != 10*time.Second || !info.Ended || info.Channels != 1 || info.PreSkip != 312 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.opus")
	if err := os.WriteFile(taken, []byte("a recording"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(taken, Config{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	if b, err := os.ReadFile(taken); err != nil || string(b) != "a recording" {
		t.Errorf("it was overwritten: %q, %v", b, err)
	}
	if _, err := Create(filepath.Join(dir, "none", "live.opus"), Config{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such directory: %v", err)
	}
	for name, cfg := range map[string]Config{
		"Channels":     {Channels: 3},
		"PreSkip":      {PreSkip: 65536},
		"PageDuration": {PageDuration: 2 * time.Second},
		"MaxGap":       {MaxGap: -1},
		"comment":      {Tags: Tags{Comments: []string{"no value"}}},
		"tags":         {Tags: Tags{Title: strings.Repeat("x", maxPacket)}},
	} {
		if _, err := Create(filepath.Join(dir, "live.opus"), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestPages looks at the pages themselves: at most a second, whole packets,
// granule positions as RFC 7845 wants them.
func TestPages(t *testing.T) {
	tiny := slices.Repeat([]media.Packet{{Duration: 120, Data: []byte{28 << 3, 1, 2}}}, 1000)
	huge := slices.Repeat([]media.Packet{{Duration: 5760, Data: append([]byte{31<<3 | 3, 6}, make([]byte, 6*1275)...)}}, 40)
	largest := slices.Repeat([]media.Packet{{Duration: 5760, Data: append([]byte{28<<3 | 3, 48}, make([]byte, 48*1275)...)}}, 3)
	sixty := slices.Repeat([]media.Packet{{Duration: 2880, Data: []byte{11 << 3, 1, 2}}}, 40)
	tests := map[string]struct {
		packets []media.Packet
		perPage int
	}{
		"20 ms":                {long(t, 3*time.Second), 50},
		"60 ms":                {sixty, 16},
		"2.5 ms":               {tiny, 255},  // segments of a page
		"120 ms, 510 kbps":     {huge, 8},    // 1 s
		"largest there may be": {largest, 1}, // bytes of a page
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			packets := slices.Clone(tt.packets)
			for i := range packets[1:] {
				packets[i+1].PTS = packets[i].End()
			}
			b := bytesOf(t, write(t, Config{Serial: 9}, packets))
			granule, sequence, n := int64(0), uint32(0), 0
			for at := 0; at < len(b); sequence++ {
				page, err := ogg.Parse(b[at:])
				if err != nil {
					t.Fatal(err)
				}
				at += page.Size()
				if page.Sequence != sequence || page.Serial != 9 || page.Flags&ogg.Continued != 0 ||
					(page.Flags&ogg.First != 0) != (sequence == 0) || (page.Flags&ogg.Last != 0) != (at == len(b)) {
					t.Fatalf("page %d says %+v", sequence, page.Header)
				}
				if sequence < 2 {
					if page.Granule != 0 {
						t.Errorf("header page %d has granule position %d", sequence, page.Granule)
					}
					continue
				}
				count := 0
				for p, ends := range page.Packets() {
					if !ends || !bytes.Equal(p, packets[n].Data) {
						t.Fatalf("packet %d is not whole on page %d", n, sequence)
					}
					n, count = n+1, count+1
				}
				if page.Granule != packets[n-1].End() || page.Granule-granule > media.SampleRate {
					t.Errorf("page %d goes from %d to %d, its packets to %d", sequence, granule, page.Granule, packets[n-1].End())
				}
				if at < len(b) && count != tt.perPage {
					t.Errorf("page %d has %d packets, want %d", sequence, count, tt.perPage)
				}
				granule = page.Granule
			}
			if n != len(packets) {
				t.Errorf("%d packets on the pages, want %d", n, len(packets))
			}
		})
	}
}

// TestHoles records what a source left out as lost packets.
func TestHoles(t *testing.T) {
	at := func(pts int64) media.Packet {
		return media.Packet{PTS: pts, Duration: 960, Data: []byte{31 << 3, 1, 2, 3}}
	}
	tests := map[string]struct {
		pts  []int64
		lost int64 // packets
		end  int64
	}{
		"none":             {[]int64{0, 960}, 0, 1920},
		"begins late":      {[]int64{48000, 48960}, 50, 49920},
		"8 s":              {[]int64{0, 960 + 8*48000}, 400, 1920 + 8*48000},
		"less than 2.5 ms": {[]int64{0, 960 + 119}, 0, 1920},
		"which add up":     {[]int64{0, 960 + 119, 1920 + 238, 2880 + 357}, 2, 3840 + 240},
		"an hour":          {[]int64{0, 960 + 3600*48000}, 180_000, 1920 + 3600*48000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := begin(t, Config{SyncInterval: -1})
			for _, pts := range tt.pts {
				if err := r.WritePacket(at(pts)); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			stats := r.Stats()
			if stats.Lost != tt.lost || stats.Packets != tt.lost+int64(len(tt.pts)) || stats.Duration != media.Duration(tt.end) {
				t.Errorf("%+v, want %d lost and %v", stats, tt.lost, media.Duration(tt.end))
			}
			got, _ := readFile(t, r.Path())
			mediatest.CheckTimeline(t, got)
			var found []int64
			for _, p := range got {
				if !p.Lost {
					found = append(found, p.PTS)
				}
			}
			for i, pts := range tt.pts {
				if len(found) != len(tt.pts) || pts-found[i] >= shortestFrame || found[i] > pts {
					t.Fatalf("packets at %v, want %v", found, tt.pts)
				}
			}
		})
	}
}

// TestRefused checks that a refused packet changes nothing.
func TestRefused(t *testing.T) {
	r := begin(t, Config{MaxGap: time.Minute})
	good := media.Packet{Duration: 960, Data: []byte{31 << 3, 1, 2, 3}}
	if err := r.WritePacket(good); err != nil {
		t.Fatal(err)
	}
	before := r.Stats()
	for name, tt := range map[string]struct {
		packet media.Packet
		want   error
	}{
		"repeated":        {good, ErrOrder},
		"one sample back": {media.Packet{PTS: 959, Duration: 960, Data: good.Data}, ErrOrder},
		"negative":        {media.Packet{PTS: -960, Duration: 960, Data: good.Data}, ErrOrder},
		"too far":         {media.Packet{PTS: 961 + 60*48000, Duration: 960, Data: good.Data}, nil},
		"no data":         {media.Packet{PTS: 960, Duration: 960}, media.ErrInvalidPacket},
		"no packet":       {media.Packet{PTS: 960, Duration: 960, Data: []byte{31<<3 | 3, 0}}, media.ErrInvalidPacket},
		"wrong duration":  {media.Packet{PTS: 960, Duration: 480, Data: good.Data}, media.ErrInvalidPacket},
		"too large":       {media.Packet{PTS: 960, Duration: 960, Data: make([]byte, maxPacket+1)}, nil},
	} {
		if err := r.WritePacket(tt.packet); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if r.Stats() != before {
		t.Errorf("%+v, want still %+v", r.Stats(), before)
	}
	good.PTS = 960
	if err := r.WritePacket(good); err != nil {
		t.Errorf("the next good packet: %v", err)
	}
}

// TestDurable copies the durable bytes while the recording goes on: what was
// copied never changes, and every copy is a recording.
func TestDurable(t *testing.T) {
	r := begin(t, Config{})
	var backup []byte
	for i, p := range long(t, 6*time.Second) {
		if err := r.WritePacket(p); err != nil {
			t.Fatal(err)
		}
		if i%70 != 0 {
			continue
		}
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
		stats := r.Stats()
		if stats.Durable != r.Durable() || stats.Durable != stats.Bytes {
			t.Fatalf("after Sync %+v", stats)
		}
		now := bytesOf(t, r.Path())
		if int64(len(now)) != stats.Durable || !bytes.HasPrefix(now, backup) {
			t.Fatal("what was durable has changed")
		}
		backup = now
		got, _ := readFile(t, put(t, backup))
		if len(got) != i+1 {
			t.Fatalf("the backup holds %d packets, want %d", len(got), i+1)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if now := bytesOf(t, r.Path()); !bytes.HasPrefix(now, backup) || r.Durable() != int64(len(now)) {
		t.Errorf("after Close %d bytes are durable of %d", r.Durable(), len(now))
	}
	if err := r.Sync(); !errors.Is(err, ErrClosed) {
		t.Errorf("Sync after Close: %v", err)
	}
}

// TestCloseAfterSync ends the stream although all packets are on earlier pages.
func TestCloseAfterSync(t *testing.T) {
	packets := long(t, time.Second)
	r := begin(t, Config{})
	for _, p := range packets {
		if err := r.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Sync(), r.Close()); err != nil {
		t.Fatal(err)
	}
	got, damage := readFile(t, r.Path())
	samePackets(t, got, packets)
	if damage.Unended {
		t.Error("the stream has no end")
	}
}

// TestSyncBehindClose is a Sync that found the recorder open and comes to the
// disk after Close: nothing has failed.
func TestSyncBehindClose(t *testing.T) {
	r := begin(t, Config{})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.closed = false // what Sync saw
	r.mu.Unlock()
	if err := r.Sync(); !errors.Is(err, ErrClosed) || r.err != nil {
		t.Errorf("%v, the recorder says %v", err, r.err)
	}
}

// disk is a file whose failures are chosen.
type disk struct {
	mu       sync.Mutex
	content  []byte
	room     int           // bytes until it is full
	syncTime time.Duration // how long a sync takes
	syncs    int
	bad      error // of every Sync
	stuck    error // of every Truncate
	closed   bool
}

func (d *disk) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(b), d.room)
	d.content, d.room = append(d.content, b[:n]...), d.room-n
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *disk) Truncate(size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stuck == nil {
		d.content = d.content[:size]
	}
	return d.stuck
}

func (d *disk) Sync() error {
	time.Sleep(d.syncTime)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	return d.bad
}

func (d *disk) Close() error {
	d.closed = true
	return nil
}

func recordOn(t *testing.T, d *disk, cfg Config) *Recorder {
	t.Helper()
	if err := cfg.fill(); err != nil {
		t.Fatal(err)
	}
	r, err := record("live.opus", d, cfg, newHead(2, 312).raw, []byte(tagsMagic))
	if err != nil {
		t.Fatal(err)
	}
	go r.syncLoop()
	return r
}

func TestDiskFull(t *testing.T) {
	packets := long(t, 10*time.Second)
	for name, stuck := range map[string]error{"": nil, "and cannot truncate": syscall.EIO} {
		t.Run("full"+name, func(t *testing.T) {
			var log bytes.Buffer
			d := &disk{room: 20_000, stuck: stuck}
			r := recordOn(t, d, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			var first error
			for _, p := range packets {
				if err := r.WritePacket(p); first == nil {
					first = err
				} else if !errors.Is(err, first) {
					t.Fatalf("first %v, then %v", first, err)
				}
			}
			if !errors.Is(first, syscall.ENOSPC) || !strings.Contains(first.Error(), "live.opus") {
				t.Errorf("error %v", first)
			}
			if err := r.Close(); !errors.Is(err, first) || !d.closed {
				t.Errorf("Close: %v, file closed %v", err, d.closed)
			}
			if err := r.Sync(); err == nil {
				t.Error("Sync says that all is well")
			}
			if !strings.Contains(log.String(), "recording failed") {
				t.Errorf("log: %s", log.String())
			}
			path := put(t, d.content)
			report, err := Recover(path)
			if err != nil || report.Rewritten || (report.BytesCut > 0) != (stuck != nil) {
				t.Errorf("%+v, %v", report, err)
			}
			got, _ := readFile(t, path)
			samePackets(t, got, packets[:report.Packets])
			if r.Stats().Bytes != d.whole(t) {
				t.Errorf("%d bytes said to be written, %d are", r.Stats().Bytes, d.whole(t))
			}
		})
	}
}

// whole is where the last whole page ends.
func (d *disk) whole(t *testing.T) int64 {
	s := ogg.NewScanner(bytes.NewReader(d.content))
	for {
		end := s.Offset()
		if _, skipped, err := s.Next(1 << 40); err != nil {
			return end
		} else if skipped > 0 {
			t.Fatal("damage in the middle")
		}
	}
}

// TestSyncFails stops the recorder: what could not be synced may be gone.
func TestSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: 1 << 20}
		r := recordOn(t, d, Config{})
		durable := r.Durable()
		d.bad = syscall.EIO
		packets := long(t, 3*time.Second)
		for _, p := range packets[:51] {
			if err := r.WritePacket(p); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // for the sync of the first page
		err := r.WritePacket(packets[51])
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "sync") {
			t.Errorf("the write after it: %v", err)
		}
		if err := r.Close(); !errors.Is(err, syscall.EIO) || r.Durable() != durable {
			t.Errorf("Close: %v; %d bytes durable, want %d", err, r.Durable(), durable)
		}
	})
	d := &disk{room: 1 << 20}
	r := recordOn(t, d, Config{SyncInterval: -1})
	d.bad = syscall.EIO
	if err := r.WritePacket(long(t, time.Second)[0]); err != nil {
		t.Error(err)
	}
	if err := r.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync: %v", err)
	}
	if err := r.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close: %v", err)
	}
	r = recordOn(t, &disk{room: 1 << 20}, Config{})
	r.file.(*disk).bad = syscall.EIO
	if err := r.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close that syncs first: %v", err)
	}
}

// TestSlowDisk records in real time on a disk whose syncs take 15 s: no write
// waits for one.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: 1 << 20}
		r := recordOn(t, d, Config{})
		d.syncTime = 15 * time.Second
		start := time.Now()
		packets := long(t, 40*time.Second)
		for i, p := range packets {
			time.Sleep(20 * time.Millisecond)
			if err := r.WritePacket(p); err != nil {
				t.Fatal(err)
			}
			if late := time.Since(start) - time.Duration(i+1)*20*time.Millisecond; late != 0 {
				t.Fatalf("packet %d waited %v", i, late)
			}
			if behind := r.Stats().Bytes - r.Durable(); i > 60 && behind > 31*6000 {
				t.Fatalf("%d bytes are not durable", behind)
			}
		}
		if d.syncs != 3 { // the headers, and two of 15 s
			t.Errorf("%d syncs in 40 s", d.syncs)
		}
		if err := r.Close(); err != nil || r.Durable() != int64(len(d.content)) {
			t.Errorf("Close: %v; %d bytes durable of %d", err, r.Durable(), len(d.content))
		}
	})
}

func TestSyncInterval(t *testing.T) {
	for _, tt := range []struct {
		interval time.Duration
		want     int // syncs in ten pages, with that of the headers and that of Close
	}{{0, 11}, {time.Second, 11}, {3 * time.Second, 5}, {-1, 2}} {
		synctest.Test(t, func(t *testing.T) {
			d := &disk{room: 1 << 20}
			r := recordOn(t, d, Config{SyncInterval: tt.interval})
			for _, p := range long(t, 10*time.Second) {
				if err := r.WritePacket(p); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if d.syncs != tt.want {
				t.Errorf("every %v: %d syncs, want %d", tt.interval, d.syncs, tt.want)
			}
		})
	}
}

// TestFileTakenAway notices at the end that nobody will find the recording.
func TestFileTakenAway(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed":           os.Remove,
		"directory removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(t, Config{})
			if err := r.WritePacket(long(t, time.Second)[0]); err != nil {
				t.Fatal(err)
			}
			if err := take(r.Path()); err != nil {
				t.Fatal(err)
			}
			err := r.Close()
			if err == nil || !strings.Contains(err.Error(), name[len(name)-7:]) {
				t.Errorf("Close: %v", err)
			}
			if again := r.Close(); again != err {
				t.Errorf("second Close: %v", again)
			}
		})
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	r := begin(t, Config{PageDuration: 120 * time.Millisecond})
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if s := r.Stats(); s.Durable > s.Bytes {
						t.Errorf("%+v", s)
						return
					}
					if err := r.Sync(); err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	packets := long(t, 4*time.Second)
	if err := media.Copy(r, mediatest.Packets(packets...)); err != nil {
		t.Error(err)
	}
	wait.Go(func() { _ = r.Close() })
	close(stop)
	wait.Wait()
	got, _ := readFile(t, r.Path())
	samePackets(t, got, packets)
}

func TestNoAllocations(t *testing.T) {
	r := recordOn(t, &disk{room: 1 << 30}, Config{SyncInterval: -1})
	defer r.Close()
	r.file.(*disk).content = make([]byte, 0, 1<<20)
	p := numbered(0)
	if n := testing.AllocsPerRun(2000, func() {
		if err := r.WritePacket(p); err != nil {
			t.Fatal(err)
		}
		p.PTS = p.End()
	}); n > 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}
