package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func openBox(t testing.TB, path string) *Outbox {
	t.Helper()
	o, err := OpenOutbox(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

func TestOutboxConformance(t *testing.T) {
	stationtest.TestOutbox(t, func(t *testing.T, dir string) (station.Outbox, func()) {
		o := openBox(t, filepath.Join(dir, "outbox.db"))
		return o, func() {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func events(n int) []station.Event {
	all := make([]station.Event, n)
	for i := range all {
		all[i] = station.Event{
			ID: uuid.NewString(), Kind: station.EventJoin, At: time.Now(), LiveID: "a-live-of-thirty-six-characters-long",
			UserID: "a-user-of-some-length", Position: &station.Position{Lat: 43.7, Lon: 7.25},
		}
	}
	return all
}

// The catalog is away for long: the file grows, and is given back when all has
// been delivered, while new records come.
func TestOutboxShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	o := openBox(t, path)
	size := func() (total int64) {
		for _, suffix := range []string{"", "-wal"} {
			info, err := os.Stat(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			total += info.Size()
		}
		return total
	}
	const backlog = 30_000
	for range backlog / 2000 {
		if err := o.Append(t.Context(), events(2000), nil); err != nil {
			t.Fatal(err)
		}
	}
	full := size()
	for {
		batch, _, through, err := o.Next(t.Context(), 500)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Drop(t.Context(), through); err != nil {
			t.Fatal(err)
		}
		if len(batch) < 500 {
			break
		}
		if err := o.Append(t.Context(), events(10), nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d records were %d bytes, drained it is %d", backlog, full, size())
	if size() > full/2 || full < 12<<20 {
		t.Errorf("the file had %d bytes with %d records and has %d without", full, backlog, size())
	}
}

func TestOutboxDamaged(t *testing.T) {
	filled := func(t *testing.T, path string) error {
		o := openBox(t, path)
		batch := events(2000)
		for i := range batch {
			batch[i].ID = fmt.Sprint(i)
		}
		return errors.Join(o.Append(t.Context(), batch, nil), o.Close())
	}
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, path string) error
		saves   bool
	}{
		"not a database": {func(t *testing.T, path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600)
		}, false},
		"noise inside": {func(t *testing.T, path string) error {
			if err := filled(t, path); err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte(strings.Repeat("\xde\xad\xbe\xef", 4096)), 64<<10)
			return err
		}, true},
		"cut": {func(t *testing.T, path string) error {
			return errors.Join(filled(t, path), os.Truncate(path, 30_000))
		}, false},
		"something else": {func(t *testing.T, path string) error {
			db, err := connect(path, 1, nil)
			if err != nil {
				return err
			}
			defer db.Close()
			_, err = db.ExecContext(t.Context(), "CREATE TABLE records (id TEXT)")
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "outbox.db")
			if err := tt.prepare(t, path); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o := openBox(t, path)
			if !strings.HasPrefix(o.Damaged(), path+".damaged-") {
				t.Errorf("the damaged file is said to be at %q", o.Damaged())
			}
			if kept, err := os.ReadFile(o.Damaged()); err != nil || len(kept) != len(before) {
				t.Errorf("of %d bytes %d were kept (%v)", len(before), len(kept), err)
			}
			saved, _, _, err := o.Next(t.Context(), 1_000_000)
			if n, _ := o.Len(t.Context()); err != nil || len(saved) != n || (n > 0) != tt.saves {
				t.Errorf("%d records were saved, %d wait (%v)", len(saved), n, err)
			}
			for i, e := range saved {
				if e.ID != fmt.Sprint(i) {
					t.Fatalf("record %d is %+v", i, e)
				}
			}
			if err := o.Append(t.Context(), events(3), nil); err != nil {
				t.Error(err)
			}
			if err := o.Close(); err != nil {
				t.Error(err)
			}
			again := openBox(t, path)
			if n, err := again.Len(t.Context()); n != len(saved)+3 || err != nil || again.Damaged() != "" {
				t.Errorf("%d records wait (%v), damaged: %q", n, err, again.Damaged())
			}
		})
	}
}

func TestOutboxRefusesToOpen(t *testing.T) {
	for name, path := range map[string]string{"no folder": filepath.Join(t.TempDir(), "none", "outbox.db"), "a folder": t.TempDir()} {
		o, err := OpenOutbox(t.Context(), path)
		if err == nil {
			o.Close()
			t.Errorf("%s: it opened", name)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not say where: %v", name, err)
		}
	}
}

func TestOutboxFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	if err := openBox(t, path).Append(t.Context(), events(1), nil); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s%s: %v (%v), want it for its owner alone", path, suffix, info.Mode(), err)
		}
	}
}

func TestOutboxSettings(t *testing.T) {
	o := openBox(t, filepath.Join(t.TempDir(), "outbox.db"))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "auto_vacuum": "2"} {
		var got string
		if err := o.writer.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", pragma, got, err, want)
		}
	}
}

