package opus

import (
	codec "github.com/tphakala/go-opus/opus"
)

// How a loss sounds, in samples.
const (
	quantum     = 120  // the codec conceals multiples of 2.5 ms
	step        = 960  // and is asked for 20 ms at a time, its usual frame
	fadeFrom    = 2880 // 60 ms: from here concealment fades, it starts to sound like a robot
	silentAfter = 4800 // 100 ms: from here there is silence
	fadeIn      = 240  // 5 ms
)

// Conceal writes sound in place of samples that were lost, any number of them,
// and gives that number. A loss may be told in several calls: its age counts on
// until a packet decodes. Before the first packet a loss is silence.
func (d *Decoder) Conceal(dst []float32, samples int) (int, error) {
	if samples < 0 {
		samples = 0
	}
	if err := d.room(dst, samples); err != nil {
		return 0, err
	}
	dst = dst[:samples*d.channels]
	for len(dst) > 0 && d.primed && d.lost < silentAfter {
		n, err := d.concealStep(dst)
		if err != nil {
			return 0, err
		}
		dst = dst[n*d.channels:]
	}
	clear(dst)
	d.lost = min(d.lost+len(dst)/d.channels, silentAfter)
	return samples, nil
}

// concealStep writes at most 20 ms. The codec is asked for whole 2.5 ms; what
// is over is thrown away.
func (d *Decoder) concealStep(dst []float32) (int, error) {
	n := min(len(dst)/d.channels, step, silentAfter-d.lost)
	asked := (n + quantum - 1) / quantum * quantum
	if _, err := d.run(nil, asked, (*codec.Decoder).Decode); err != nil {
		return 0, err
	}
	d.write(dst, n)
	const length = silentAfter - fadeFrom
	fade(dst[:n*d.channels], d.channels, fadeFrom-d.lost, length, 1, 0)
	d.lost += n
	return n, nil
}

// fade multiplies interleaved sound by a line that goes from one gain to
// another between the samples start and start+length, and stays level before and after.
func fade(pcm []float32, channels, start, length int, from, to float32) {
	for i := max(start, 0); i < len(pcm)/channels; i++ {
		t := min(float32(i-start)/float32(length), 1)
		gain := from + (to-from)*t
		for c := range channels {
			pcm[i*channels+c] *= gain
		}
	}
}
