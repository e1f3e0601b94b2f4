// Package opusrec keeps a live: it records the Opus packets of a [media.Source]
// untouched into an Ogg Opus file (RFC 3533, RFC 7845) that survives a crash at
// any moment, and reads such files back.
//
// # What a crash costs
//
// A [Recorder] collects at most one second of packets into a page, writes the
// page with one system call and has it synced to the disk by a goroutine of its
// own, so that a slow disk does not hold up the live. Every page is complete in
// itself: no packet ever spans two. A process killed at any instruction loses
// the page it was collecting; a machine that loses power loses what was not
// synced, one page more under the default policy. [Recorder.Durable] says at
// any time how many bytes are safe.
//
// [Recover] makes the file whole again: it cuts the page that was torn and ends
// the stream. [NewReader] needs no recovery, it reads damaged files as they are.
//
// # The timeline
//
// The recording is the live's timeline, sample for sample: granule position =
// end of the last packet's PTS. Packets marked Lost, and holes that a source
// left, are recorded as one-byte packets, which every decoder conceals
// (RFC 7845 §4.1); a recording that begins late begins with them. Reading gives
// the same PTS back, and those packets as Lost.
//
// A player leaves out the first pre-skip samples (6.5 ms, the delay of the
// encoder; RFC 7845 §4.2), so what was captured at t is heard at t. Durations in
// this package count from the first packet to the end of the last one.
package opusrec
