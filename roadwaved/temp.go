package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// tempPrefix begins the names of the folders in <data>/tmp, one for each process
// that makes replays. Nothing else there is touched: --data may name a folder
// whose tmp is not ours.
const tempPrefix = "replays-"

// newPrefix begins the name of one that is not locked yet, and that holds nothing.
const newPrefix = "new-"

var newName = regexp.MustCompile("^" + newPrefix + "[0-9]+$")

// claimTemp makes a folder for this process alone and removes those that
// processes left behind which died: a folder in use is locked, and the lock ends
// with its process, however it ends.
func claimTemp(data string) (folder string, release func() error, err error) {
	parent := filepath.Join(data, "tmp")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	if _, _, err := sweepTemp(data, false); err != nil {
		return "", nil, err
	}
	// It gets the name that others sweep only when it is locked.
	begun, err := os.MkdirTemp(parent, newPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("--data: %w", err)
	}
	lock, err := lockFolder(begun)
	if err != nil {
		return "", nil, err
	}
	folder = filepath.Join(parent, tempPrefix+strings.TrimPrefix(filepath.Base(begun), newPrefix))
	if err := os.Rename(begun, folder); err != nil {
		return "", nil, errors.Join(fmt.Errorf("--data: %w", err), os.RemoveAll(begun), lock.Close())
	}
	return folder, func() error { return errors.Join(os.RemoveAll(folder), lock.Close()) }, nil
}

// tempFolder tells whether a name in <data>/tmp is one of ours, and from which age
// a folder with it is left over although nobody may have locked it yet.
func tempFolder(name string) (ours bool, age time.Duration) {
	switch {
	case strings.HasPrefix(name, tempPrefix), strings.HasPrefix(name, "replay-"):
		return true, 0 // replay- is what they were called when the daemon made all replays
	case newName.MatchString(name):
		return true, 24 * time.Hour
	}
	return false, 0
}

// sweepTemp removes the folders of processes that died, and tells how many and how
// many bytes they were; in a dry run it only tells. Those of processes that live
// are locked.
func sweepTemp(data string, dryRun bool) (folders int, bytes int64, err error) {
	parent := filepath.Join(data, "tmp")
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("--data: %w", err)
	}
	for _, e := range entries {
		ours, age := tempFolder(e.Name())
		info, err := e.Info()
		if !ours || !e.IsDir() || err != nil || time.Since(info.ModTime()) < age {
			continue
		}
		size, swept, err := sweepFolder(filepath.Join(parent, e.Name()), dryRun)
		if err != nil {
			return folders, bytes, fmt.Errorf("--data: %w", err)
		}
		if swept {
			folders++
			bytes += size
		}
	}
	return folders, bytes, nil
}

// sweepFolder removes a folder, unless it is in use.
func sweepFolder(folder string, dryRun bool) (bytes int64, swept bool, err error) {
	if inUse(folder) {
		return 0, false, nil
	}
	err = filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err == nil && !dryRun {
		err = os.RemoveAll(folder)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil // another process was quicker
	}
	return bytes, err == nil, err
}

// inUse tells whether a process may hold the lock of a folder. One that died leaves
// it behind for good: nobody takes a folder that is there already.
func inUse(folder string) bool {
	if _, err := os.Lstat(filepath.Join(folder, "lock")); errors.Is(err, fs.ErrNotExist) {
		return false // looking must not make one
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return true
	}
	defer lock.Close()
	again, err := lockFolder(folder)
	if err == nil { // where locks do not lock, nobody knows
		again.Close()
	}
	return err == nil
}
