// Package opus turns Opus packets (RFC 6716) into PCM and back.
//
// It is a thin layer of our own over one codec library, so that the library can
// be exchanged without touching anyone else: no type of it appears here, and no
// other package of the module imports it.
//
// # PCM in this module
//
// Every package that takes or gives PCM uses one form: []float32, interleaved
// by channel, full scale from -1 to 1, at 48 kHz ([media.SampleRate]). "n samples"
// means n per channel, so a slice holds n × channels values. All consumers of
// decoded sound (AAC encoder, loudness meter, fingerprint) calculate in floating
// point; converting once, right after the decoder, costs less than
// converting in each of them, and mixing two channels into one can neither
// clip nor round.
//
// # Loss
//
// A [Decoder] is given lost packets too and always answers with as much sound
// as was lost. The first 100 ms of a loss are the codec's own concealment, fading
// out over the last 40 ms; after that there is silence, for which the codec is
// not called. Sound that comes back after silence starts from a reset codec and fades in over 5 ms.
// [Decoder.Recover] uses the copy of a lost frame that the following packet may
// carry (in-band FEC, RFC 6716 §2.1.7); it needs a caller who holds the loss back
// for one packet, as package transcode does.
//
// # Faults
//
// Packets come from strangers. What is no Opus packet is refused with
// [ErrPacket]; a panic inside the codec becomes [ErrPanic] and a reset codec. Neither
// reaches another live.
package opus
