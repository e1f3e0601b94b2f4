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
// the 48 kHz timeline of package media. Everything a listener downloads is made
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
//
// The id is new for every Live, so a segment's address never gets other bytes
// and caches may keep it for ever.
package hls
