package replay

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media/mediatest"
)

// Every kind of sound must come out at −14 LUFS ±0.5 with peaks of −1 dBTP at
// most, judged on the finished MP3 by FFmpeg.
func TestLoudnessOfEverySound(t *testing.T) {
	for name, s := range map[string]sound{
		"speech":              voice(12, 1),
		"speech over a road":  voice(12, 2).gain(-6).mix(road(12, 0.005, 2)),
		"music":               music(12, 3),
		"mixed":               join(voice(8, 4).gain(-10), music(8, 4)),
		"very quiet":          voice(10, 5).gain(-45),
		"very loud":           music(8, 6).gain(12),
		"very peaky":          voice(12, 7).gain(-24).mix(claps(12, 7)),
		"peaks between":       sine(6, 12000, 0.9).mix(sine(6, 11000, 0.9)),
		"one second":          voice(1, 9),
		"speech with a pause": join(voice(6, 10), road(8, 0.0005, 10), voice(6, 11)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := hls.NewMemory()
			result, err := newMaker(t, Config{Logger: testLog(t)}).Make(context.Background(), Job{
				Recording: record(t, "recording.opus", s), Store: store, Prefix: "replay/1",
			})
			if err != nil {
				t.Fatal(err)
			}
			mp3 := fetch(t, store, result.Audio)
			judged := mediatest.Judge(t, mp3)
			integrated, peak := judged.Integrated, judged.TruePeak
			t.Logf("%-20s %6.2f LUFS %6.2f dBTP → ours %6.2f LUFS %6.2f dBTP, FFmpeg %6.1f %6.1f; gain %5.1f dB, limiter %4.1f dB, %d tries",
				name, result.Before.Integrated, result.Before.TruePeak, result.After.Integrated, result.After.TruePeak,
				integrated, peak, result.Gain, result.Reduction, result.Tries)
			if integrated < -14.5 || integrated > -13.5 || peak > -1 || !result.OnTarget {
				t.Errorf("the MP3 has %.1f LUFS and %.1f dBTP", integrated, peak)
			}
		})
	}
}

// A result that is printed must not fill a screen.
func TestLoudnessIsPrintedInShort(t *testing.T) {
	got := fmt.Sprintf("%+v", Result{After: Loudness{Integrated: -14.02, Range: 6, TruePeak: -1.5, Momentary: make([]float32, 36_000)}})
	if !strings.Contains(got, "After:-14.0 LUFS, 6.0 LU, -1.5 dBTP ") || len(got) > 1000 {
		t.Errorf("%.1000s", got)
	}
}

// fetch copies an object into a file.
func fetch(t testing.TB, store hls.Store, key string) string {
	t.Helper()
	o, err := store.Open(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	path := filepath.Join(t.TempDir(), filepath.Base(key))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadFrom(o); err != nil {
		t.Fatal(err)
	}
	return path
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
