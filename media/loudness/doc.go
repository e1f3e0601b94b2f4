// Package loudness measures how loud a programme is and how high it peaks, the
// way broadcasters agreed on: ITU-R BS.1770-4 (K-weighting, gating, true peak)
// with the terms of EBU R128, EBU Tech 3341 (momentary, short-term,
// integrated) and EBU Tech 3342 (loudness range).
//
// A [Meter] is fed interleaved samples and answers at any time. What it is made
// of can be used alone: a [Weighting] gives the K-weighted energy of samples, a
// [Gate] turns the power of 100 ms steps into loudness, and [TruePeak] finds
// the peaks between samples.
//
// Samples are float32 at 48 kHz where ±1 is full scale. Loudness is in LUFS,
// loudness range in LU, peaks are in dBTP and dBFS; silence is −Inf. The
// package needs the standard library only.
package loudness
