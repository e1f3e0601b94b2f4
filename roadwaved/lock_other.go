//go:build !unix

package main

import (
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// lockFolder only opens the file: there is no lock that ends with the process.
func lockFolder(folder string) (*os.File, error) {
	return os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
}

// folderPlace is new every time: nothing tells that the process before is dead.
func folderPlace(*os.File) (string, error) { return uuid.NewString(), nil }
