// Live is a radio station in one process: a WHIP server hands what it receives
// to an HLS packager, a creator publishes a sound to it over WebRTC in real
// time, and a listener plays the result and keeps what it hears.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/hls"
	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/whip"
)

var (
	listenOn = flag.String("listen", "127.0.0.1:0", "`address` of the web server; port 0 picks a free one")
	length   = flag.Duration("for", 20*time.Second, "how long the live lasts; 0 goes on until Ctrl-C")
	out      = flag.String("out", "", "`file` for what the listener hears; must not exist (default: in a new temporary folder)")
)

func main() {
	log.SetFlags(0)
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: live [flags] [sound.opus]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flag.Arg(0)); err != nil {
		log.Fatal("live: ", err)
	}
}

func run(ctx context.Context, sound string) error {
	src, err := openSound(sound, *length)
	if err != nil {
		return err
	}
	defer src.Close()
	if *out == "" {
		folder, err := os.MkdirTemp("", "roadwave-live-")
		if err != nil {
			return err
		}
		*out = filepath.Join(folder, "heard.opus")
	}
	player, err := newPlayer(*out)
	if err != nil {
		return err
	}
	defer player.close()
	station, err := openStation(*listenOn)
	if err != nil {
		return err
	}
	defer station.close()
	fmt.Printf("Publish to  %s/whip\nListen at   %s/live/index.m3u8\n", station.url, station.url)

	// The creator and the listener need nothing from the station but its URLs.
	begin := time.Now()
	listening := make(chan error, 1)
	// gohlslib's client writes the codec in small letters and would not choose
	// "Opus" from the index, so it gets the rendition at once. Ctrl-C ends the
	// live; the listener hears it out.
	go func() {
		listening <- player.listen(context.WithoutCancel(ctx), station.url+"/live/opus/media.m3u8", begin)
	}()
	var sent [][]byte
	stats, err := whip.Publish(ctx, station.url+"/whip?title=On+the+road", src, whip.PublishConfig{
		Connected: func(string) {
			fmt.Printf("On air      %v after the creator pressed the button\n", time.Since(begin).Round(time.Millisecond))
		},
		Sent: func(p media.Packet) { sent = append(sent, p.Data) },
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nOver        %d packets sent, %v of sound\n", stats.Packets, stats.Duration.Round(time.Millisecond))
	if err := <-listening; err != nil {
		return err
	}
	return player.report(sent)
}

// A station is the whole server side: two handlers and the line that joins
// them.
type station struct {
	url  string
	whip *whip.Server
	hls  *hls.Live
	web  *http.Server
}

func openStation(address string) (*station, error) {
	live, err := hls.NewLive(hls.Config{
		OnSegment: func(s hls.SegmentEvent) { fmt.Printf("\rSegments    %d ", s.Number+1) },
	})
	if err != nil {
		return nil, err
	}
	server, err := whip.NewServer(whip.Config{
		UDPAddress: "127.0.0.1:0", Loopback: true, // creators on this machine only
		MaxSessions: 1, // live takes one creator; a station of many makes a live for each
		OnPublish: func(_ context.Context, creator *whip.Session) error {
			return media.Copy(live, creator) // returns when the creator stops
		},
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/whip", server)
	mux.Handle("/whip/", server)
	mux.Handle("/live/", live)
	s := &station{url: "http://" + listener.Addr().String(), whip: server, hls: live, web: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}}
	go func() { _ = s.web.Serve(listener) }()
	return s, nil
}

func (s *station) close() {
	_ = s.whip.Close() // ends the live
	_ = s.hls.Close()
	_ = s.web.Close()
}
