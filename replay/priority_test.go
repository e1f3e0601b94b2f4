//go:build unix && !aix

package replay

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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

// BenchmarkCores tells how many cores one replay keeps busy while it is made, with
// nothing to hold it back: n replays at once take n times that at most.
func BenchmarkCores(b *testing.B) {
	recording := record(b, "recording.opus", programme())
	before, start := cpu(b), time.Now()
	for b.Loop() {
		if _, err := newMaker(b, Config{}).Make(b.Context(), Job{Recording: recording, Store: hls.NewMemory(), Prefix: "r"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b)-before)/time.Since(start).Seconds(), "cores")
}
