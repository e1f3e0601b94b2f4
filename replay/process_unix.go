//go:build unix

package replay

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts the process in a group of its own that is killed as a whole: the
// program may be a wrapper that starts the real one.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
