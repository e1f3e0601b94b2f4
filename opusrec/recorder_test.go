package opusrec

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
)

// speech is four seconds of Opus made by opusenc, 20 ms each.
func speech(t testing.TB) []media.Packet {
	t.Helper()
	packets, _ := readFile(t, "testdata/opusenc.opus")
	return packets
}

// long repeats speech until it lasts that long.
func long(t testing.TB, d time.Duration) []media.Packet {
	t.Helper()
	var all []media.Packet
	for pts := int64(0); pts < media.Samples(d); {
		for _, p := range speech(t) {
			if pts >= media.Samples(d) {
				break
			}
			p.PTS = pts
			pts = p.End()
			all = append(all, p)
		}
	}
	return all
}

func readFile(t testing.TB, path string) ([]media.Packet, Damage) {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return readAll(t, r), r.Damage()
}

func readAll(t testing.TB, src media.Source) (packets []media.Packet) {
	t.Helper()
	for {
		p, err := src.ReadPacket()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
	}
}

// write records packets into a new file and closes it.
func write(t testing.TB, cfg Config, packets []media.Packet) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.opus")
	r, err := Create(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := r.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func samePackets(t testing.TB, got, want []media.Packet) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].PTS != want[i].PTS || got[i].Duration != want[i].Duration ||
			got[i].Lost != want[i].Lost || string(got[i].Data) != string(want[i].Data) {
			t.Fatalf("packet %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestRoundTrip(t *testing.T) {
	packets := long(t, 10*time.Second)
	path := write(t, Config{Tags: Tags{Title: "Sur la route"}}, packets)
	got, damage := readFile(t, path)
	samePackets(t, got, packets)
	if damage.Bytes != 0 || damage.Unended || damage.Headers {
		t.Errorf("damage %+v", damage)
	}
	info, err := Inspect(path)
	if err != nil || info.Duration != 10*time.Second || !info.Ended || info.Tags.Title != "Sur la route" {
		t.Errorf("%+v, %v", info, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 100, 5000} {
		if err := os.WriteFile(path, whole[:len(whole)-cut], 0o644); err != nil {
			t.Fatal(err)
		}
		report, err := Recover(path)
		t.Logf("%+v, %v", report, err)
		report, err = Recover(path)
		t.Logf("%+v, %v", report, err)
	}
	whole[20000] ^= 1
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	report, err := Recover(path)
	t.Logf("%+v, %v", report, err)
	report, err = Recover(path)
	t.Logf("%+v, %v", report, err)
}
