//go:build unix && !solaris && !aix

package opusrec

import (
	"errors"
	"os"
	"syscall"
)

// lock marks the file as in use until it is closed or the process dies. Where
// the file system knows no locks it does nothing.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return nil
}

// syncDir makes a new name in the directory survive a loss of power.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
