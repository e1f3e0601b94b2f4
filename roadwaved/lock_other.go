//go:build !unix

package main

import (
	"os"
	"path/filepath"
)

// lockFolder only opens the file: there is no lock that ends with the process.
func lockFolder(folder string) (*os.File, error) {
	return os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
}
