//go:build !unix

package replay

import (
	"errors"
	"os/exec"
	"syscall"
)

// ownGroup does nothing here: the process alone is killed.
func ownGroup(*exec.Cmd) {}

func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
