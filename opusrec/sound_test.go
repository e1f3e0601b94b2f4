package opusrec

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
)

// long is speech made by opusenc (four seconds, 20 ms a packet), repeated until
// it lasts that long.
func long(t testing.TB, d time.Duration) []media.Packet {
	t.Helper()
	speech, _ := readFile(t, "testdata/opusenc.opus")
	packets := make([]media.Packet, 0, media.Samples(d)/960)
	for pts := int64(0); pts < media.Samples(d); {
		p := speech[len(packets)%len(speech)]
		p.PTS = pts
		pts = p.End()
		packets = append(packets, p)
	}
	return packets
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

func samePackets(t testing.TB, got, want []media.Packet) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d packets, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].PTS != want[i].PTS || got[i].Duration != want[i].Duration ||
			got[i].Lost != want[i].Lost || !bytes.Equal(got[i].Data, want[i].Data) {
			t.Fatalf("packet %d is %v, want %v", i, got[i], want[i])
		}
	}
}
