package mediatest

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"
)

// Listen has FFmpeg decode input and gives its sound at 48 kHz in 1 or 2
// channels. FFmpeg must find nothing wrong with it. args come before the input,
// to say what it is: "-f", "aac".
func Listen(t testing.TB, input []byte, channels int, args ...string) []float32 {
	t.Helper()
	args = append([]string{"-v", "error"}, args...)
	args = append(args, "-i", "pipe:0", "-ac", fmt.Sprint(channels), "-ar", "48000", "-c:a", "pcm_s16le", "-f", "wav", "pipe:1")
	cmd := exec.Command(Tool(t, "ffmpeg"), args...)
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("ffmpeg: %v: %s", err, complaints.String())
	}
	pcm, _, err := DecodeWAV(out)
	if err != nil {
		t.Fatal(err)
	}
	return pcm
}
