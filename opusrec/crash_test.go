package opusrec

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadwave/roadwave/media"
)

// childEnv makes the test binary be one of the programs that the crash tests
// kill: its name and the file it works on.
const childEnv = "OPUSREC_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		path := os.Args[len(os.Args)-1]
		if err := children[child](path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

var children = map[string]func(path string) error{
	"record":  recordForever,
	"recover": func(path string) error { _, err := Recover(path); return err },
}

func child(t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, path)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// numbered is the packet that a crashing recorder writes as number i: its
// content tells whether it came back at the right place.
func numbered(i int64) media.Packet {
	data := make([]byte, 60+i%97)
	data[0] = 31<<3 | 4 // CELT, 20 ms, stereo
	binary.LittleEndian.PutUint64(data[1:], uint64(i))
	return media.Packet{PTS: i * 960, Duration: 960, Data: data}
}

// recordForever tells on standard output, after every page, how many packets it
// has given to the recorder and how many bytes are durable.
func recordForever(path string) error {
	r, err := Create(path, Config{})
	if err != nil {
		return err
	}
	pages := int64(0)
	for i := int64(0); ; i++ {
		if err := r.WritePacket(numbered(i)); err != nil {
			return err
		}
		if s := r.Stats(); s.Pages != pages {
			pages = s.Pages
			if _, err := fmt.Println(i, s.Durable); err != nil {
				return err
			}
		}
	}
}

// TestKillRecorder kills recorders at random moments. What they had written
// must be there, up to the page they were collecting.
func TestKillRecorder(t *testing.T) {
	const rounds = 25
	torn := 0
	for round := range rounds {
		path := filepath.Join(t.TempDir(), "live.opus")
		cmd := child(t, "record", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var kill *time.Timer
		var given, durable int64
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if kill == nil { // it has begun
				kill = time.AfterFunc(time.Duration(rand.Int64N(int64(40*time.Millisecond))), func() { _ = cmd.Process.Kill() })
			}
			var i, n int64
			if _, err := fmt.Sscan(lines.Text(), &i, &n); err != nil {
				t.Fatalf("the recorder says %q", lines.Text())
			}
			given, durable = i, n
		}
		_ = cmd.Wait() // killed
		if kill == nil {
			t.Fatal("the recorder did not begin")
		}

		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		report, err := Recover(path)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if report.Intact || report.Rewritten || len(report.Damaged) > 0 || report.Lost > 0 {
			t.Fatalf("round %d: %+v", round, report)
		}
		if report.BytesCut > 0 {
			torn++
		}
		if whole := stat.Size() - report.BytesCut; whole < durable {
			t.Fatalf("round %d: %d bytes recovered, %d were durable", round, whole, durable)
		}
		packets, damage := readFile(t, path)
		if damage.Bytes > 0 || damage.Unended {
			t.Fatalf("round %d: after recovery %+v", round, damage)
		}
		if int64(len(packets)) < given-50 {
			t.Fatalf("round %d: %d packets recovered of %d", round, len(packets), given)
		}
		for i, p := range packets {
			if want := numbered(int64(i)); p.PTS != want.PTS || !bytes.Equal(p.Data, want.Data) {
				t.Fatalf("round %d: packet %d is not the one written", round, i)
			}
		}
	}
	t.Logf("%d recorders killed, %d of them in the middle of a write", rounds, torn)
}

// TestKillRecover kills Recover while it writes the repaired copy. The file must
// be the damaged one or the repaired one, and the next run must finish.
func TestKillRecover(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "live.opus")
	sound := write(t, Config{Serial: 1, SyncInterval: -1}, long(t, 10*time.Minute))
	broken, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	broken[len(broken)/2] ^= 1
	broken = broken[:len(broken)-10]
	var want []media.Packet
	for round := range 12 {
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := child(t, "recover", path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(round)*3*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // killed, or done before
		kill.Stop()
		if _, err := Recover(path); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if report, err := Recover(path); err != nil || !report.Intact {
			t.Fatalf("round %d: the second time %+v, %v", round, report, err)
		}
		got, _ := readFile(t, path)
		if want == nil {
			want = got
		}
		samePackets(t, got, want)
		if _, err := os.Stat(path + recoverSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("round %d: the temporary file is left: %v", round, err)
		}
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
			t.Fatalf("round %d: %v, %v; want the mode kept", round, stat.Mode(), err)
		}
	}
}
