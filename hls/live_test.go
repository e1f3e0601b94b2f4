package hls

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"github.com/roadwave/roadwave/media"
)

const opusTOC = 0b11111_0_00 // CELT fullband 20 ms, mono, one frame

// packets yields synthetic Opus packets of 20 ms from PTS from, deterministic.
func packets(from int64, n int) []media.Packet {
	random := rand.New(rand.NewPCG(1, uint64(from)))
	list := make([]media.Packet, n)
	for i := range list {
		data := make([]byte, 100+random.IntN(40))
		for j := range data {
			data[j] = byte(random.Uint32())
		}
		data[0] = opusTOC
		list[i] = media.Packet{PTS: from + int64(i)*960, Duration: 960, Data: data}
	}
	return list
}

func newLive(t *testing.T, config Config) *Live {
	t.Helper()
	l, err := NewLive(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Remove(context.Background()) })
	return l
}

func writeAll(t *testing.T, l *Live, list []media.Packet) {
	t.Helper()
	for _, p := range list {
		if err := l.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, h http.Handler, url string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return do(t, h, http.MethodGet, url, header...)
}

func do(t *testing.T, h http.Handler, method, url string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, url, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLivePassesPacketsUntouched(t *testing.T) {
	l := newLive(t, Config{ID: "t", StartedAt: time.Unix(1700000000, 0)})
	sent := packets(0, 525) // 10.5 s
	writeAll(t, l, sent)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	playlist := get(t, l, "/live/7/opus/media.m3u8").Body.String()
	var got [][]byte
	for line := range strings.Lines(playlist) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		body := get(t, l, "/live/7/opus/"+strings.TrimSpace(line)).Body.Bytes()
		var parts fmp4.Parts
		if err := parts.Unmarshal(body); err != nil {
			t.Fatal(err)
		}
		for _, s := range parts[0].Tracks[0].Samples {
			got = append(got, s.Payload)
		}
	}
	if len(got) != len(sent) {
		t.Fatalf("%d packets came out, %d went in", len(got), len(sent))
	}
	for i := range sent {
		if !bytes.Equal(got[i], sent[i].Data) {
			t.Fatalf("packet %d differs", i)
		}
	}
}
