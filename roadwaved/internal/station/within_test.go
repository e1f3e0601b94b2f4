package station_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

func TestWithin(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		answer error
		after  time.Duration
		hangUp bool // who asks ends before the patience does
		want   error
		away   bool
	}{
		"answered":      {},
		"answered late": {after: time.Minute},
		"broken":        {answer: broken, want: broken},
		"broken late":   {answer: broken, after: time.Minute, want: broken, away: true},
		"not there":     {answer: station.ErrNotFound, after: time.Minute, want: station.ErrNotFound},
		"no answer":     {answer: context.DeadlineExceeded, after: time.Minute, want: context.DeadlineExceeded, away: true},
		"hung up":       {answer: context.Canceled, after: time.Minute, hangUp: true, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := station.Within(ctx, 10*time.Second, func(ctx context.Context) error {
					if c.hangUp {
						cancel()
					}
					time.Sleep(c.after)
					return c.answer
				})
				if !errors.Is(err, c.want) || errors.Is(err, station.ErrAway) != c.away {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
