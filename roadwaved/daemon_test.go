package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/whip"
)

// childEnv makes the test binary be roadwaved, so that it can be killed.
const childEnv = "ROADWAVED_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "1" {
		main()
	}
	os.Exit(m.Run())
}

// A testDaemon is a roadwaved in a process of its own, on free ports.
type testDaemon struct {
	*testProcess
	url  string
	udp  string // where media go
	data string
}

// A testProcess is a command of roadwaved in a process of its own.
type testProcess struct {
	t     testing.TB
	cmd   *exec.Cmd
	admin string
	logs  *lockedBuffer
	done  chan struct{}
}

// lockedBuffer can be read while a process writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// startDaemon starts roadwaved on a data folder. It is stopped, and its logs
// shown if the test failed, when the test ends.
func startDaemon(t testing.TB, data string, args ...string) *testDaemon {
	t.Helper()
	return startDaemonIn(t, nil, data, args...)
}

// startDaemonIn is startDaemon with more in the environment.
func startDaemonIn(t testing.TB, env []string, data string, args ...string) *testDaemon {
	t.Helper()
	d := &testDaemon{data: data}
	args = append([]string{
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--media-udp", "127.0.0.1:0",
		"--data", data, "--log-level", "debug",
	}, args...)
	d.testProcess = startProcess(t, env, args, func(line []string) (ready bool) {
		switch line[0] {
		case "listen":
			d.url = strings.TrimSuffix(line[1], "/")
		case "media":
			d.udp = line[1]
		}
		return d.udp != ""
	})
	return d
}

// startProcess starts a command and waits until it printed what ready waits for.
func startProcess(t testing.TB, env, args []string, ready func(line []string) bool) *testProcess {
	t.Helper()
	p := &testProcess{t: t, logs: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(append(os.Environ(), childEnv+"=1"), env...)
	p.cmd.Stderr = p.logs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started := false
	for lines := bufio.NewScanner(out); !started && lines.Scan(); {
		line := strings.Fields(lines.Text())
		if line[0] == "admin" {
			p.admin = strings.TrimSuffix(line[1], "/readyz")
		}
		started = ready(line)
	}
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("roadwaved %s said:\n%s", strings.Join(args, " "), p.logs)
		}
	})
	if !started {
		t.Fatalf("roadwaved did not start:\n%s", p.logs)
	}
	return p
}

func (p *testProcess) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
		p.t.Errorf("roadwaved did not end within two minutes of %v", s)
	}
}

func (p *testProcess) stop() { p.signal(syscall.SIGTERM) }
func (p *testProcess) kill() { p.signal(syscall.SIGKILL) }

