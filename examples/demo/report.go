package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/loudness"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/opusrec"
)

// A sourceReport describes what is broadcast.
type sourceReport struct {
	duration time.Duration
	lufs     float64
}

// inspect decodes a recording to say how long and how loud it is, as it is: one
// channel if it has one.
func inspect(path string) (s sourceReport, err error) {
	src, err := opusrec.Open(path)
	if err != nil {
		return s, err
	}
	defer src.Close()
	p, err := src.ReadPacket()
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	channels := p.TOC().Channels()
	decoder, err := opus.NewDecoder(channels)
	if err != nil {
		return s, err
	}
	meter, err := loudness.New(loudness.Config{Channels: channels})
	if err != nil {
		return s, err
	}
	pcm := make([]float32, channels*opus.MaxSamples)
	for ; err == nil; p, err = src.ReadPacket() {
		n, err := decoder.Decode(pcm, p)
		if err != nil {
			return s, err
		}
		meter.Write(pcm[:channels*n])
		s.duration = media.Duration(p.End())
	}
	if !errors.Is(err, io.EOF) {
		return s, err
	}
	s.lufs = meter.Integrated()
	return s, nil
}

// A replayReport is what the files of the replay say of themselves.
type replayReport struct {
	segments int
	longest  string
	mp3Bytes int64
}

// measureReplay reads the playlist as a player does.
func measureReplay(ctx context.Context, d *daemon, r replayState, mp3 string) (m replayReport, err error) {
	index, err := lines(ctx, r.HLSURL)
	if err != nil {
		return m, err
	}
	playlist := ""
	for _, line := range index {
		if line != "" && !strings.HasPrefix(line, "#") {
			playlist = line
		}
	}
	entries, err := lines(ctx, r.HLSURL[:strings.LastIndex(r.HLSURL, "/")+1]+playlist)
	if err != nil {
		return m, err
	}
	for _, line := range entries {
		if duration, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			m.segments++
			m.longest = max(m.longest, strings.TrimSuffix(duration, ","))
		}
	}
	info, err := os.Stat(mp3)
	if err != nil {
		return m, err
	}
	m.mp3Bytes = info.Size()
	return m, nil
}

func lines(ctx context.Context, url string) (l []string, err error) {
	body, err := fetch(ctx, url)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	s := bufio.NewScanner(body)
	for s.Scan() {
		l = append(l, s.Text())
	}
	return l, s.Err()
}

// A report is all that the demo has to tell.
type report struct {
	source sourceReport
	live   liveReport
	state  liveState
	replay replayState
	final  replayReport
	mp3    string
	cache  cacheReport // with a full stack
}

func printReport(r report) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	sent, heard := r.live.sent, r.live.heard
	recorded := time.Duration(r.state.DurationSeconds * float64(time.Second))
	fmt.Fprintln(w, "\nThe live")
	row("sent", "%d Opus packets, %v, %.1f kbit/s, connected in %v", sent.Packets, sent.Duration.Round(time.Millisecond),
		float64(sent.Bytes)*8/1000/sent.Duration.Seconds(), sent.Connect.Round(time.Millisecond))
	row("recorded", "%v", recorded.Round(time.Millisecond))
	row("first segment", "%v after the creator connected", heard.firstListed.Round(10*time.Millisecond))
	row("first sound", "%v after, in a player that waits for %d segments", heard.toFirstSound.Round(10*time.Millisecond), startSegments)
	row("heard", "%v in %d segments, %d gaps", heard.duration.Round(10*time.Millisecond), heard.segments, heard.gaps)
	if c := r.cache; c.requests > 0 {
		row("through NGINX", "%d requests of %d listeners; %d reached the daemon: %.1f %% kept off",
			c.requests, crowdSize+1, c.origin, 100*float64(c.requests-c.origin)/float64(c.requests))
	}
	fmt.Fprintln(w, "The replay")
	row("title", "%s (%s)", r.replay.Title, r.replay.GeoType)
	row("loudness", "%.1f LUFS before, %.1f LUFS after", r.source.lufs, r.replay.Loudness)
	row("silence removed", "%.1f s: %.1f s are left of %.1f s", r.replay.SilenceRemoved, r.replay.DurationSeconds, recorded.Seconds())
	row("files", "MP3 %.0f kbit/s, %d HLS segments of up to %s s",
		float64(r.final.mp3Bytes)*8/1000/r.replay.DurationSeconds, r.final.segments, r.final.longest)
	row("ready", "%v after the end of the live", r.replay.PublishedAt.Sub(r.state.EndedAt).Round(100*time.Millisecond))
	fmt.Fprintln(w, "Listen")
	row("to the replay", "%s", r.mp3)
	row("to what the listener heard", "%s/heard.aac", r.mp3[:max(0, strings.LastIndex(r.mp3, "/"))])
	w.Flush()
}
