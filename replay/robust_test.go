package replay

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/roadwave/roadwave/hls"
)

// children counts the FFmpeg processes that we started and are alive, zombies
// included.
func children(t *testing.T) (n int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		n += len(strings.Fields(string(b)))
	}
	return n
}

// Cancelled in any step, a replay must stop FFmpeg and leave nothing.
func TestCancel(t *testing.T) {
	recording := record(t, "recording.opus", voice(20, 1))
	for _, step := range []Step{Analyzing, Mastering, Verifying, Packaging} {
		t.Run(string(step), func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			why := errors.New("the worker is stopped")
			temp, store := t.TempDir(), hls.NewMemory()
			m := newMaker(t, Config{TempDir: temp, Progress: func(p Progress) {
				if p.Step == step && p.Fraction > share[step].begin {
					cancel(why)
				}
			}})
			_, err := m.Make(ctx, Job{Recording: recording, Store: store, Prefix: "r"})
			if !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if n := children(t); n != 0 {
				t.Errorf("%d processes are left", n)
			}
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if _, err := store.Open(context.Background(), "r/index.m3u8"); err == nil && step != Packaging {
				t.Error("a playlist was published")
			}
		})
	}
}

// A program that ignores that its pipe is closed, or wraps the real one in a
// shell, must die too.
func TestCancelStuckFFmpeg(t *testing.T) {
	m := newMaker(t, Config{})
	m.ffmpeg.path = program(t, "sleep 1000 & sleep 1000")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := m.ffmpeg.decode(ctx, source{path: "x"}, func([]float32) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("decode: %v", err)
	}
	e, err := m.ffmpeg.encode(ctx, filepath.Join(t.TempDir(), "x.mp3"), 256, Tags{})
	if err == nil {
		err = e.close(nil)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("encode: %v", err)
	}
	if took := time.Since(start); took > 60*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestEncoderThatDies(t *testing.T) {
	m := newMaker(t, Config{})
	m.ffmpeg.path = program(t, "echo the disk is full >&2; exit 1")
	e, err := m.ffmpeg.encode(context.Background(), filepath.Join(t.TempDir(), "x.mp3"), 256, Tags{})
	if err != nil {
		t.Fatal(err)
	}
	var werr error
	for _, block := range silence(5).blocks() {
		if werr = e.write(block); werr != nil {
			break
		}
	}
	if err := e.close(werr); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("%v", err)
	}
}

// What FFmpeg says is kept, but not without end.
func TestComplaintIsBounded(t *testing.T) {
	var c complaint
	for range 1000 {
		if _, err := io.WriteString(&c, strings.Repeat("error ", 100)); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(&c, "the last line")
	if len(c.text) > longestComplaint || !strings.HasSuffix(c.explain(io.EOF).Error(), "the last line") {
		t.Errorf("%d bytes", len(c.text))
	}
}

// killedEnv makes the test binary the process that is killed: it makes a replay
// of the recording and into the folder that the variable names.
const killedEnv = "REPLAY_TEST_KILLED"

// Killed at any moment and made again, a replay is what it would have been.
func TestKilledAndMadeAgain(t *testing.T) {
	make := func(recording, folder string) error {
		store, err := hls.NewDir(filepath.Join(folder, "store"))
		if err != nil {
			return err
		}
		m, err := New(context.Background(), Config{TempDir: folder})
		if err != nil {
			return err
		}
		_, err = m.Make(context.Background(), Job{Recording: recording, Store: store, Prefix: "r", Tags: Tags{Title: "Essai"}})
		return err
	}
	if v := os.Getenv(killedEnv); v != "" {
		recording, folder, _ := strings.Cut(v, "|")
		if err := make(recording, folder); err != nil {
			t.Fatal(err)
		}
		return
	}
	recording := record(t, "recording.opus", join(voice(12, 1), silence(5), music(2, 2)))
	reference := t.TempDir()
	start := time.Now()
	if err := make(recording, reference); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	folder := t.TempDir()
	for i := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAndMadeAgain$")
		cmd.Env = append(os.Environ(), killedEnv+"="+recording+"|"+folder)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(took * time.Duration(2*i+1) / 6)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err := make(recording, folder); err != nil {
		t.Fatal(err)
	}
	want, got := content(t, filepath.Join(reference, "store")), content(t, filepath.Join(folder, "store"))
	if len(want) < 5 {
		t.Fatalf("only %d objects", len(want))
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is too many", name)
		}
	}
}

// content reads all files of a folder but hidden ones.
func content(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := os.DirFS(folder)
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		f, err := root.Open(filepath.ToSlash(name))
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
