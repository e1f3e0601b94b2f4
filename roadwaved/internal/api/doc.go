// Package api is the daemon's public HTTP face: lives and replays as JSON,
// who listens to them, events as they happen, and the places where the WHIP
// endpoint, the media files and the web pages are mounted.
//
//	GET    /v1/lives       /v1/lives/{live_id}                lives, their state, counters, where to listen
//	GET    /v1/lives/{live_id}/events                         server-sent events for listeners
//	POST   /v1/lives/{live_id}/listeners                      begin to listen
//	PUT    /v1/lives/{live_id}/listeners/{listener_id}        heartbeat; DELETE leaves
//	POST   /v1/lives/{live_id}/likes  /v1/lives/{live_id}/reports
//	GET    /v1/replays     /v1/replays/{replay_id}            what can be listened to again
//	GET    /whip/{live_id}/events                             server-sent events for the creator
//	       /whip           /whip/{live_id}                    the WHIP handler (RFC 9725)
//	GET    /live/…         /replay/…                          the media handler
//	GET    /openapi.json                                      all of this, as OpenAPI 3.1
//
// Operators have a handler of their own, [Admin].
//
// Whatever goes wrong is answered as a problem (RFC 9457): a stable code for
// programs, a French sentence for people. Who must come back later is told when
// (Retry-After).
//
// Nobody takes everything: what comes from one network is bounded ([Limits]),
// and those who only say who they are take part under names that no token has
// ([auth.Claimed]). Audiences know networks by a hash: of an IPv4 address, or of
// the /56 that an IPv6 address is in.
//
// A [Hub] carries events between the daemons of one house. Requests that only
// the daemon with the live can answer are sent on to it, once.
//
// The package sees the rules of the house (package station), who people are
// (package auth) and nothing of what stands behind them: no database, no queue,
// no WebRTC, no HLS.
package api
