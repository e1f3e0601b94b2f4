// Package replay turns the recording of a live into something worth hearing
// again: silences out, loudness as streaming services expect it, an MP3 with its
// tags and an HLS playlist of it.
//
// [Maker.Make] does it all, in four steps, of which [Maker.Analyze] does the first
// alone:
//
//	analyze  decodes the recording once: loudness, peaks, silences
//	master   decodes it again: cuts, gain, limiter, MP3
//	verify   measures the MP3, and has it made again if it is not within the
//	         tolerance
//	package  puts the MP3's frames, unchanged, into MPEG-TS segments
//
// # Sound
//
// Silences longer than 3 s are cut to 0.5 s on each side of the sound; the joins
// are faded over 10 ms. What counts as silence follows from the loudness of the
// recording unless a threshold is set, see [Config.SilenceThreshold].
//
// The result has −14 LUFS ±0.5 LU (EBU R128) and peaks at −1 dBTP at most, both
// measured on the finished MP3. One gain is applied to the whole, so what was soft
// stays soft; where peaks leave no room for the gain, a limiter that looks 10 ms
// ahead holds them, and the gain makes up for what that costs. Both are decided before
// anything is encoded, on an envelope of the recording (5.8 MB per hour, the
// only memory that grows with it).
//
// # FFmpeg
//
// FFmpeg decodes and encodes, through pipes; everything between is done here.
// It is the only outside program of this module and this the only package that
// runs it. Its processes do not outlive the call, and no decoded sound touches
// the disk. The same recording gives the same bytes again, so a replay that was
// interrupted at any point is simply made again.
package replay
