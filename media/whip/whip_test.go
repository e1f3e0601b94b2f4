package whip_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/whip"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(publishEnv); job != "" {
		publishMany(job)
	}
	goleak.VerifyTestMain(m)
}

// A station is a server with what it received.
type station struct {
	*whip.Server
	web  *httptest.Server
	url  string
	live chan *whip.Session // sessions as they go live

	mu       sync.Mutex
	received map[string][]media.Packet
	states   []whip.State
}

// newStation starts a server on loopback.
func newStation(t testing.TB, change func(*whip.Config)) *station {
	t.Helper()
	st := &station{live: make(chan *whip.Session, 16), received: map[string][]media.Packet{}}
	cfg := whip.Config{
		UDPAddress: "127.0.0.1:0", Loopback: true,
		// A busy machine holds packets back for long; only tests of time say less.
		NoticeAfter: 10 * time.Second, EndAfter: 20 * time.Second, ConnectTimeout: time.Minute,
		Jitter:    media.JitterConfig{MinWait: 2 * time.Second, MaxWait: 4 * time.Second},
		OnPublish: st.receive,
		OnState: func(_ *whip.Session, state whip.State) {
			st.mu.Lock()
			st.states = append(st.states, state)
			st.mu.Unlock()
		},
	}
	if os.Getenv("WHIP_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&cfg)
	}
	server, err := whip.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	st.Server, st.web, st.url = server, web, web.URL+"/whip"
	t.Cleanup(func() {
		web.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func (st *station) receive(_ context.Context, s *whip.Session) error {
	st.live <- s
	for {
		p, err := s.ReadPacket()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		st.mu.Lock()
		st.received[s.ID()] = append(st.received[s.ID()], p)
		st.mu.Unlock()
	}
}

func (st *station) packets(id string) []media.Packet {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.received[id]
}

// numbered makes n valid Opus packets of 20 ms that tell each other apart.
func numbered(n int) []media.Packet {
	packets := make([]media.Packet, n)
	for i := range packets {
		data := binary.BigEndian.AppendUint32([]byte{31 << 3}, uint32(i))
		packets[i] = media.Packet{PTS: int64(i) * 960, Duration: 960, Data: append(data, make([]byte, 100)...)}
	}
	return packets
}

// trimmed drops the silence at the end: the time between the last packet and
// the DELETE.
func trimmed(packets []media.Packet) []media.Packet {
	for len(packets) > 0 && packets[len(packets)-1].Lost {
		packets = packets[:len(packets)-1]
	}
	return packets
}

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

func wait[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("timeout: " + what)
		panic("unreachable")
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	st := newStation(t, nil)
	sent := numbered(25)
	stats, err := whip.Publish(t.Context(), st.url, mediatest.Packets(sent...), whip.PublishConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s := wait(t, "live", st.live)
	wait(t, "end", s.Done())
	if s.Reason() != whip.EndDeleted {
		t.Errorf("ended because %q", s.Reason())
	}
	got := trimmed(st.packets(s.ID()))
	if len(got) != len(sent) {
		t.Fatalf("%d packets received, %d sent; %+v", len(got), len(sent), s.Stats())
	}
	for i, p := range got {
		if p.Lost || p.PTS != sent[i].PTS || string(p.Data) != string(sent[i].Data) {
			t.Fatalf("packet %d differs: %+v", i, p)
		}
	}
	t.Logf("connected in %v; %+v", stats.Connect, s.Stats())
}
