//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/aac"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/media/whip/whiptest"
	"github.com/roadwave/roadwave/opusrec"
)

// The benchmarks compare whole programs: each process that is measured, and
// each that loads it, is this test binary in another role, named by roleEnv.
// Processor time is what the kernel accounts to the measured process alone.
const roleEnv = "ROADWAVED_BENCH_ROLE"

var roles = map[string]func(args []string) error{
	"bare":    serveBare,
	"files":   serveFiles,
	"ready":   serveReady,
	"publish": publishMany,
	"listen":  listenMany,
}

func init() {
	fields := strings.Fields(os.Getenv(roleEnv))
	if len(fields) == 0 {
		return
	}
	if err := roles[fields[0]](fields[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A process is one that is measured.
type process struct {
	pid        int
	url, admin string
}

// play starts this binary in a role; a role that serves prints its URL first.
func play(b *testing.B, role string, args ...any) (cmd *exec.Cmd, out *bufio.Scanner) {
	b.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role+" "+strings.TrimSpace(fmt.Sprintln(args...)))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(stdout)
}

func startRole(b *testing.B, role string, args ...any) process {
	cmd, out := play(b, role, args...)
	if !out.Scan() {
		b.Fatalf("%s did not start", role)
	}
	return process{pid: cmd.Process.Pid, url: out.Text(), admin: out.Text()}
}

// startMeasured starts the real daemon.
func startMeasured(b *testing.B, args ...string) (process, *testDaemon) {
	d := startDaemon(b, b.TempDir(), append([]string{"--log-level", "warn", "--workers", "0", "--max-lives", "1000", "--max-lives-per-creator", "0", "--per-address", "publishes=0"}, args...)...)
	return process{pid: d.cmd.Process.Pid, url: d.url, admin: d.admin}, d
}

// cpu is the processor time that the process has used, in hundredths of a second.
func (p process) cpu(b *testing.B) time.Duration { return processorTime(b, p.pid) }

func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

var memoryLines = regexp.MustCompile(`(?m)^# (HeapInuse|Stack) = (\d+)`)

// memory is what the process holds after a garbage collection, in bytes.
func (p process) memory(b *testing.B) (sum int64) {
	resp, err := http.Get(p.admin + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range memoryLines.FindAllSubmatch(text, -1) {
		n, _ := strconv.ParseInt(string(m[2]), 10, 64)
		sum += n
	}
	return sum
}

const window = 6 * time.Second

// share is the part of a core that the process uses over the window.
func (p process) share(b *testing.B) float64 {
	before, begin := p.cpu(b), time.Now()
	time.Sleep(window)
	return (p.cpu(b) - before).Seconds() / time.Since(begin).Seconds()
}

// BenchmarkLives is the cost of a live (received, put in order, recorded with a
// sync every second, packaged as HLS) beside that of a bare Pion receiver that
// drops what it reads. Goal: 1.3 times the processor time, 0.6 MB.
func BenchmarkLives(b *testing.B) {
	for _, lives := range []int{1, 25, 100, 200} {
		b.Run(strconv.Itoa(lives), func(b *testing.B) {
			for range b.N {
				ours, d := startMeasured(b)
				used, held := costOfLives(b, ours, lives, ours.url+"/whip")
				d.eventually("every recording is in the object store", time.Minute, func() bool {
					left, err := filepath.Glob(filepath.Join(d.data, "recordings", "*.opus"))
					return err == nil && len(left) == 0
				})
				kept := keptPackets(b, d)
				d.stop()
				bare := startRole(b, "bare")
				floor, bareHeld := costOfLives(b, bare, lives, bare.url)
				b.ReportMetric(used, "%core/live")
				b.ReportMetric(floor, "floor-%core/live")
				b.ReportMetric(used/floor, "ratio")
				b.ReportMetric(held, "KB/live")
				b.ReportMetric(bareHeld, "floor-KB/live")
				b.ReportMetric(kept, "%kept")
			}
		})
	}
}

// filled is when a live holds as much as it ever will: its window of 30 s, and
// a few segments that players may still ask for.
const (
	filled      = 40 * time.Second
	liveSeconds = 52
)

// costOfLives gives percent of a core and kilobytes per live.
func costOfLives(b *testing.B, p process, lives int, endpoint string) (percent, kilobytes float64) {
	empty := p.memory(b)
	publishers, out := play(b, "publish", endpoint, lives, liveSeconds)
	if !out.Scan() {
		b.Fatal("the publishers do not connect")
	}
	time.Sleep(filled)
	percent = 100 * p.share(b) / float64(lives)
	kilobytes = float64(p.memory(b)-empty) / 1000 / float64(lives)
	if err := publishers.Wait(); err != nil {
		b.Fatal(err)
	}
	return percent, kilobytes
}

// keptPackets is how much of what was sent is in the recordings.
func keptPackets(b *testing.B, d *testDaemon) float64 {
	paths, err := filepath.Glob(filepath.Join(d.data, "objects", "raw", "*.opus"))
	if err != nil || len(paths) == 0 {
		b.Fatal("no recordings: ", err)
	}
	kept := 0
	for _, path := range paths {
		for _, p := range readRecording(b, path) {
			if !p.Lost {
				kept++
			}
		}
	}
	return 100 * float64(kept) / float64(len(paths)*liveSeconds*50)
}

// BenchmarkListeners is the cost of 1000 listeners of one live, each fetching
// the playlist and the newest segment every two seconds, beside that of a plain
// handler over ready bytes and, as the obvious way, of a file server. Goal:
// 1.2 times the plain handler.
func BenchmarkListeners(b *testing.B) {
	const listeners = 1000
	for range b.N {
		ours, d := startMeasured(b)
		creator := d.publish(programme(time.Minute), "", nil)
		d.eventually("ten segments are listed", 40*time.Second, func() bool {
			return len(d.mediaPlaylist(creator.id, "opus.m3u8").Segments) >= 10
		})
		folder := copyLive(b, d, creator.id)
		alone := ours.share(b)
		used := costOfListeners(b, ours, ours.url+"/live/"+creator.id+"/opus/media.m3u8", listeners) - alone
		creator.stop()
		d.stop()
		ready := startRole(b, "ready", folder)
		floor := costOfListeners(b, ready, ready.url+"/media.m3u8", listeners)
		files := startRole(b, "files", folder)
		obvious := costOfListeners(b, files, files.url+"/media.m3u8", listeners)
		b.ReportMetric(100*used, "%core/1000")
		b.ReportMetric(100*floor, "floor-%core/1000")
		b.ReportMetric(100*obvious, "obvious-%core/1000")
		b.ReportMetric(used/floor, "ratio")
		b.ReportMetric(obvious/floor, "obvious-ratio")
	}
}

// copyLive puts the media of a live into a folder.
func copyLive(b *testing.B, d *testDaemon, id string) string {
	folder := b.TempDir()
	save := func(name string) {
		if err := os.WriteFile(filepath.Join(folder, name), d.body("/live/"+id+"/opus/"+name), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	save("media.m3u8")
	for _, s := range d.mediaPlaylist(id, "opus.m3u8").Segments {
		save(path.Base(s.URI))
	}
	return folder
}

func costOfListeners(b *testing.B, p process, url string, listeners int) float64 {
	load, out := play(b, "listen", url, listeners, 12)
	if !out.Scan() {
		b.Fatal("the listeners do not connect")
	}
	share := p.share(b)
	if err := load.Wait(); err != nil {
		b.Fatal(err)
	}
	return share
}

// BenchmarkLadder is the processor time of the AAC ladder per second of a live
// beside that of the decode and the two encodes it cannot do without, and of
// the obvious way, an FFmpeg for each live.
func BenchmarkLadder(b *testing.B) {
	const length = 60 * time.Second
	pcm := mediatest.Mix(mediatest.Speech(mediatest.Voice{}, -20, length), mediatest.Pink(1, -35, length))
	packets := mediatest.EncodeOpus(pcm, opus.EncoderConfig{Channels: 1, Bitrate: 48000})
	file := filepath.Join(b.TempDir(), "live.opus")
	rec, err := opusrec.Create(file, opusrec.Config{})
	if err != nil {
		b.Fatal(err)
	}
	if err := media.Copy(rec, mediatest.Packets(packets...)); err != nil {
		b.Fatal(err)
	}
	var ladder, floor, obvious float64
	for b.Loop() {
		floor += ownTime(b, syscall.RUSAGE_SELF, func() { codecsAlone(b, packets) })
		ladder += ownTime(b, syscall.RUSAGE_SELF, func() { transcodeAll(b, packets) })
		obvious += ownTime(b, syscall.RUSAGE_CHILDREN, func() {
			ffmpeg(b, "ffmpeg", "-v", "error", "-i", file, "-ac", "1", "-c:a", "aac", "-b:a", "48k", "-f", "mpegts", os.DevNull,
				"-ac", "1", "-c:a", "aac", "-b:a", "32k", "-f", "mpegts", os.DevNull, "-y")
		})
	}
	percent := 100 / length.Seconds() / float64(b.N)
	b.ReportMetric(ladder*percent, "%core/live")
	b.ReportMetric(floor*percent, "floor-%core/live")
	b.ReportMetric(obvious*percent, "obvious-%core/live")
	b.ReportMetric(ladder/floor, "ratio")
	b.ReportMetric(obvious/floor, "obvious-ratio")
}

func transcodeAll(b *testing.B, packets []media.Packet) {
	t, err := transcode.New(transcode.Config{Rungs: aac.Ladder()})
	if err != nil {
		b.Fatal(err)
	}
	emit := func(int, media.Frame) {}
	for _, p := range packets {
		if err := t.Transcode(p, emit); err != nil {
			b.Fatal(err)
		}
	}
	if err := t.Flush(emit); err != nil {
		b.Fatal(err)
	}
	if err := t.Close(); err != nil {
		b.Fatal(err)
	}
}

func codecsAlone(b *testing.B, packets []media.Packet) {
	decoder, err := opus.NewDecoder(1)
	if err != nil {
		b.Fatal(err)
	}
	var encoders []*aac.Encoder
	for _, bitrate := range []int{48000, 32000} {
		e, err := aac.NewEncoder(aac.Config{Bitrate: bitrate})
		if err != nil {
			b.Fatal(err)
		}
		encoders = append(encoders, e)
	}
	pcm := make([]float32, opus.MaxSamples)
	for _, p := range packets {
		n, err := decoder.Decode(pcm, p)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range encoders {
			if err := e.Encode(pcm[:n], func([]byte) {}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// ownTime is the processor time in seconds of this process, or of the children
// that it waited for.
func ownTime(b *testing.B, who int, f func()) float64 {
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
	}
	before := used()
	f()
	return used() - before
}

// serveRole prints a URL and serves h, and the profiles of this process.
func serveRole(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	http.Handle("/", h)
	return http.Serve(l, nil)
}

func serveBare([]string) error {
	bare, err := whiptest.NewBare()
	if err != nil {
		return err
	}
	return serveRole(bare)
}

func serveFiles(args []string) error { return serveRole(http.FileServer(http.Dir(args[0]))) }

// serveReady is the least that can be done: bytes from memory with the headers
// that players and caches need.
func serveReady(args []string) error {
	files, err := os.ReadDir(args[0])
	if err != nil {
		return err
	}
	bodies := map[string][]byte{}
	for _, f := range files {
		if bodies["/"+f.Name()], err = os.ReadFile(filepath.Join(args[0], f.Name())); err != nil {
			return err
		}
	}
	return serveRole(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodies[r.URL.Path]
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Cache-Control", "max-age=1")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
}

// publishMany publishes to a URL: how many, for how many seconds. It prints a
// line when all are connected.
func publishMany(args []string) error {
	count, seconds := number(args[1]), number(args[2])
	client, err := whip.NewClient(whip.ClientConfig{LocalIP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	packets := mediatest.EncodeOpus(mediatest.Sine(440, -20, time.Duration(seconds)*time.Second), opus.EncoderConfig{Channels: 1, Bitrate: 48000})
	var connected, done sync.WaitGroup
	connected.Add(count)
	for range count {
		done.Go(func() {
			cfg := whip.PublishConfig{Connected: func(string) { connected.Done() }}
			if _, err := client.Publish(context.Background(), args[0], mediatest.Packets(packets...), cfg); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
		time.Sleep(10 * time.Millisecond)
	}
	connected.Wait()
	fmt.Println("connected")
	done.Wait()
	return nil
}

// listenMany listens to a media playlist: how many, for how many seconds.
func listenMany(args []string) error {
	count, end := number(args[1]), time.Now().Add(time.Duration(number(args[2]))*time.Second)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: count, DisableCompression: true}}
	get := func(url string) []byte {
		resp, err := client.Get(url)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return nil
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return body
	}
	var done sync.WaitGroup
	for i := range count {
		done.Go(func() {
			time.Sleep(2 * time.Second * time.Duration(i) / time.Duration(count)) // not all at once
			for time.Now().Before(end) {
				next := time.Now().Add(2 * time.Second)
				lines := strings.Split(strings.TrimSpace(string(get(args[0]))), "\n")
				get(args[0][:strings.LastIndexByte(args[0], '/')+1] + lines[len(lines)-1])
				time.Sleep(time.Until(next))
			}
		})
	}
	time.Sleep(4 * time.Second)
	fmt.Println("connected")
	done.Wait()
	return nil
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
