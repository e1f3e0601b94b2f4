package postgrestest

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets the kernel stop the program when this one has ended.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
}
