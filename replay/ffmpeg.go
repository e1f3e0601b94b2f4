package replay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrFFmpeg is returned, wrapped with what is missing and what to install,
	// when FFmpeg is not there, too old or built without a codec that is needed.
	ErrFFmpeg = errors.New("replay: FFmpeg cannot be used")

	// ErrUnreadable is returned, wrapped with what FFmpeg says, for a recording
	// that it cannot decode.
	ErrUnreadable = errors.New("replay: the recording cannot be decoded")
)

const oldestFFmpeg = 5

// ffmpeg runs the one outside program. Its processes end before the methods
// return, whatever happens.
type ffmpeg struct {
	path    string
	libopus bool // it can decode with libopus
	nice    int
}

// findFFmpeg looks the program up and checks that it can do the work.
func findFFmpeg(ctx context.Context, name string) (ffmpeg, error) {
	if name == "" {
		name = "ffmpeg"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ffmpeg{}, fmt.Errorf("%w: %v; install FFmpeg %d or newer (on Debian: apt-get install ffmpeg)", ErrFFmpeg, err, oldestFFmpeg)
	}
	f := ffmpeg{path: path}
	out, err := f.ask(ctx, "-version")
	if err != nil {
		return ffmpeg{}, err
	}
	if v := version(out); v < oldestFFmpeg {
		return ffmpeg{}, fmt.Errorf("%w: %s is version %d; install version %d or newer", ErrFFmpeg, path, v, oldestFFmpeg)
	}
	for _, codec := range []string{"decoder=opus", "encoder=libmp3lame"} {
		if has, err := f.has(ctx, codec); err != nil {
			return ffmpeg{}, err
		} else if !has {
			return ffmpeg{}, fmt.Errorf("%w: %s was built without the %s; install a complete build (on Debian: apt-get install ffmpeg)",
				ErrFFmpeg, path, strings.ReplaceAll(codec, "=", " "))
		}
	}
	f.libopus, err = f.has(ctx, "decoder="+concealing)
	return f, err
}

// has asks for a codec, as in "decoder=opus".
func (f ffmpeg) has(ctx context.Context, codec string) (bool, error) {
	out, err := f.ask(ctx, "-h", codec)
	_, name, _ := strings.Cut(codec, "=")
	return regexp.MustCompile(`(?m)^(De|En)coder ` + name + `\b`).MatchString(out), err
}

// version finds the major version. A build between releases ("N-12345-gabc") counts as new.
func version(banner string) int {
	found := regexp.MustCompile(`^ffmpeg version n?(\d+)\.`).FindStringSubmatch(banner)
	if found == nil {
		if strings.HasPrefix(banner, "ffmpeg version ") {
			return math.MaxInt
		}
		return 0
	}
	v, _ := strconv.Atoi(found[1])
	return v
}

// ask runs a question that is answered at once.
func (f ffmpeg) ask(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := f.command(ctx, append([]string{"-hide_banner"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s %s: %v", ErrFFmpeg, f.path, strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// command prepares a process that dies with ctx, its children too.
func (f ffmpeg) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.path, args...)
	ownGroup(cmd)
	cmd.WaitDelay = 3 * time.Second
	return cmd
}

// start starts a process with its priority.
func (f ffmpeg) start(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return notStarted(ctx, err)
	}
	if f.nice > 0 {
		lower(cmd.Process.Pid, f.nice)
	}
	return nil
}

func notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrFFmpeg, err)
}

// A complaint keeps the end of what a program writes on its standard error.
type complaint struct{ text []byte }

const longestComplaint = 2048

func (c *complaint) Write(p []byte) (int, error) {
	c.text = append(c.text, p...)
	if over := len(c.text) - longestComplaint; over > 0 {
		c.text = append(c.text[:0], c.text[over:]...)
	}
	return len(p), nil
}

