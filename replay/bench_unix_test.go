//go:build unix

package replay

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media/mediatest"
)

// cpu is the processor time in seconds that this process and those it waited
// for have used.
func cpu(b *testing.B) (seconds float64) {
	b.Helper()
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		for _, t := range []syscall.Timeval{u.Utime, u.Stime} {
			seconds += float64(t.Sec) + float64(t.Usec)/1e6
		}
	}
	return seconds
}

// programme is five minutes of what a live has: talk, music, silence.
func programme() sound {
	minute := join(voice(30, 1), music(20, 2), voice(5, 3), silence(5))
	return join(minute, minute, minute, minute, minute).mix(road(300, 0.001, 4))
}

// BenchmarkReplay compares the processor time of a whole replay, verified, with
// that of the two things that cannot be avoided: decoding the recording once
// and encoding an MP3 once, both by FFmpeg. The goal is a ratio of 1.7 at most.
// Beside it, what the obvious way costs: silenceremove, loudnorm twice, MP3. A
// recording that lost packets needs the dearer decoder, also below.
func BenchmarkReplay(b *testing.B) {
	whole := record(b, "recording.opus", programme())
	b.Run("whole", func(b *testing.B) { benchmark(b, whole, "opus") })
	b.Run("lossy", func(b *testing.B) { benchmark(b, lossy(b, whole, 50), concealing) })
}

func benchmark(b *testing.B, recording, decoder string) {
	folder := b.TempDir()
	run := func(args ...string) string {
		out, err := exec.Command(mediatest.Tool(b, "ffmpeg"), append([]string{"-hide_banner", "-y", "-nostats"}, args...)...).CombinedOutput()
		if err != nil {
			b.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	wav := filepath.Join(folder, "programme.wav")
	run("-i", recording, wav)
	cost := func(f func()) float64 {
		before := cpu(b)
		f()
		return cpu(b) - before
	}
	var floor, ours, obvious float64
	for b.Loop() {
		floor += cost(func() {
			run("-threads", "1", "-c:a", decoder, "-i", recording, "-f", "null", "-")
			run("-threads", "1", "-i", wav, "-c:a", "libmp3lame", "-b:a", "256k", filepath.Join(folder, "floor.mp3"))
		})
		ours += cost(func() {
			result, err := newMaker(b, Config{}).Make(context.Background(), Job{Recording: recording, Store: hls.NewMemory(), Prefix: "r"})
			if err != nil || !result.OnTarget {
				b.Fatalf("%+v %v", result.After, err)
			}
		})
		obvious += cost(func() { obviousWay(run, recording, filepath.Join(folder, "obvious.mp3")) })
	}
	hours := float64(b.N) * 300 / 3600
	b.ReportMetric(floor/hours, "floor-CPU-s/hour")
	b.ReportMetric(ours/hours, "CPU-s/hour")
	b.ReportMetric(obvious/hours, "obvious-CPU-s/hour")
	b.ReportMetric(ours/floor, "ratio")
	b.ReportMetric(obvious/floor, "obvious-ratio")
}

// obviousWay is the recipe one finds: silenceremove and loudnorm measured, then
// applied.
func obviousWay(run func(...string) string, recording, mp3 string) {
	const remove = "silenceremove=stop_periods=-1:stop_duration=3:stop_threshold=-50dB"
	measured := run("-i", recording, "-af", remove+",loudnorm=I=-14:TP=-1:print_format=json", "-f", "null", "-")
	value := func(name string) string {
		return regexp.MustCompile(`"` + name + `" : "([^"]+)"`).FindStringSubmatch(measured)[1]
	}
	run("-i", recording, "-af", fmt.Sprintf("%s,loudnorm=I=-14:TP=-1:measured_I=%s:measured_TP=%s:measured_LRA=%s:measured_thresh=%s:offset=%s:print_format=summary",
		remove, value("input_i"), value("input_tp"), value("input_lra"), value("input_thresh"), value("target_offset")),
		"-ar", "48000", "-c:a", "libmp3lame", "-b:a", "256k", mp3)
}
