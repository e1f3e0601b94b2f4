package mediatest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/roadwave/roadwave/media"
)

// EncodeWAV is a WAV file of 16-bit PCM at 48 kHz, as FFmpeg and Chromium's fake
// microphone read it. What is beyond full scale is clipped.
func EncodeWAV(pcm []float32, channels int) []byte {
	const header = 44
	size := 2 * len(pcm)
	b := make([]byte, 0, header+size)
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(header-8+size))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, media.SampleRate)
	b = le.AppendUint32(b, uint32(media.SampleRate*2*channels))
	b = le.AppendUint16(b, uint16(2*channels))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(size))
	for _, v := range pcm {
		scaled := math.RoundToEven(max(-32768, min(32767, float64(v)*32768)))
		b = le.AppendUint16(b, uint16(int16(scaled)))
	}
	return b
}

// DecodeWAV reads a WAV file of 16-bit PCM at 48 kHz. It also takes what FFmpeg
// writes to a pipe, where the sizes are not known.
func DecodeWAV(b []byte) (pcm []float32, channels int, err error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, errors.New("mediatest: not a WAV file")
	}
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		body := b[:min(size, int64(len(b)))]
		switch id {
		case "fmt ":
			if channels, err = wavFormat(body); err != nil {
				return nil, 0, err
			}
		case "data":
			if channels == 0 {
				return nil, 0, errors.New("mediatest: WAV data before its format")
			}
			return wavSamples(body, channels), channels, nil
		}
		b = b[min(size+size&1, int64(len(b))):] // chunks are padded to even length
	}
	return nil, 0, errors.New("mediatest: WAV file without data")
}

func wavFormat(b []byte) (channels int, err error) {
	if len(b) < 16 {
		return 0, errors.New("mediatest: WAV format is cut off")
	}
	le := binary.LittleEndian
	tag, ch, rate, depth := le.Uint16(b), le.Uint16(b[2:]), le.Uint32(b[4:]), le.Uint16(b[14:])
	const pcm, extensible = 1, 0xfffe
	if tag != pcm && tag != extensible || ch < 1 || ch > 2 || rate != media.SampleRate || depth != 16 {
		return 0, fmt.Errorf("mediatest: WAV format %d, %d channels, %d Hz, %d bits: want PCM, 1 or 2 channels, 48000 Hz, 16 bits", tag, ch, rate, depth)
	}
	return int(ch), nil
}

func wavSamples(b []byte, channels int) []float32 {
	pcm := make([]float32, len(b)/(2*channels)*channels)
	for i := range pcm {
		pcm[i] = float32(int16(binary.LittleEndian.Uint16(b[2*i:]))) / 32768
	}
	return pcm
}
