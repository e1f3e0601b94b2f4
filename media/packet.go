package media

import (
	"iter"
	"time"
)

// SampleRate is the clock of every PTS and duration in this module, in hertz.
const SampleRate = 48000

// A Packet is one Opus packet (RFC 6716 §3) at its place on the timeline.
//
// A lost packet is still a packet: Lost is true, Duration says how much is
// missing, and Data holds a filler that any Opus decoder answers with
// concealment (a TOC byte whose frame is empty, RFC 7845 §4.1). A sink that
// only passes packets on may therefore write Data without looking at Lost.
type Packet struct {
	// PTS is the presentation time of the first sample, in samples at 48 kHz
	// since the start of the live.
	PTS int64
	// Duration is the number of samples at 48 kHz, 120 (2.5 ms) to 5760 (120 ms).
	Duration int
	// Data is the Opus packet. It is never empty and must not be modified:
	// sinks share it.
	Data []byte
	// Lost marks a filler that stands for audio which never arrived.
	Lost bool
}

// End is the presentation time right after the packet.
func (p Packet) End() int64 { return p.PTS + int64(p.Duration) }

// TOC is the table-of-contents byte of the packet.
func (p Packet) TOC() TOC { return TOC(p.Data[0]) }

// A Frame is one encoded access unit of a rendition (AAC, MP3, Opus) at its
// place on the timeline. PTS may be slightly negative: an encoder's priming
// comes before the first sample.
type Frame struct {
	PTS      int64 // samples at 48 kHz since the start of the live
	Duration int   // samples at 48 kHz
	Data     []byte
}

// End is the presentation time right after the frame.
func (f Frame) End() int64 { return f.PTS + int64(f.Duration) }

// A Codec names how the frames of a [Track] are encoded.
type Codec string

// The codecs that a track may have.
const (
	CodecOpus  Codec = "opus"
	CodecAACLC Codec = "aac-lc"
	CodecMP3   Codec = "mp3"
)

// A Track describes the frames of one rendition.
type Track struct {
	// Name is short and fit for a file name: "aac48", "opus".
	Name  string
	Codec Codec
	// SampleRate is the codec's own rate in hertz; timestamps stay at 48 kHz.
	SampleRate int
	// Channels is 1 or 2.
	Channels int
	// Bitrate is the nominal rate in bits per second.
	Bitrate int
	// Config is the codec's out-of-band configuration: the
	// AudioSpecificConfig for AAC (ISO 14496-3 §1.6), nil for others.
	Config []byte
}

// Samples is the number of samples at 48 kHz in d, rounded down.
func Samples(d time.Duration) int64 {
	return int64(d/time.Second)*SampleRate + int64(d%time.Second)*SampleRate/int64(time.Second)
}

// Duration is the time that n samples at 48 kHz last.
func Duration(n int64) time.Duration {
	return time.Duration(n/SampleRate)*time.Second + time.Duration(n%SampleRate)*time.Second/SampleRate
}

// Gap yields the lost packets that fill samples of missing audio from pts on,
// in the coding mode of toc (the packet before the gap), 20 ms at a time.
// What is left below 2.5 ms, the shortest Opus frame, is not yielded.
func Gap(toc TOC, pts, samples int64) iter.Seq[Packet] {
	return func(yield func(Packet) bool) {
		for samples >= minFrame {
			filler, n := toc.filler(samples)
			if !yield(Packet{PTS: pts, Duration: n, Data: fillers[filler : filler+1 : filler+1], Lost: true}) {
				return
			}
			pts += int64(n)
			samples -= int64(n)
		}
	}
}

// fillers holds every one-byte packet, so that a lost packet costs no memory.
var fillers = func() (b [256]byte) {
	for i := range b {
		b[i] = byte(i)
	}
	return b
}()
