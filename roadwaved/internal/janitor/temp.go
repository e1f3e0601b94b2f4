package janitor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// tempNames are those that replay and relive make for their folders.
var tempNames = regexp.MustCompile(`^(replay|relive)-[0-9]+$`)

// temp deletes what makers of replays that were killed left on this machine.
func (r *round) temp(ctx context.Context) error {
	var errs []error
	for _, parent := range r.Temp {
		entries, err := os.ReadDir(parent)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		errs = append(errs, err)
		for _, e := range entries {
			if ctx.Err() == nil && e.IsDir() && tempNames.MatchString(e.Name()) {
				errs = append(errs, r.discard(filepath.Join(parent, e.Name())))
			}
		}
	}
	return errors.Join(errs...)
}

// discard deletes a folder in which nothing has changed for the grace.
func (r *round) discard(folder string) error {
	item := Item{Kind: Temp, Key: folder, Why: "unchanged for " + days(r.Grace)}
	fresh := false
	err := filepath.WalkDir(folder, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if r.now.Sub(info.ModTime()) < r.Grace {
			fresh = true
			return fs.SkipAll
		}
		if !e.IsDir() {
			item.Objects++
			item.Bytes += info.Size()
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its owner was quicker
	}
	if err != nil || fresh {
		return err
	}
	if !r.dryRun {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("temporary folder: %w", err)
		}
	}
	r.freed(item)
	return nil
}
