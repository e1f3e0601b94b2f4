//go:build unix && !aix

package replay

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media/mediatest"
)

// FFmpeg runs below the priority of who starts it, whichever process of it that is.
func TestNice(t *testing.T) {
	real, asked := mediatest.Tool(t, "ffmpeg"), filepath.Join(t.TempDir(), "nice")
	said, err := exec.Command(mediatest.Tool(t, "nice")).Output()
	if err != nil {
		t.Fatal(err)
	}
	before, err := strconv.Atoi(strings.TrimSpace(string(said)))
	if err != nil {
		t.Fatal(err)
	}
	want := min(before+5, 19)
	// The priority is lowered once the process runs: the script gives that 10 s.
	wrapper := program(t, fmt.Sprintf(`
case "$*" in *pipe:*)
	i=0
	while [ "$(nice)" -lt %d ] && [ $i -lt 200 ]; do sleep 0.05; i=$((i+1)); done
	nice >>%q;;
esac
exec %q "$@"`, want, asked, real))
	recording := record(t, "recording.opus", voice(2, 1))
	maker, err := New(t.Context(), Config{FFmpeg: wrapper, Nice: want, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := maker.Make(t.Context(), Job{Recording: recording, Store: hls.NewMemory(), Prefix: "r"}); err != nil {
		t.Fatal(err)
	}
	said, err = os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	levels := strings.Fields(string(said))
	if len(levels) < 3 { // analysis, decoding, encoding
		t.Errorf("only %d processes told their priority", len(levels))
	}
	for _, level := range levels {
		if level != strconv.Itoa(want) {
			t.Errorf("a process ran at %s, want %d", level, want)
		}
	}
}

// BenchmarkCores tells how many cores the replays that are made at the same time
// keep busy, FFmpeg's processes and this one, and what an hour of sound costs.
func BenchmarkCores(b *testing.B) {
	recording := record(b, "recording.opus", programme())
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			children := func() float64 {
				var u syscall.Rusage
				if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
					b.Fatal(err)
				}
				return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
			}
			ffmpeg, all, start := children(), cpu(b), time.Now()
			for b.Loop() {
				var makers sync.WaitGroup
				for range n {
					makers.Go(func() {
						if _, err := newMaker(b, Config{}).Make(b.Context(), Job{Recording: recording, Store: hls.NewMemory(), Prefix: "r"}); err != nil {
							b.Error(err)
						}
					})
				}
				makers.Wait()
			}
			took := time.Since(start).Seconds()
			ffmpeg, all = children()-ffmpeg, cpu(b)-all
			b.ReportMetric(ffmpeg/took, "ffmpeg-cores")
			b.ReportMetric((all-ffmpeg)/took, "go-cores")
			b.ReportMetric(all/(float64(b.N*n)*300/3600), "CPU-s/hour")
		})
	}
}
