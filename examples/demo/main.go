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
	full := flag.String("stack", "", "full: with PostgreSQL, Redis, an S3 server, NGINX and a separate worker (default: one process)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *sound, *folder, *full, *keep); err != nil {
		log.Fatal("demo: ", err)
	}
}

func demo(ctx context.Context, sound, folder, full string, keep bool) error {
	source, err := inspect(sound)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	house, err := openHouse(ctx, folder, full)
	if err != nil {
		return err
	}
	defer house.close()
	d := house.daemon

	fmt.Printf("Going live with %s (%v) ...\n", sound, source.duration.Round(time.Second))
	live, err := house.broadcast(ctx, sound, filepath.Join(folder, "heard.aac"))
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
	r := report{source: source, live: live, state: state, replay: replay, final: final, mp3: mp3}
	if house.stack != nil {
		if r.cache, err = house.stack.cache(live.id); err != nil {
			return err
		}
	}
	printReport(r)
	if keep {
		fmt.Printf("\nThe daemon is still on at %s; Ctrl-C stops it.\n", d.url)
		<-ctx.Done()
	}
	return live.complaint(source)
}

// A house is the daemon, and in a full stack all that is around it.
type house struct {
	daemon *daemon
	stack  *stack // nil: one process
	stops  []func()
}

// openHouse starts everything. When it fails, what was started is stopped.
func openHouse(ctx context.Context, folder, full string) (h *house, err error) {
	h = &house{}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	switch full {
	case "":
	case "full":
		if h.stack, err = startStack(ctx, folder); err != nil {
			return h, err
		}
		h.stops = append(h.stops, h.stack.stop)
	default:
		return h, fmt.Errorf("-stack is %q: want full, or nothing", full)
	}
	fmt.Println("Building and starting roadwaved ...")
	if h.daemon, err = startDaemon(ctx, folder, h.stack); err != nil {
		return h, err
	}
	h.stops = append(h.stops, h.daemon.stop)
	if h.stack != nil {
		worker, err := h.stack.startWorker(folder)
		if err != nil {
			return h, err
		}
		h.stops = append(h.stops, worker.stop)
		fmt.Printf("A daemon and a worker on PostgreSQL, Redis and an S3 server; NGINX in front at %s\n", h.daemon.url)
	}
	return h, nil
}

func (h *house) close() {
	for i := len(h.stops) - 1; i >= 0; i-- {
		h.stops[i]()
	}
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
func (h *house) broadcast(ctx context.Context, sound, heardFile string) (liveReport, error) {
	d := h.daemon
	src, err := opusrec.Open(sound)
	if err != nil {
		return liveReport{}, err
	}
	var live liveReport
	var listening, others sync.WaitGroup
	var listenErr error
	crowded, disperse := context.WithCancel(ctx)
	defer others.Wait()
	defer disperse()
	cfg := whip.PublishConfig{
		Token: "la-demo",
		Connected: func(session string) {
			live.id = filepath.Base(session)
			fmt.Printf("On air. Listen along: %s/listen/%s\n", d.url, live.id)
			if h.stack != nil {
				others.Go(func() { crowd(crowded, d.url+"/live/"+live.id+"/opus/media.m3u8") })
			}
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
