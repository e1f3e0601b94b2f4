//go:build linux || darwin || freebsd

package disk

import "syscall"

// Free is the number of bytes that may still be written into a folder, where the
// system tells.
func Free(folder string) (bytes uint64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return uint64(max(0, s.Bavail)) * uint64(s.Bsize), true
}
