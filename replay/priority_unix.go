//go:build unix && !aix

package replay

import "syscall"

// lower lowers the priority of the group that [ownGroup] made. A process that
// ended already has none to lower; where it is not allowed the work goes on as
// it is.
func lower(group, nice int) {
	_ = syscall.Setpriority(syscall.PRIO_PGRP, group, nice)
}
