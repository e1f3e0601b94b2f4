//go:build !linux

package postgrestest

import "os/exec"

// dieWithParent does nothing here: a test that is killed leaves its server.
func dieWithParent(*exec.Cmd) {}
