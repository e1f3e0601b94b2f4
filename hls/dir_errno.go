package hls

import "syscall"

// errNotDir is what opening "a/b" gives where "a" is a file.
const errNotDir = syscall.ENOTDIR
