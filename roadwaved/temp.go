package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix begins the names of the folders in <data>/tmp, one for each process
// that makes replays. Nothing else there is touched: --data may name a folder
// whose tmp is not ours.
const tempPrefix = "replays-"

// claimTemp makes a folder for this process alone and removes those that
// processes left behind which died: a folder in use is locked, and the lock ends
// with its process, however it ends.
func claimTemp(data string) (folder string, release func() error, err error) {
	parent := filepath.Join(data, "tmp")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	if err := sweepTemp(parent); err != nil {
		return "", nil, err
	}
	// It gets the name that others sweep only when it is locked.
	begun, err := os.MkdirTemp(parent, "new-")
	if err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	lock, err := lockFolder(begun)
	if err != nil {
		return "", nil, err
	}
	folder = filepath.Join(parent, tempPrefix+strings.TrimPrefix(filepath.Base(begun), "new-"))
	if err := os.Rename(begun, folder); err != nil {
		return "", nil, errors.Join(fmt.Errorf("--data: %w", err), os.RemoveAll(begun), lock.Close())
	}
	return folder, func() error { return errors.Join(os.RemoveAll(folder), lock.Close()) }, nil
}

func sweepTemp(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), tempPrefix) && !strings.HasPrefix(e.Name(), "replay-") {
			continue // replay- is what they were called when the daemon made all replays
		}
		folder := filepath.Join(parent, e.Name())
		lock, err := lockFolder(folder)
		if err != nil {
			continue // in use
		}
		if err := errors.Join(os.RemoveAll(folder), lock.Close()); err != nil {
			return fmt.Errorf("--data: %w", err)
		}
	}
	return nil
}
