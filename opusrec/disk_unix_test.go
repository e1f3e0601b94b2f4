//go:build unix

package opusrec

import (
	"errors"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// fullAt is the size at which the file of recordUntilFull may not grow: in the
// middle of a page.
const fullAt = 50_000

func init() { children["full"] = recordUntilFull }

// recordUntilFull lets the kernel refuse the rest of a page.
func recordUntilFull(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: fullAt, Max: fullAt}); err != nil {
		return err
	}
	r, err := Create(path, Config{})
	if err != nil {
		return err
	}
	for i := int64(0); i < 10_000; i++ {
		err = r.WritePacket(numbered(i))
		if err == nil {
			continue
		}
		again := r.WritePacket(numbered(i))
		if !errors.Is(err, syscall.EFBIG) || !errors.Is(again, syscall.EFBIG) || !errors.Is(r.Close(), syscall.EFBIG) {
			return err
		}
		return nil
	}
	return errors.New("the file grew beyond its limit")
}

func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.opus")
	if err := child(t, "full", path).Run(); err != nil {
		t.Fatal(err)
	}
	packets, damage := readFile(t, path)
	if damage.Bytes != 0 || !damage.Unended {
		t.Errorf("half a page was left: %+v", damage)
	}
	report, err := Recover(path)
	if err != nil || report.BytesCut != 0 || report.Packets != int64(len(packets)) || report.Packets < 300 {
		t.Errorf("%+v, %v", report, err)
	}
}
