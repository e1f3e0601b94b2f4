package opus

import codec "github.com/tphakala/go-opus/opus"

// Panic lets the codec of d panic, as far as d can see.
func (d *Decoder) Panic() error {
	_, err := d.run(nil, quantum, func(*codec.Decoder, []byte, []int16) (int, error) { panic("index out of range") })
	return err
}
