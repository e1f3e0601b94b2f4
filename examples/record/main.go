// Record shows what a crash costs a recording: it starts a recorder as a process
// of its own, kills it with SIGKILL in the middle of the live, and recovers the
// file.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/roadwave/roadwave/media"
	"github.com/roadwave/roadwave/media/mediatest"
	"github.com/roadwave/roadwave/media/opus"
	"github.com/roadwave/roadwave/opusrec"
)

var (
	sound     = flag.String("sound", "", "Ogg Opus `file` to broadcast (default: a generated voice and a jingle)")
	out       = flag.String("out", "", "recording to make; must not exist (default: in a new temporary directory)")
	killAfter = flag.Duration("kill-after", 6500*time.Millisecond, "how long the live goes on before the kill")
	recorder  = flag.Bool("recorder", false, "be the process that is killed")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	run := crash
	if *recorder {
		run = record
	}
	if err := run(); err != nil {
		log.Fatal("record: ", err)
	}
}

// record is the child: a live in real time into a file. It tells its parent how
// much sound it was given and how many bytes are safe.
func record() error {
	live, err := source()
	if err != nil {
		return err
	}
	defer live.Close()
	rec, err := opusrec.Create(*out, opusrec.Config{Tags: opusrec.Tags{Title: "A live that is cut short", Date: time.Now()}})
	if err != nil {
		return err
	}
	defer rec.Close()
	start := time.Now()
	for {
		p, err := live.ReadPacket()
		if err != nil {
			return err // io.EOF too: the live should not end
		}
		time.Sleep(time.Until(start.Add(media.Duration(p.End()))))
		if err := rec.WritePacket(p); err != nil {
			return err
		}
		fmt.Println(p.End(), rec.Durable())
	}
}

// source is the creator.
func source() (media.Source, error) {
	if *sound != "" {
		return opusrec.Open(*sound)
	}
	jingle := mediatest.Chord(-18, time.Second, 392, 494, 587)
	var pcm []float32
	for i := range 15 {
		voice := mediatest.Voice{Pitch: 110 + 20*float64(i%5), Seed: uint64(i)}
		pcm = slices.Concat(pcm, jingle, mediatest.Speech(voice, -20, 3*time.Second))
	}
	return mediatest.Packets(mediatest.EncodeOpus(pcm, opus.EncoderConfig{Bitrate: 48000})...), nil
}

// crash is the parent.
func crash() error {
	if *out == "" {
		dir, err := os.MkdirTemp("", "roadwave-record-")
		if err != nil {
			return err
		}
		*out = filepath.Join(dir, "live.opus")
	}
	fmt.Printf("recording %s in another process\n", *out)
	given, durable, err := killRecorder()
	if err != nil {
		return err
	}
	before, err := opusrec.Inspect(*out)
	if err != nil {
		return err
	}
	fmt.Printf("killed    after %v on air; %d of the file's %d bytes were safe\n", given, durable, before.Bytes)

	report, err := opusrec.Recover(*out)
	if err != nil {
		return err
	}
	fmt.Printf("recovered %v of sound, %v of it missing\n", report.Duration, report.LostTime)
	fmt.Printf("lost      %v, the page that was being collected, and %d torn bytes\n", given-report.Duration, report.BytesCut)
	fmt.Printf("\nlisten: open %s in a browser, or run  ffplay -autoexit %[1]s\n", *out)
	return nil
}

// killRecorder gives what the recorder had been given and what it had synced
// when it was killed.
func killRecorder() (given time.Duration, durable int64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	child := exec.Command(self, "-recorder", "-out", *out, "-sound", *sound)
	child.Stderr = os.Stderr
	progress, err := child.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	if err := child.Start(); err != nil {
		return 0, 0, err
	}
	var kill *time.Timer
	var samples, safe int64
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		if kill == nil { // the live has begun
			kill = time.AfterFunc(*killAfter, func() { _ = child.Process.Kill() })
			defer kill.Stop()
		}
		if _, err := fmt.Sscan(lines.Text(), &samples, &safe); err != nil {
			return 0, 0, errors.Join(err, child.Process.Kill(), child.Wait())
		}
		if safe > durable {
			durable = safe
			fmt.Printf("  %v on air, %d bytes are safe on the disk\n", media.Duration(samples), safe)
		}
	}
	if err := child.Wait(); err == nil || kill == nil {
		return 0, 0, fmt.Errorf("the live ended by itself before the kill (%v)", err)
	}
	return media.Duration(samples), durable, nil
}