// explain joins why a process failed and what it said.
func (c *complaint) explain(err error) error {
	if said := strings.TrimSpace(string(c.text)); said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// readFrames is how many frames are taken from a pipe at once.
const readFrames = 64 * blockFrames

// decode gives the sound of a recording block after block, in stereo at 48 kHz; the
// last block is filled up with silence. The block may be changed and is
// valid until write returns.
func (f ffmpeg) decode(ctx context.Context, src source, write func(block []float32) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-filter_threads", "1", "-max_error_rate", "1"}
	if src.decoder != "" {
		args = append(args, "-c:a", src.decoder, "-request_sample_fmt", "flt")
	}
	cmd := f.command(ctx, append(args,
		"-i", "file:"+src.path, "-map", "0:a:0", "-ac", strconv.Itoa(channels), "-ar", "48000",
		"-c:a", "pcm_f32le", "-f", "f32le", "-flush_packets", "0", "-blocksize", "65536", "pipe:1")...)
	var said complaint
	cmd.Stderr = &said
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := f.start(ctx, cmd); err != nil {
		return err
	}
	readErr := readBlocks(pipe, write)
	if readErr != nil {
		cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case readErr != nil:
		return readErr
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case waitErr != nil:
		return said.explain(fmt.Errorf("%w: FFmpeg: %v", ErrUnreadable, waitErr))
	}
	return nil
}

func readBlocks(pipe io.Reader, write func([]float32) error) error {
	var (
		raw     = make([]byte, readFrames*channels*4)
		samples = make([]float32, readFrames*channels)
	)
	for {
		n, err := io.ReadFull(pipe, raw)
		n -= n % (channels * 4)
		toFloats(samples, raw[:n])
		clear(samples[n/4:])
		for i := 0; i < n/4; i += blockSamples {
			if err := write(samples[i : i+blockSamples]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// toFloats reads little-endian samples. What is no finite number becomes silence.
func toFloats(samples []float32, raw []byte) {
	for i := range len(raw) / 4 {
		bits := binary.LittleEndian.Uint32(raw[4*i:])
		const exponent = 0x7f800000
		if bits&exponent == exponent {
			bits = 0
		}
		samples[i] = math.Float32frombits(bits)
	}
}

// An encoder is FFmpeg writing an MP3.
type encoder struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	ctx    context.Context
	pipe   io.WriteCloser
	said   complaint
	raw    []byte
}

// encode starts an encoder that writes file. [encoder.close] must be called.
func (f ffmpeg) encode(ctx context.Context, file string, kilobits int, tags Tags) (*encoder, error) {
	ctx, cancel := context.WithCancel(ctx)
	args := []string{"-hide_banner", "-loglevel", "error", "-threads", "1", "-filter_threads", "1",
		"-f", "s16le", "-ar", "48000", "-ac", strconv.Itoa(channels), "-i", "pipe:0",
		"-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact",
		"-c:a", "libmp3lame", "-b:a", strconv.Itoa(kilobits) + "k", "-joint_stereo", "1", "-id3v2_version", "3"}
	for _, t := range tags.fields() {
		args = append(args, "-metadata", t)
	}
	cmd := f.command(ctx, append(args, "-f", "mp3", "-y", "file:"+file)...)
	e := &encoder{cmd: cmd, cancel: cancel, ctx: ctx, raw: make([]byte, 0, readFrames*channels*2)}
	cmd.Stderr = &e.said
	pipe, err := cmd.StdinPipe()
	if err != nil {
		err = notStarted(ctx, err)
	} else {
		err = f.start(ctx, cmd)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	e.pipe = pipe
	return e, nil
}

// write takes one block.
func (e *encoder) write(block []float32) error {
	for _, s := range block {
		const middle = 1 << 15 // makes it positive, so that cutting off rounds
		v := max(-math.MaxInt16, min(int32(s*math.MaxInt16+middle+0.5)-middle, math.MaxInt16))
		e.raw = append(e.raw, byte(v), byte(v>>8))
	}
	if len(e.raw)+2*blockSamples > cap(e.raw) {
		return e.send()
	}
	return nil
}

func (e *encoder) send() error {
	_, err := e.pipe.Write(e.raw)
	e.raw = e.raw[:0]
	return err
}

// close ends the file, or gives it up when the sound failed with an error, which it
// returns.
func (e *encoder) close(failed error) error {
	defer e.cancel()
	if failed == nil {
		failed = e.send()
	}
	if failed != nil && !isBrokenPipe(failed) {
		e.cancel()
	}
	_ = e.pipe.Close()
	err := e.cmd.Wait()
	switch {
	case failed != nil && !isBrokenPipe(failed):
		return failed
	case context.Cause(e.ctx) != nil:
		return context.Cause(e.ctx)
	case err != nil:
		return e.said.explain(fmt.Errorf("replay: FFmpeg could not write the MP3: %w", err))
	}
	return failed
}
