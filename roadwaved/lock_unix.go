//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/uuid"
)

// lockFolder keeps a second daemon out of a data folder. The lock ends with the
// process, however it ends.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("--data: %s is in use by another roadwaved: stop it, or choose another folder", folder)
	}
	return f, nil
}

// folderPlace names the place in the world where a lock is: of two processes that
// hold one in the same place, the first is dead. Copies of a folder, on this
// machine or another, are other places; so is the same one after a reboot.
func folderPlace(lock *os.File) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return uuid.NewString(), nil // not Linux
	}
	var at syscall.Stat_t
	if err := syscall.Fstat(int(lock.Fd()), &at); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%d:%d", strings.TrimSpace(string(boot)), at.Dev, at.Ino), nil
}
