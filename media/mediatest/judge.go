package mediatest

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A Judgement is what FFmpeg's ebur128 filter, which is not ours, finds a sound
// to be.
type Judgement struct {
	Integrated float64 // LUFS
	Range      float64 // LU
	TruePeak   float64 // dBTP
}

// Judge has FFmpeg measure a file or URL. args come before the input, to say
// what it is: "-f", "f32le".
func Judge(t testing.TB, input string, args ...string) Judgement {
	t.Helper()
	args = append([]string{"-hide_banner", "-nostats"}, args...)
	args = append(args, "-i", input, "-map", "0:a:0", "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-")
	out, err := exec.Command(Tool(t, "ffmpeg"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	_, summary, found := strings.Cut(string(out), "Summary:")
	if !found {
		t.Fatalf("no loudness in\n%s", out)
	}
	read := func(label string) float64 {
		m := regexp.MustCompile(label + `:\s+(-?[\d.]+)`).FindStringSubmatch(summary)
		if m == nil {
			t.Fatalf("no %s in\n%s", label, summary)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return Judgement{Integrated: read("I"), Range: read("LRA"), TruePeak: read("Peak")}
}
