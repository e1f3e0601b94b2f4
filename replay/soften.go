package replay

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/roadwave/roadwave/media/loudness"
)

// An encoder moves peaks: what the limiter held at −2 dBTP can come back at
// −0.9. Encoding an hour again for a few such places would cost more than all
// the rest, so the places are turned down inside the MP3: every half frame
// (granule, 12 ms) has a gain of its own in steps of 1.5 dB (ISO 11172-3
// §2.4.3.4, global_gain), and its overlap with the ones beside it fades the change.

const (
	granule = mp3Samples / 2
	// decoderDelay is the number of samples that a decoder gives before the
	// first of the sound, and leaves out: the encoder's 576 that the information
	// frame tells, and its own 529.
	decoderDelay = 576 + 529
	// synthesis is how far back the filter bank of a decoder looks.
	synthesis = 480
)

// soften turns down the granules that the given blocks of the decoded sound are
// made of, by one step each.
func soften(mp3 string, over []span) (err error) {
	f, err := os.OpenFile(mp3, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := newMP3Reader(io.NewSectionReader(f, 0, 1<<62))
	for frame := 0; len(over) > 0; frame++ {
		audio, header, err := r.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		changed := false
		for half := range 2 {
			for len(over) > 0 && granules(over[0]).end <= 2*frame+half {
				over = over[1:]
			}
			if len(over) > 0 && granules(over[0]).begin <= 2*frame+half {
				turnDown(audio.Data, header, half)
				changed = true
			}
		}
		if changed {
			if _, err := f.WriteAt(audio.Data, r.offset-int64(len(audio.Data))); err != nil {
				return fmt.Errorf("replay: %w", err)
			}
		}
	}
	return nil
}

// granules are those whose sound reaches into some blocks: the one under way,
// the one it overlaps, and those that the filter bank still holds.
func granules(blocks span) span {
	first := blocks.begin*blockFrames - loudness.Delay + decoderDelay
	last := blocks.end*blockFrames + decoderDelay
	return span{(first-synthesis)/granule - 1, last/granule + 1}
}

// turnDown lowers the gain of all channels in one granule of a frame by a step,
// 1.5 dB. It is a byte that follows 21 bits of the channel's 59 in the side
// information, which begins with 20 bits for two channels and 18 for one (ISO
// 11172-3 §2.4.1.7).
func turnDown(frame []byte, header mp3Frame, half int) {
	start, common := header.sideStart*8, 20
	if header.channels == 1 {
		common = 18
	}
	for c := range header.channels {
		at := start + common + (half*header.channels+c)*59 + 21
		if gain := bits(frame, at); gain > 0 {
			setBits(frame, at, gain-1)
		}
	}
}

// bits reads the eight bits that begin at a bit.
func bits(b []byte, at int) byte {
	i, shift := at/8, at%8
	return byte((uint16(b[i])<<8 | uint16(b[i+1])) >> (8 - shift))
}

// setBits writes them.
func setBits(b []byte, at int, v byte) {
	i, shift := at/8, at%8
	word := uint16(b[i])<<8 | uint16(b[i+1])
	word = word&^(0xff<<(8-shift)) | uint16(v)<<(8-shift)
	b[i], b[i+1] = byte(word>>8), byte(word)
}
