package transcode_test

import (
	"errors"
	"testing"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/transcode"
)

func TestFaults(t *testing.T) {
	tone := mediatest.EncodeOpus(mediatest.Sine(400, -12, time.Second), opus.EncoderConfig{})
	emit := func(int, media.Frame) {}
	t.Run("encoder fails", func(t *testing.T) {
		r, made := rung("weak", 1)
		tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
		if err := tr.Transcode(tone[0], emit); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		(*made)[0].fail = broken
		for range 2 {
			if err := tr.Transcode(tone[1], emit); !errors.Is(err, broken) {
				t.Errorf("%v, want the encoder's error", err)
			}
		}
		if err := tr.Flush(emit); !errors.Is(err, broken) {
			t.Errorf("Flush: %v, want the encoder's error", err)
		}
	})
	t.Run("encoder cannot be made", func(t *testing.T) {
		broken := errors.New("broken")
		_, err := transcode.New(transcode.Config{Rungs: []transcode.Rung{{
			Track:      media.Track{Name: "r", Channels: 1},
			NewEncoder: func() (transcode.Encoder, error) { return nil, broken },
		}}})
		if !errors.Is(err, broken) {
			t.Errorf("%v, want the encoder's error", err)
		}
	})
	t.Run("impossible duration", func(t *testing.T) {
		for _, d := range []int{-1, 0, 5761} {
			r, _ := rung("r", 1)
			tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
			p := tone[0]
			p.Duration = d
			if err := tr.Transcode(p, emit); !errors.Is(err, transcode.ErrPacket) {
				t.Errorf("%d samples: %v, want ErrPacket", d, err)
			}
		}
	})
	t.Run("over", func(t *testing.T) {
		r, _ := rung("r", 1)
		tr := newTranscoder(t, transcode.Config{Rungs: []transcode.Rung{r}})
		none := func(int, media.Frame) { t.Error("a frame of nothing") }
		if err := tr.Flush(none); err != nil {
			t.Errorf("Flush of nothing: %v", err)
		}
		if err := tr.Transcode(tone[0], none); !errors.Is(err, transcode.ErrClosed) {
			t.Errorf("Transcode after Flush: %v, want ErrClosed", err)
		}
		if err := errors.Join(tr.Close(), tr.Close()); err != nil {
			t.Error(err)
		}
		if err := tr.Flush(none); !errors.Is(err, transcode.ErrClosed) {
			t.Errorf("Flush after Close: %v, want ErrClosed", err)
		}
	})
}

func TestConfig(t *testing.T) {
	mono, _ := rung("a", 1)
	stereo, _ := rung("a", 2)
	none, _ := rung("a", 0)
	noEncoder := transcode.Rung{Track: mono.Track}
	for name, config := range map[string]transcode.Config{
		"nothing":         {},
		"three channels":  {Channels: 3, Rungs: []transcode.Rung{mono}},
		"stereo of mono":  {Channels: 1, Rungs: []transcode.Rung{stereo}},
		"no channels":     {Rungs: []transcode.Rung{none}},
		"one name twice":  {Rungs: []transcode.Rung{mono, stereo}},
		"without encoder": {Rungs: []transcode.Rung{noEncoder}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := transcode.New(config); err == nil {
				t.Error("it is taken")
			} else {
				t.Log(err)
			}
		})
	}
}