// What older versions left in the outbox must be read for ever: this is how they
// wrote it.
func TestOutboxFormat(t *testing.T) {
	o := openBox(t, filepath.Join(t.TempDir(), "outbox.db"))
	event := station.Event{
		ID: "id", Kind: station.EventLiveEnd, At: time.Date(2026, 7, 14, 20, 0, 0, 123456000, time.UTC), LiveID: "live", UserID: "léa", ZoneGeo: "Nice",
		Position: &station.Position{Lat: 43.5, Lon: -7.25}, Category: "bruit", Listened: time.Minute,
		Stats: station.LiveStats{Duration: time.Hour, Packets: 1, Lost: 2, Visits: 3, PeakListeners: 4, Likes: 5, Reports: 6},
	}
	sample := station.Sample{LiveID: "live", At: event.At.Truncate(time.Second), Counters: station.Counters{Listeners: 1, Likes: 2, Reports: 3, Visits: 4}}
	written := map[string]string{
		"event": `{"ID":"id","Kind":"live_end","At":"2026-07-14T20:00:00.123456Z","LiveID":"live","UserID":"léa","ZoneGeo":"Nice",` +
			`"Position":{"Lat":43.5,"Lon":-7.25},"Category":"bruit","Listened":60000000000,` +
			`"Stats":{"Duration":3600000000000,"Packets":1,"Lost":2,"Visits":3,"PeakListeners":4,"Likes":5,"Reports":6}}`,
		"sample": `{"LiveID":"live","At":"2026-07-14T20:00:00Z","Listeners":1,"Likes":2,"Reports":3,"Visits":4}`,
	}
	for kind, body := range written {
		if _, err := o.writer.ExecContext(t.Context(), "INSERT INTO records (kind, body) VALUES (?, ?)", kind, body); err != nil {
			t.Fatal(err)
		}
	}
	gotEvents, gotSamples, _, err := o.Next(t.Context(), 10)
	if err != nil || !reflect.DeepEqual(gotEvents, []station.Event{event}) || !reflect.DeepEqual(gotSamples, []station.Sample{sample}) {
		t.Errorf("read %+v and %+v (%v)", gotEvents, gotSamples, err)
	}
}

// What this version cannot read does not hold up the rest, and is not lost.
func TestOutboxUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outbox.db")
	o := openBox(t, path)
	for i, record := range [][2]string{{"event", `{"ID":"1"}`}, {"gift", "{}"}, {"event", "{"}, {"event", `{"ID":"2"}`}} {
		if _, err := o.writer.ExecContext(t.Context(), "INSERT INTO records VALUES (?, ?, ?, 0)", i+1, record[0], record[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // opened again, it tries again
		o := openBox(t, path)
		for _, number := range []string{"record 2", "record 3"} {
			if _, _, _, err := o.Next(t.Context(), 10); err == nil || !strings.Contains(err.Error(), number) {
				t.Errorf("%v, want a word about %s", err, number)
			}
		}
		got, _, through, err := o.Next(t.Context(), 10)
		if n, _ := o.Len(t.Context()); err != nil || len(got) != n {
			t.Errorf("%d records (%v), %d wait", len(got), err, n)
		}
		if err := o.Drop(t.Context(), through); err != nil {
			t.Error(err)
		}
		if n, err := o.Len(t.Context()); n != 0 || err != nil {
			t.Errorf("%d wait (%v)", n, err)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkOutboxAppend keeps records in commits of different sizes.
func BenchmarkOutboxAppend(b *testing.B) {
	for _, n := range []int{1, 100, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := openBox(b, filepath.Join(b.TempDir(), "outbox.db"))
			batch := events(n)
			for b.Loop() {
				if err := o.Append(b.Context(), batch, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkOutboxDrain takes 200 000 records out, 500 at a time: five minutes of
// a catalog away.
func BenchmarkOutboxDrain(b *testing.B) {
	const backlog = 200_000
	var slowest time.Duration
	var left int64
	for b.Loop() {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), "outbox.db")
		o := openBox(b, path)
		for range backlog / 2000 {
			if err := o.Append(b.Context(), events(2000), nil); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		for {
			began := time.Now()
			batch, _, through, err := o.Next(b.Context(), 500)
			if err != nil {
				b.Fatal(err)
			}
			if len(batch) == 0 {
				break
			}
			if err := o.Drop(b.Context(), through); err != nil {
				b.Fatal(err)
			}
			slowest = max(slowest, time.Since(began))
		}
		if err := o.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		left = info.Size()
	}
	b.ReportMetric(float64(backlog*b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(slowest.Seconds()*1000, "slowest-ms")
	b.ReportMetric(float64(left), "file-bytes")
}
