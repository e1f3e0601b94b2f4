// Command demo is one live from end to end: it starts the daemon, sends it a
// broadcast by WHIP in real time, listens as a player would, ends the live,
// waits for the replay and says what all of it took.
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
	"sync"
	"syscall"
	"time"

	"github.com/roadwave/roadwave/media/whip"
	"github.com/roadwave/roadwave/opusrec"
)

func main() {
	log.SetFlags(0)
	sound := flag.String("sound", "examples/broadcast/broadcast.opus", "Ogg Opus `file` to broadcast")
	folder := flag.String("folder", "roadwave-demo", "`folder` for what the demo leaves behind")
	keep := flag.Bool("keep", false, "leave the daemon running at the end, until Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *sound, *folder, *keep); err != nil {
		log.Fatal("demo: ", err)
	}
}

func demo(ctx context.Context, sound, folder string, keep bool) error {
	source, err := inspect(sound)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	fmt.Println("Building and starting roadwaved ...")
	d, err := startDaemon(ctx, folder)
	if err != nil {
		return err
	}
	defer d.stop()

	fmt.Printf("Going live with %s (%v) ...\n", sound, source.duration.Round(time.Second))
	live, err := broadcast(ctx, d, sound, filepath.Join(folder, "heard.aac"))
	if err != nil {
		return err
	}
	replay, err := d.waitForReplay(ctx, live.id)
	if err != nil {
		return err
	}
	mp3 := filepath.Join(folder, "replay.mp3")
	if err := d.download(ctx, replay.MP3URL, mp3); err != nil {
		return err
	}
	state, err := d.live(ctx, live.id)
	if err != nil {
		return err
	}
	final, err := measureReplay(ctx, d, replay, mp3)
	if err != nil {
		return err
	}
	printReport(report{source, live, state, replay, final, mp3})
	if keep {
		fmt.Printf("\nThe daemon is still on at %s; Ctrl-C stops it.\n", d.url)
		<-ctx.Done()
	}
	return live.complaint(source)
}

// A liveReport is what sender and listener saw of the live.
type liveReport struct {
	id    string
	sent  whip.PublishStats
	heard heard
}

// complaint is an error when the live was not what it should be, so that the
// demo is also a test.
func (l liveReport) complaint(s sourceReport) error {
	switch {
	case l.heard.gaps > 0:
		return fmt.Errorf("the listener heard %d gaps", l.heard.gaps)
	case l.heard.duration < s.duration-4*time.Second:
		return fmt.Errorf("the listener heard %v of %v", l.heard.duration, s.duration)
	}
	return nil
}

// broadcast sends a recording and listens to it until both are over.
func broadcast(ctx context.Context, d *daemon, sound, heardFile string) (liveReport, error) {
	src, err := opusrec.Open(sound)
	if err != nil {
		return liveReport{}, err
	}
	var live liveReport
	var listening sync.WaitGroup
	var listenErr error
	cfg := whip.PublishConfig{
		Token: "la-demo",
		Connected: func(session string) {
			live.id = filepath.Base(session)
			fmt.Printf("On air. Listen along: %s/listen/%s\n", d.url, live.id)
			listening.Go(func() {
				live.heard, listenErr = listen(ctx, d.url+"/live/"+live.id+"/index.m3u8", heardFile)
			})
		},
	}
	endpoint := d.url + "/whip?title=La+route+des+vacances&zone_geo=Dr%C3%B4me&tag=route&tag=musique"
	live.sent, err = whip.Publish(ctx, endpoint, src, cfg)
	if err == nil && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err != nil {
		return live, err
	}
	fmt.Println("\nLive over; the listener is finishing ...")
	listening.Wait()
	return live, listenErr
}
