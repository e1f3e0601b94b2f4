// Package api is the daemon's public HTTP face: lives and replays as JSON,
// events as they happen, and the places where the WHIP endpoint, the media
// files and the web pages are mounted.
//
//	GET  /v1/lives        /v1/lives/{live_id}        lives, their state, where to listen
//	GET  /v1/lives/{live_id}/events                  server-sent events for listeners
//	GET  /v1/replays      /v1/replays/{replay_id}    what can be listened to again
//	GET  /whip/{live_id}/events                      server-sent events for the creator
//	     /whip            /whip/{live_id}            the WHIP handler (RFC 9725)
//	GET  /live/…          /replay/…                  the media handler
//	GET  /openapi.json                               all of this, as OpenAPI 3.1
//
// Whatever goes wrong is answered as a problem (RFC 9457): a stable code for
// programs, a French sentence for people.
//
// The package sees the rules of the house (package station) and nothing of
// what stands behind them: no database, no queue, no WebRTC, no HLS.
package api
