package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/roadwave/roadwave/opusrec"
)

// recoverFiles is the command that makes recordings whole after a crash. The
// daemon does this by itself for its own; this is for copies taken elsewhere.
func recoverFiles(args []string, out io.Writer) error {
	f := flag.NewFlagSet("recover", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	if err := f.Parse(args); err != nil {
		return usageError{err}
	}
	paths := f.Args()
	if len(paths) == 0 {
		return usageError{errors.New("recover: name one or more recordings (.opus)")}
	}
	var errs []error
	for _, path := range paths {
		report, err := opusrec.Recover(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", path, describe(report))
	}
	return errors.Join(errs...)
}

// describe says in one line what became of a recording.
func describe(r opusrec.Report) string {
	length := r.Duration.Round(time.Millisecond)
	switch {
	case r.Intact:
		return fmt.Sprintf("whole, %v", length)
	case r.Rewritten:
		return fmt.Sprintf("repaired, %v of which %v were lost to damage in %d places, %d bytes cut from the end",
			length, r.DamageTime.Round(time.Millisecond), len(r.Damaged), r.BytesCut)
	default:
		return fmt.Sprintf("ended properly, %v, %d bytes cut from the end", length, r.BytesCut)
	}
}
