package onair_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/opusrec"
	"github.com/roadwave/roadwave/roadwaved/internal/onair"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lives is a catalog of one.
type lives struct {
	live station.Live
	err  error
}

func (l *lives) Live(_ context.Context, id string) (station.Live, error) {
	if l.err != nil {
		return station.Live{}, l.err
	}
	if id != l.live.ID {
		return station.Live{}, station.ErrNotFound
	}
	return l.live, nil
}

func newDesk(t *testing.T, cfg onair.Config) (*onair.Desk, *lives) {
	t.Helper()
	catalog := &lives{live: station.Live{ID: "live-1", Title: "Essai", CreatorID: "ada", StartedAt: time.Now(), State: station.OnAir}}
	cfg.Lives = catalog
	if cfg.Store == nil {
		cfg.Store = hls.NewMemory()
	}
	if cfg.Recordings == "" {
		cfg.Recordings = t.TempDir()
	}
	desk, err := onair.NewDesk(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return desk, catalog
}

func status(desk *onair.Desk, path string) (int, http.Header) {
	w := httptest.NewRecorder()
	desk.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Result().Header
}

func TestBroadcast(t *testing.T) {
	folder := t.TempDir()
	desk, catalog := newDesk(t, onair.Config{Recordings: folder, Linger: time.Hour})
	b, err := desk.Open(catalog.live)
	if err != nil {
		t.Fatal(err)
	}
	packets := mediatest.Lose(
		mediatest.EncodeOpus(mediatest.Sine(440, -20, 5*time.Second), opus.EncoderConfig{Channels: 1}),
		func(i int) bool { return i == 100 },
	)
	if err := b.Run(mediatest.Packets(packets...)); err != nil {
		t.Fatal(err)
	}
	if s := b.Stats(); s.Duration != 5*time.Second || s.Packets != 249 || s.Lost != 1 {
		t.Errorf("stats are %+v", s)
	}
	info, err := opusrec.Inspect(onair.Recording(folder, "live-1"))
	if err != nil || info.Duration != 5*time.Second || info.Tags.Title != "Essai" || info.Tags.Artist != "ada" || !info.Ended {
		t.Errorf("recorded %+v, %v", info, err)
	}
	catalog.live.State = station.Ended
	desk.Release(b)
	if code, _ := status(desk, "/live/live-1/opus.m3u8"); code != http.StatusOK {
		t.Errorf("the media of a live that just ended answer %d", code)
	}
	if err := desk.Close(); err != nil {
		t.Fatal(err)
	}
	if code, header := status(desk, "/live/live-1/opus.m3u8"); code != http.StatusGone || header.Get("Set-Cookie") != "" || header.Get("Cache-Control") == "" {
		t.Errorf("gone: %d, %v", code, header)
	}
}

// What is not here is said in the API's words. A live on air is never unknown:
// players give up on that, and caches keep it.
func TestAbsent(t *testing.T) {
	away := fmt.Errorf("connection refused: %w", station.ErrAway)
	for name, tt := range map[string]struct {
		path  string
		state station.LiveState
		err   error

		status int
		code   string
		detail string
	}{
		"unknown":         {"/live/unknown/index.m3u8", station.OnAir, nil, 404, "live-not-found", "Ce live n'existe pas."},
		"no file":         {"/live/live-1", station.OnAir, nil, 404, "not-found", "Cette page n'existe pas."},
		"over":            {"/live/live-1/index.m3u8", station.Ended, nil, 410, "live-over", station.MessageEnded},
		"lost":            {"/live/live-1/opus/x.mp4", station.Lost, nil, 410, "live-over", station.MessageLost},
		"on air":          {"/live/live-1/index.m3u8", station.OnAir, nil, 503, "unavailable", ""},
		"catalog away":    {"/live/live-1/index.m3u8", station.OnAir, away, 503, "unavailable", ""},
		"catalog failing": {"/live/live-1/index.m3u8", station.OnAir, errors.New("syntax error"), 503, "unavailable", ""},
	} {
		desk, catalog := newDesk(t, onair.Config{})
		catalog.live.State, catalog.err = tt.state, tt.err
		w := httptest.NewRecorder()
		desk.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		var p struct {
			Title, Detail, Code string
			Status              int
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != tt.status || p.Status != tt.status || p.Code != tt.code ||
			p.Title != http.StatusText(tt.status) || tt.detail != "" && p.Detail != tt.detail || p.Detail == "" {
			t.Errorf("%s: %d %s (%v)", name, w.Code, w.Body, err)
		}
		caching, again := "max-age=1", ""
		if tt.status == http.StatusServiceUnavailable {
			caching, again = "no-store", "5"
		}
		h := w.Header()
		if h.Get("Content-Type") != "application/problem+json" || h.Get("Access-Control-Allow-Origin") != "*" ||
			h.Get("Cache-Control") != caching || h.Get("Retry-After") != again {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// What a crash left of a live's media is deleted, replays are not.
func TestSweep(t *testing.T) {
	store := hls.NewMemory()
	for _, key := range []string{"live/a/index.m3u8", "live/a/opus/x-1.mp4", "replay/b/index.m3u8"} {
		if err := store.Put(t.Context(), key, strings.NewReader(key)); err != nil {
			t.Fatal(err)
		}
	}
	desk, _ := newDesk(t, onair.Config{Store: store})
	if err := desk.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left []string
	for info, err := range store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, info.Key)
	}
	if len(left) != 1 || left[0] != "replay/b/index.m3u8" {
		t.Errorf("left are %v", left)
	}
}

// A store that takes its time to delete.
type slowStore struct {
	hls.Store
	deleting, goOn chan struct{}
}

func (s *slowStore) Delete(ctx context.Context, key string) error {
	select {
	case s.deleting <- struct{}{}:
	default:
	}
	<-s.goOn
	return s.Store.Delete(ctx, key)
}

// Who closes the desk closes the store next: what is being removed comes first.
func TestCloseWaitsForRemoval(t *testing.T) {
	store := &slowStore{Store: hls.NewMemory(), deleting: make(chan struct{}, 1), goOn: make(chan struct{})}
	desk, catalog := newDesk(t, onair.Config{Store: store, Linger: time.Nanosecond})
	b, err := desk.Open(catalog.live)
	if err != nil {
		t.Fatal(err)
	}
	packets := mediatest.EncodeOpus(mediatest.Sine(440, -20, 3*time.Second), opus.EncoderConfig{Channels: 1})
	if err := b.Run(mediatest.Packets(packets...)); err != nil {
		t.Fatal(err)
	}
	desk.Release(b)
	<-store.deleting
	time.AfterFunc(50*time.Millisecond, func() { close(store.goOn) })
	if err := desk.Close(); err != nil {
		t.Fatal(err)
	}
	for info, err := range store.List(t.Context(), "live/") {
		t.Errorf("after Close there is %s (%v)", info.Key, err)
	}
}

// A live that is never heard leaves nothing behind.
func TestNeverHeard(t *testing.T) {
	folder := t.TempDir()
	desk, catalog := newDesk(t, onair.Config{Recordings: folder})
	b, err := desk.Open(catalog.live)
	if err != nil {
		t.Fatal(err)
	}
	if b.Reason() != station.EndVanished {
		t.Errorf("reason is %s", b.Reason())
	}
	desk.Release(b)
	if _, ok := desk.Get("live-1"); ok {
		t.Error("it is still there")
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// Without a recording there is no live: the creator is told by the session's
// end, not by a replay that never comes.
func TestRecordingCannotBegin(t *testing.T) {
	folder := t.TempDir()
	desk, catalog := newDesk(t, onair.Config{Recordings: folder, Linger: time.Hour})
	if err := os.WriteFile(onair.Recording(folder, "live-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := desk.Open(catalog.live)
	if err != nil {
		t.Fatal(err)
	}
	src := mediatest.Packets(mediatest.Conformance()...)
	if err := b.Run(src); err == nil || !strings.Contains(err.Error(), "live-1") {
		t.Errorf("got %v", err)
	}
	if _, err := src.ReadPacket(); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the session goes on: %v", err)
	}
	desk.Release(b)
	if err := desk.Close(); err != nil {
		t.Fatal(err)
	}
}

// A recording that fails later costs the listeners nothing, and the creator is
// warned.
func TestRecordingFails(t *testing.T) {
	warned := make(chan onair.Warning, 4)
	folder := t.TempDir()
	desk, catalog := newDesk(t, onair.Config{Recordings: folder, Linger: time.Hour, OnWarning: func(_ string, w onair.Warning) { warned <- w }})
	b, err := desk.Open(catalog.live)
	if err != nil {
		t.Fatal(err)
	}
	packets := mediatest.EncodeOpus(mediatest.Sine(440, -20, 6*time.Second), opus.EncoderConfig{Channels: 1})
	src := &saboteur{Source: mediatest.Packets(packets...), at: 100, path: onair.Recording(folder, "live-1"), warned: warned}
	if err := b.Run(src); err == nil {
		t.Error("the failure is not reported")
	}
	if src.warning.Code != onair.WarnRecording.Code {
		t.Errorf("warned of %+v", src.warning)
	}
	w := httptest.NewRecorder()
	desk.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/live/live-1/opus/media.m3u8", nil))
	if n := strings.Count(w.Body.String(), "#EXTINF:2.0"); n != 3 {
		t.Errorf("listeners have %d segments of 3:\n%s", n, w.Body)
	}
	desk.Release(b)
	if err := desk.Close(); err != nil {
		t.Fatal(err)
	}
}

// A saboteur removes the recording while the live runs, and goes on once the
// creator was warned.
type saboteur struct {
	media.Source
	n, at   int
	path    string
	warned  chan onair.Warning
	warning onair.Warning
}

func (s *saboteur) ReadPacket() (media.Packet, error) {
	s.n++
	if s.n == s.at {
		if err := os.Remove(s.path); err != nil {
			return media.Packet{}, err
		}
	}
	if s.n > s.at+60 && s.warning.Code == "" {
		select {
		case s.warning = <-s.warned:
		case <-time.After(50 * time.Millisecond): // the recorder notices when it syncs
		}
	}
	return s.Source.ReadPacket()
}