// get reads JSON; it returns the status.
func (d *testDaemon) get(path string, v any) int {
	d.t.Helper()
	resp, err := http.Get(d.url + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK && v != nil {
		if err := json.Unmarshal(body, v); err != nil {
			d.t.Fatalf("%s: %v in %s", path, err, body)
		}
	}
	return resp.StatusCode
}

// body reads what is at a path.
func (d *testDaemon) body(path string) []byte {
	d.t.Helper()
	resp, err := http.Get(d.url + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return b
}

// apiLive and apiReplay are what the tests read of the API's answers.
type apiLive struct {
	LiveID          string  `json:"live_id"`
	CreatorID       string  `json:"creator_id"`
	Title           string  `json:"title"`
	State           string  `json:"state"`
	Message         string  `json:"message"`
	Listeners       int64   `json:"listeners"`
	Likes           int64   `json:"likes"`
	Reports         int64   `json:"reports"`
	HLSURL          string  `json:"hls_url"`
	DurationSeconds float64 `json:"duration_seconds"`
	Replay          struct {
		State    string  `json:"state"`
		Progress float64 `json:"progress"`
		ReplayID string  `json:"replay_id"`
	} `json:"replay"`
}

type apiReplay struct {
	ReplayID        string  `json:"replay_id"`
	LiveID          string  `json:"live_id"`
	Title           string  `json:"title"`
	GeoType         string  `json:"geo_type"`
	DurationSeconds float64 `json:"duration_seconds"`
	HLSURL          string  `json:"hls_url"`
	MP3URL          string  `json:"mp3_url"`
}

func (d *testDaemon) live(id string) (l apiLive) {
	d.t.Helper()
	if status := d.get("/v1/lives/"+id, &l); status != http.StatusOK {
		d.t.Fatalf("live %s: status %d", id, status)
	}
	return l
}

func (d *testDaemon) replays() []apiReplay {
	d.t.Helper()
	var list struct {
		Replays []apiReplay `json:"replays"`
	}
	if status := d.get("/v1/replays", &list); status != http.StatusOK {
		d.t.Fatalf("replays: status %d", status)
	}
	return list.Replays
}

// replayOf waits until the replay of a live is published.
func (d *testDaemon) replayOf(liveID string, patience time.Duration) apiReplay {
	d.t.Helper()
	d.eventually("the replay is published", patience, func() bool {
		job := d.live(liveID).Replay
		if job.State == "parked" || job.State == "empty" {
			d.t.Fatalf("the job is %s", job.State)
		}
		return job.State == "done"
	})
	var found []apiReplay
	for _, r := range d.replays() {
		if r.LiveID == liveID {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		d.t.Fatalf("the live has %d replays", len(found))
	}
	return found[0]
}

// busy is how many times longer than on a quiet machine things may take on a busy
// one before a test gives up.
const busy = 6

// eventually waits for what comes soon on a quiet machine.
func (d *testDaemon) eventually(what string, soon time.Duration, ok func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(busy * soon); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("after %v still not: %s", busy*soon, what)
		}
	}
}

// A publication is a creator in the background.
type publication struct {
	id    string
	mu    sync.Mutex
	sent  []media.Packet
	began time.Time // when the first packet left, less its length
	stats whip.PublishStats
	err   error
	stop  context.CancelFunc
	done  chan struct{}
}

// publish goes live and returns once media flow.
func (d *testDaemon) publish(src media.Source, query string, adapt func(*whip.PublishConfig)) *publication {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &publication{stop: cancel, done: make(chan struct{})}
	connected := make(chan string, 1)
	cfg := whip.PublishConfig{
		Token:     "ada",
		Connected: func(session string) { connected <- session[strings.LastIndex(session, "/")+1:] },
		Sent: func(packet media.Packet) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.sent) == 0 {
				p.began = time.Now().Add(-media.Duration(packet.End()))
			}
			p.sent = append(p.sent, packet)
		},
	}
	if adapt != nil {
		adapt(&cfg)
	}
	go func() {
		defer close(p.done)
		p.stats, p.err = whip.Publish(ctx, d.url+"/whip?"+query, src, cfg)
	}()
	d.t.Cleanup(func() {
		cancel()
		<-p.done
	})
	select {
	case p.id = <-connected:
	case <-p.done:
		d.t.Fatalf("publishing: %v", p.err)
	case <-time.After(2 * time.Minute):
		d.t.Fatal("no connection within two minutes")
	}
	return p
}

// age is how long the creator has been speaking.
func (p *publication) age() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.began)
}

// wait waits for the end of the publication.
func (p *publication) wait(t testing.TB) {
	t.Helper()
	<-p.done
	if p.err != nil {
		t.Fatalf("publishing: %v", p.err)
	}
}

// hangUp ends a publication that has more to say, once it has spoken for so long:
// nobody knows how long on a busy machine a test needs it.
func (d *testDaemon) hangUp(p *publication, spoken time.Duration) {
	d.t.Helper()
	d.eventually("the creator has spoken", spoken+time.Second, func() bool { return p.age() >= spoken })
	p.stop()
	p.wait(d.t)
}

// programme is a live with a voice and music, and a silence of 5 s from 8 s on
// where it is long enough.
func programme(length time.Duration) media.Source { return mediatest.Packets(spoken(length)...) }

func spoken(length time.Duration) []media.Packet {
	voice := mediatest.Speech(mediatest.Voice{}, -24, length)
	music := mediatest.Chord(-30, length, 220, 277, 330)
	pcm := mediatest.Mix(voice, music)
	if length > 14*time.Second {
		clear(pcm[media.Samples(8*time.Second):media.Samples(13*time.Second)])
	}
	return mediatest.EncodeOpus(pcm, opus.EncoderConfig{Channels: 1, Bitrate: 48000})
}

// ffmpeg runs a tool and returns all that it printed; it fails the test when
// the tool does.
func ffmpeg(t testing.TB, tool string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, mediatest.Tool(t, tool), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, out)
	}
	return string(out)
}
