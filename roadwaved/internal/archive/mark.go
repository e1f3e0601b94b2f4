package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// markName is a file in the folder of recordings. Where it is missing the disk is
// not there, or another one is: that a recording is missing too says nothing.
const markName = ".roadwave"

const markText = "RoadWave keeps the recordings of its lives in this folder until they are uploaded.\n" +
	"Without this file it takes the folder for the empty place of a disk that is not mounted.\n"

func (a *Archive) markPath() string { return filepath.Join(a.cfg.Recordings, markName) }

// mark puts the mark into a folder that is the right one: nothing is expected to
// be in it, or one of the recordings that are.
func (a *Archive) mark(expected []station.Job) error {
	if _, err := os.Lstat(a.markPath()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	here := func(j station.Job) bool {
		_, err := os.Lstat(a.path(j.LiveID))
		return named(j.LiveID) && err == nil
	}
	if len(expected) > 0 && !slices.ContainsFunc(expected, here) {
		return nil // doWithout complains
	}
	return os.WriteFile(a.markPath(), []byte(markText), 0o600)
}

// errUnmarked is a folder that may be the wrong one.
var errUnmarked = errors.New("this is not known as a folder of recordings: mount its disk, or if it is the right one make an empty file there")

// marked tells whether a recording that is not in the folder is nowhere.
func (a *Archive) marked() error {
	_, err := os.Lstat(a.markPath())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("archive: a recording is missing: %w: %q", errUnmarked, a.markPath())
	}
	return err
}
