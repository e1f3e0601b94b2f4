// Package media carries one live's Opus packets on a 48 kHz timeline.
//
// A [Source] gives packets in presentation order, a [Sink] takes them, [Copy]
// joins the two and a [Fan] feeds several sinks that must not disturb one
// another. [Jitter] turns RTP as the network delivers it (late, twice, out of
// order, not at all) into that order. All times are counted in samples at
// 48 kHz, the clock of every Opus stream (RFC 7587 §4.1); [Samples] and
// [Duration] convert.
//
// The law of the package: every sample of the creator's time appears exactly
// once, either inside a packet that was received or inside one marked Lost.
// Nobody downstream has to guess what is missing.
//
// The package needs the standard library only.
package media
