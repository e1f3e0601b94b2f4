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
// Duration in PCM, whether it was received, lost or bad; holes in the timeline
// are filled; packets that come back to a time already played are dropped. Frame
// k of an encoder therefore starts at first PTS + k × frame size − encoder delay,
// without drift for as long as the live lasts.
package transcode
