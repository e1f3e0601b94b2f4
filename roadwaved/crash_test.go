package main

import (
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
)

// kill -9 in the middle of a live: the live is lost and says so, what was
// recorded is whole to the last second and becomes one replay.
func TestKilledOnAir(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	data := t.TempDir()
	d := startDaemon(t, data)
	creator := d.publish(programme(20*time.Second), "title=Coup%C3%A9", nil)
	time.Sleep(7 * time.Second)
	creator.mu.Lock()
	sent := len(creator.sent)
	creator.mu.Unlock()
	d.kill()
	killed := time.Now()
	creator.stop()

	d = startDaemon(t, data)
	if l, err := openCatalog(t, data).Live(t.Context(), creator.id); err != nil || l.EndedAt.After(killed) || l.Stats.Duration < 4*time.Second {
		t.Errorf("it ended at %v after %v, its daemon at %v (%v)", l.EndedAt, l.Stats.Duration, killed, err)
	}
	l := d.live(creator.id)
	if l.State != "lost" || l.Message != "Le live est terminé suite à un problème technique" {
		t.Errorf("after the crash the live is %q: %q", l.State, l.Message)
	}
	if status := d.get("/live/"+creator.id+"/index.m3u8", nil); status != http.StatusGone {
		t.Errorf("its media answer %d", status)
	}
	r := d.replayOf(creator.id, time.Minute)
	got := d.recording(creator.id)
	lost := time.Duration(sent-len(got)) * 20 * time.Millisecond
	t.Logf("sent %v before the kill, %v of it not recorded", media.Duration(int64(sent)*960), lost)
	if lost > 1500*time.Millisecond { // one page, and what was on the way
		t.Errorf("%v lost", lost)
	}
	sameData(t, "recording", got, creator.sent[:len(got)])
	if n := len(d.replays()); n != 1 {
		t.Errorf("%d replays", n)
	}
	if r.DurationSeconds < 4 {
		t.Errorf("the replay lasts %.1f s", r.DurationSeconds)
	}
}

// kill -9 in the middle of making a replay, several times: exactly one is
// published in the end.
func TestKilledMakingReplay(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	data := t.TempDir()
	d := startDaemon(t, data, "--workers", "0")
	creator := d.publish(programme(15*time.Second), "title=Repris", nil)
	creator.wait(t)
	d.eventually("the job is open", 10*time.Second, func() bool { return d.live(creator.id).Replay.State == "pending" })
	d.stop()
	for range 2 {
		d = startDaemon(t, data)
		d.eventually("a worker has the job", time.Minute, func() bool {
			state := d.live(creator.id).Replay.State
			return state == "running" || state == "done"
		})
		d.kill()
	}
	d = startDaemon(t, data)
	d.replayOf(creator.id, 2*time.Minute)
	d.stop()
	if leftovers, err := filepath.Glob(filepath.Join(data, "tmp", "*")); err != nil || len(leftovers) > 0 {
		t.Errorf("left in tmp: %v %v", leftovers, err)
	}
}

// SIGTERM in the middle of a live: it ends properly, and its replay is made by
// the next process.
func TestStoppedOnAir(t *testing.T) {
	mediatest.Tool(t, "ffmpeg")
	data := t.TempDir()
	d := startDaemon(t, data)
	creator := d.publish(programme(20*time.Second), "", nil)
	time.Sleep(5 * time.Second)
	d.signal(syscall.SIGTERM)
	creator.stop()

	d = startDaemon(t, data)
	if l := d.live(creator.id); l.State != "ended" || l.DurationSeconds < 4 {
		t.Errorf("stopped as %+v", l)
	}
	d.replayOf(creator.id, 2*time.Minute)
}

// A creator who is admitted and never heard leaves no replay behind.
func TestNeverHeard(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	creator := d.publish(mediatest.Packets(), "title=Muet", nil)
	d.eventually("the job ends empty", 30*time.Second, func() bool { return d.live(creator.id).Replay.State == "empty" })
	if n := len(d.replays()); n != 0 {
		t.Errorf("%d replays", n)
	}
}
