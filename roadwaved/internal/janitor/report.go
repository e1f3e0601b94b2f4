package janitor

import (
	"fmt"
	"io"
	"strings"
)

// A Kind is a sort of thing that gets deleted.
type Kind string

// The kinds.
const (
	Audit  Kind = "audit"  // events
	Temp   Kind = "temp"   // folders of replays that were being made, on this machine
	Raw    Kind = "raw"    // recordings
	Replay Kind = "replay" // folders in the store of replays that were not made in the end
	Live   Kind = "live"   // folders in the store of lives that are over
	Upload Kind = "upload" // unfinished uploads into the store
)

// kinds in the order in which they are cleaned. The one that may take long comes
// last.
var kinds = []Kind{Temp, Raw, Replay, Live, Upload, Audit}

// An Item is one thing that was deleted, or left.
type Item struct {
	Kind    Kind
	Key     string // in the store, a prefix if it ends with a slash; or a path
	Objects int64  // how many: objects, files, events or uploads
	Bytes   int64  // 0 where that is not known
	Why     string
}

// A Total sums up the items of a kind.
type Total struct {
	Kind                  Kind
	Items, Objects, Bytes int64
}

// keptItems bounds the items that a report keeps of each list.
const keptItems = 1000

// A Report says what was freed, or in a dry run what would be.
type Report struct {
	DryRun  bool
	Items   []Item  // the first 1000
	Omitted int64   // how many more there were
	Totals  []Total // of all, kinds with nothing left out
	// Left are the first 1000 things that a human should look at, LeftOmitted is
	// how many more there were.
	Left        []Item
	LeftOmitted int64
}

func (r *Report) add(i Item) {
	if len(r.Items) < keptItems {
		r.Items = append(r.Items, i)
	} else {
		r.Omitted++
	}
	n := 0
	for ; n < len(r.Totals) && r.Totals[n].Kind != i.Kind; n++ {
	}
	if n == len(r.Totals) {
		r.Totals = append(r.Totals, Total{Kind: i.Kind})
	}
	t := &r.Totals[n]
	t.Items++
	t.Objects += i.Objects
	t.Bytes += i.Bytes
}

func (r *Report) leave(i Item) {
	if len(r.Left) < keptItems {
		r.Left = append(r.Left, i)
	} else {
		r.LeftOmitted++
	}
}

// Bytes is how many were freed in all.
func (r *Report) Bytes() (sum int64) {
	for _, t := range r.Totals {
		sum += t.Bytes
	}
	return sum
}

// Summary is the totals in one line.
func (r *Report) Summary() string {
	if len(r.Totals) == 0 {
		return "nothing"
	}
	var parts []string
	for _, t := range r.Totals {
		part := fmt.Sprintf("%s %d", t.Kind, t.Items)
		if t.Objects != t.Items {
			part = fmt.Sprintf("%s (%d)", part, t.Objects)
		}
		parts = append(parts, fmt.Sprintf("%s %s", part, size(t.Bytes)))
	}
	return fmt.Sprintf("%s: %s", size(r.Bytes()), strings.Join(parts, ", "))
}

// WriteTo writes the report for people, one thing per line.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	verb := "deleted"
	if r.DryRun {
		verb = "would delete"
	}
	var b strings.Builder
	for _, i := range r.Items {
		fmt.Fprintf(&b, "%s %-6s %10s  %s (%s)\n", verb, i.Kind, size(i.Bytes), i.Key, i.Why)
	}
	if r.Omitted > 0 {
		fmt.Fprintf(&b, "... and %d more\n", r.Omitted)
	}
	for _, i := range r.Left {
		fmt.Fprintf(&b, "left, look at it: %s %10s  %s (%s)\n", i.Kind, size(i.Bytes), i.Key, i.Why)
	}
	if r.LeftOmitted > 0 {
		fmt.Fprintf(&b, "... and %d more\n", r.LeftOmitted)
	}
	fmt.Fprintf(&b, "%s %s\n", verb, r.Summary())
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// String is what WriteTo writes.
func (r *Report) String() string {
	var b strings.Builder
	_, _ = r.WriteTo(&b) // a builder takes all
	return b.String()
}

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
