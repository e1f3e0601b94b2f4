// Package hls packages encoded audio for HTTP Live Streaming (RFC 8216bis) and
// serves it.
//
// [Live] takes the Opus packets of a live as they come and publishes constant
// segments of two seconds: Opus untouched in fragmented MP4 and, when a
// [Transcoder] is given, a ladder of AAC-LC renditions in MPEG-TS, made on
// demand. It is a [media.Sink] and an [http.Handler]. [WriteVOD] packages a
// finished recording. Both write to a [Store], whose content [NewHandler]
// serves; [Dir] keeps it in a directory, [Memory] in memory.
//
// The package knows no codec's inside: frames come encoded, with their time on
// the 48 kHz timeline of package media. A Transcoder is made of media/aac and
// media/transcode, as the example of [Config] shows, or is your own. Everything a listener downloads is made
// once, when a segment is finished, and served as ready bytes.
//
// # Addresses
//
// A live answers, below whatever path it is mounted on:
//
//	index.m3u8               the AAC ladder (the Opus rendition where there is none)
//	opus.m3u8                the Opus rendition
//	<rendition>/media.m3u8   one rendition's segments
//	<rendition>/<id>-N.ts    segment N, the same stretch of time in every rendition
//	opus/<id>-N.mp4          (opus/<id>-init.mp4 comes before it)
//
// The id is new for every Live, so a segment's address never gets other bytes
// and caches may keep it for ever. In a Store the keys are the same addresses
// below [Config].Prefix.
//
// # Time
//
// Segment k holds what begins between k and k+1 times the segment duration on
// the timeline of the live, whatever was lost on the way: after hours, PTS,
// EXT-X-PROGRAM-DATE-TIME and the creator's clock still agree. There is no
// EXT-X-DISCONTINUITY, because no timestamp ever breaks.
//
// # Cost
//
// A live of 48 kbit/s with the default window holds about 350 kB with a Store,
// 600 kB without, and 1 MB while its ladder runs. It has one goroutine for the
// ladder, while that runs, and one per rendition that is written to a Store.
package hls
