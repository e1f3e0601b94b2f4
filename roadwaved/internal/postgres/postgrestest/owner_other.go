//go:build !unix

package postgrestest

import "os/exec"

// An owner is the user who runs the server: the one we are.
type owner struct{}

func findOwner() (*owner, error) { return nil, nil }

func (o *owner) give(string) error { return nil }

func (o *owner) become(*exec.Cmd) {}
