package opusrec_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/opusrec"
)

// live stands for a creator: five seconds of speech.
func live() media.Source {
	voice := mediatest.Speech(mediatest.Voice{}, -20, 5*time.Second)
	return mediatest.Packets(mediatest.EncodeOpus(voice, opus.EncoderConfig{Bitrate: 48000})...)
}

func Example() {
	dir, err := os.MkdirTemp("", "opusrec")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "live.opus")

	rec, err := opusrec.Create(path, opusrec.Config{Tags: opusrec.Tags{Title: "Sur la route"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := media.Copy(rec, live()); err != nil { // closes the recording
		log.Fatal(err)
	}

	info, err := opusrec.Inspect(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Tags.Title, info.Duration)
	// Output: Sur la route 5s
}

// After a crash the page that was being written is cut off.
func ExampleRecover() {
	dir, err := os.MkdirTemp("", "opusrec")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "live.opus")
	rec, err := opusrec.Create(path, opusrec.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := media.Copy(rec, live()); err != nil {
		log.Fatal(err)
	}
	if err := os.Truncate(path, rec.Stats().Bytes-100); err != nil { // the crash
		log.Fatal(err)
	}

	report, err := opusrec.Recover(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("kept", report.Duration, "missing inside", report.LostTime)
	// Output: kept 4s missing inside 0s
}

// A recording is a source like a live: what is missing comes as lost packets.
func ExampleReader() {
	r, err := opusrec.Open("testdata/golden.opus")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	var heard, missing time.Duration
	for {
		p, err := r.ReadPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		if p.Lost {
			missing += media.Duration(int64(p.Duration))
		} else {
			heard += media.Duration(int64(p.Duration))
		}
	}
	fmt.Println(r.Tags().Artist, "heard", heard, "missing", missing)
	// Output: Zoé heard 5.145s missing 1.24s
}
