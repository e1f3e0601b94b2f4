// Package transcode decodes a live once for all who need its sound: the rungs of
// an encoder ladder, and taps such as a loudness meter.
//
// It knows no encoder. The caller passes them in as [Rung] values (package
// media/aac makes them), so that who transcodes to something else, or only taps the
// PCM, does not ship them.
//
// # Time
//
// What comes out is exactly as long as what went in. Every packet gives its
// Duration in PCM, whether it was received, lost or bad; a hole in the timeline
// is filled with a fade and silence; packets that come back to a time already
// played are dropped. Frame k of an encoder therefore starts at first PTS + k ×
// frame size − encoder delay, without drift for as long as the live lasts. The
// first frames, down to one delay before the first packet, hold nothing but the
// encoder's priming and are emitted too: a decoder needs them to begin.
//
// A hole of more than a minute is not filled: the encoders are flushed, and new
// ones start at the packet after it.
//
// A lost packet is held back until the next one is there, which may carry a copy
// of it (FEC). Only losses wait, for one packet, so this costs a live nothing while
// all goes well.
package transcode
