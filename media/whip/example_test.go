package whip_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/media/whip"
)

// speech stands for somebody who speaks for d.
func speech(d time.Duration) media.Source {
	voice := mediatest.Speech(mediatest.Voice{}, -20, d)
	return mediatest.Packets(mediatest.EncodeOpus(voice, opus.EncoderConfig{Bitrate: 48000})...)
}

// A server hands each live to a sink of its own; a publisher sends one.
func Example() {
	ended := make(chan whip.EndReason, 1)
	server, err := whip.NewServer(whip.Config{
		UDPAddress: "127.0.0.1:0", Loopback: true, // creators on this machine only
		OnPublish: func(_ context.Context, s *whip.Session) error {
			recorder := new(mediatest.Recorder) // any media.Sink: opusrec.Recorder, hls.Live, media.Fan
			err := media.Copy(recorder, s)      // returns when the creator stops
			ended <- s.Reason()
			return err
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	mux := http.NewServeMux()
	mux.Handle("/whip", server)
	mux.Handle("/whip/", server)
	web := httptest.NewServer(mux)
	defer web.Close()

	stats, err := whip.Publish(context.Background(), web.URL+"/whip", speech(time.Second), whip.PublishConfig{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sent", stats.Packets, "packets,", stats.Duration)
	fmt.Println("the live ended:", <-ended)
	// Output:
	// sent 50 packets, 1s
	// the live ended: deleted
}

// Admit decides who may go on air, and gives back what it took when the live
// is over.
func ExampleConfig_admit() {
	places := make(chan struct{}, 1)
	server, err := whip.NewServer(whip.Config{
		UDPAddress: "127.0.0.1:0",
		Admit: func(r *http.Request) (whip.Admission, error) {
			select {
			case places <- struct{}{}:
				return whip.Admission{Value: r.Header.Get("Authorization"), Release: func() { <-places }}, nil
			default:
				return whip.Admission{}, &whip.Refusal{
					Status: http.StatusServiceUnavailable, Code: "station-full", RetryAfter: time.Minute,
					Detail: "Capacité maximale atteinte. Veuillez réessayer dans quelques minutes",
				}
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	places <- struct{}{} // somebody is on air

	web := httptest.NewServer(server)
	defer web.Close()
	_, err = whip.Publish(context.Background(), web.URL+"/whip", speech(time.Second), whip.PublishConfig{})
	fmt.Println(err)
	// Output:
	// whip: refused with 503 station-full: Capacité maximale atteinte. Veuillez réessayer dans quelques minutes
}

// A client publishes several lives at once.
func ExampleClient() {
	server, err := whip.NewServer(whip.Config{UDPAddress: "127.0.0.1:0", Loopback: true})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	web := httptest.NewServer(server)
	defer web.Close()

	client, err := whip.NewClient(whip.ClientConfig{Loopback: true})
	if err != nil {
		log.Fatal(err)
	}
	sent := make(chan int)
	for range 3 {
		go func() {
			stats, err := client.Publish(context.Background(), web.URL+"/whip", speech(200*time.Millisecond), whip.PublishConfig{Token: "a creator"})
			if err != nil {
				log.Print(err)
			}
			sent <- stats.Packets
		}()
	}
	fmt.Println(<-sent, <-sent, <-sent)
	// Output: 10 10 10
}
