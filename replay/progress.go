package replay

import "time"

// A Step is a part of the work.
type Step string

// The steps, in order.
const (
	Analyzing Step = "analyze"
	Mastering Step = "master"
	Verifying Step = "verify"
	Packaging Step = "package"
)

// share is what part of a replay's time a step takes.
var share = map[Step]struct{ begin, size float64 }{
	Analyzing: {0, 0.25},
	Mastering: {0.25, 0.6},
	Verifying: {0.85, 0.12},
	Packaging: {0.97, 0.03},
}

// Progress says how far a replay is.
type Progress struct {
	Step Step
	// Fraction of the whole replay that is done, 0 to 1. It goes back when the
	// mastering has to be repeated.
	Fraction float64
	// Remaining is an estimate of the time to the end; 0 when nothing can be
	// said yet.
	Remaining time.Duration
}

// A reporter tells the progress of one call.
type reporter struct {
	tell  func(Progress)
	start time.Time
	last  Progress
}

func (m *Maker) report() *reporter { return &reporter{tell: m.cfg.Progress, start: time.Now()} }

// at says that done of all of a step are done; all may be 0 for unknown.
func (r *reporter) at(step Step, done, all int) {
	if r.tell == nil {
		return
	}
	part := 0.0
	if all > 0 {
		part = min(1, float64(done)/float64(all))
	}
	p := Progress{Step: step, Fraction: share[step].begin + part*share[step].size}
	if step == r.last.Step && p.Fraction < r.last.Fraction+0.01 && p.Fraction >= r.last.Fraction && part < 1 {
		return
	}
	if p.Fraction > 0.02 {
		p.Remaining = time.Duration(float64(time.Since(r.start)) / p.Fraction * (1 - p.Fraction))
	}
	if p != r.last {
		r.last = p
		r.tell(p)
	}
}
