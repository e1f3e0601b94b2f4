// Replay turns a recording into a replay: silences out, −14 LUFS, an MP3 with
// tags and an HLS playlist; and draws what happened to the loudness.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/opusrec"
	"github.com/roadwave/roadwave/replay"
)

var (
	out    = flag.String("out", "", "`folder` for the replay (default: a new temporary one)")
	title  = flag.String("title", "", "title of the replay (default: that of the recording)")
	artist = flag.String("artist", "", "name of the creator (default: that of the recording)")
)

func main() {
	log.SetFlags(0)
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: replay [flags] [recording.opus]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flag.Arg(0)); err != nil {
		log.Fatal("replay: ", err)
	}
}

func run(ctx context.Context, recording string) error {
	recording, err := find(recording)
	if err != nil {
		return err
	}
	if *out == "" {
		if *out, err = os.MkdirTemp("", "roadwave-replay-"); err != nil {
			return err
		}
	}
	store, err := hls.NewDir(*out)
	if err != nil {
		return err
	}
	maker, err := replay.New(ctx, replay.Config{Progress: show})
	if err != nil {
		return err
	}
	fmt.Println("recording", recording)
	result, err := maker.Make(ctx, replay.Job{Recording: recording, Tags: tags(recording), Store: store, Prefix: "replay"})
	if err != nil {
		return err
	}
	print(result)
	picture := filepath.Join(*out, "loudness.png")
	if err := drawPicture(picture, result); err != nil {
		return err
	}
	fmt.Println("\nlook:  ", picture)
	fmt.Println("listen: open", filepath.Join(*out, result.Audio), "in a browser, or run")
	fmt.Println("        ffplay -autoexit", filepath.Join(*out, filepath.FromSlash(result.Index)))
	return nil
}

// find gives the recording to use: the one asked for, or the broadcast that
// comes with the examples.
func find(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	for _, path := range []string{"examples/broadcast/broadcast.opus", "../broadcast/broadcast.opus"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("name a recording, or run this from the folder of the repository")
}

// tags are those of the recording unless they are given.
func tags(recording string) replay.Tags {
	t := replay.Tags{Title: *title, Artist: *artist, Comment: "Made by RoadWave", Date: time.Now()}
	if info, err := opusrec.Inspect(recording); err == nil {
		if t.Title == "" {
			t.Title = info.Tags.Title
		}
		if t.Artist == "" {
			t.Artist = info.Tags.Artist
		}
		if !info.Tags.Date.IsZero() {
			t.Date = info.Tags.Date
		}
	}
	return t
}

func show(p replay.Progress) {
	const width = 40
	bar := strings.Repeat("#", int(p.Fraction*width))
	fmt.Printf("\r%-8s [%-*s] %3.0f %%  %-8v", p.Step, width, bar, 100*p.Fraction, p.Remaining.Round(100*time.Millisecond))
	if p.Fraction == 1 {
		fmt.Println()
	}
}

func print(r replay.Result) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	row := func(name, format string, before, after any) {
		fmt.Fprintf(w, "%s\t"+format+"\t"+format+"\n", name, before, after)
	}
	fmt.Fprintln(w, "\n\tbefore\tafter")
	row("duration", "%v", r.Recorded.Round(time.Millisecond), r.Duration.Round(time.Millisecond))
	row("loudness", "%.1f LUFS", r.Before.Integrated, r.After.Integrated)
	row("range", "%.1f LU", r.Before.Range, r.After.Range)
	row("true peak", "%.1f dBTP", r.Before.TruePeak, r.After.TruePeak)
	w.Flush()
	fmt.Println()
	for _, s := range r.Silences {
		fmt.Printf("silence   %.2f s to %.2f s\n", s.Begin.Seconds(), s.End.Seconds())
	}
	fmt.Printf("gain      %+.1f dB, limiter at most %.1f dB, encoded %d time(s)\n", r.Gain, r.Reduction, r.Tries)
	fmt.Printf("MP3       %.1f MB at 256 kbit/s\n", float64(r.MP3Bytes)/1e6)
	fmt.Printf("HLS       %d segments of 10 s\n", r.Segments)
	fmt.Printf("took      %v, %.0f times faster than listening\n", r.Elapsed.Round(10*time.Millisecond),
		r.Recorded.Seconds()/r.Elapsed.Seconds())
}
