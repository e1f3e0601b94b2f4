// Package auth tells who sends a request: creators, operators and, where they
// say so, listeners. One setting chooses how:
//
//	open          anybody is who they say: the bearer token, if any, is their id
//	hs256:FILE    tokens signed with the secret in FILE (32 bytes or more)
//	jwks:URL      tokens signed with a key that URL publishes (RFC 7517)
//
// A token is a JSON Web Token (RFC 7519) in the Authorization header (RFC 6750).
// Its claims:
//
//	sub      who it is, up to 200 printable characters, the first no ~; required
//	exp      until when; required, 30 s of grace
//	nbf      from when, with the same grace
//	premium  true for a Premium creator
//	role     "operator", or a list that holds it, for who runs the service
//	aud, iss checked where [Config] asks for them
//
// Signatures are HS256 with a secret; RS256, ES256 or EdDSA with published keys.
// A token with the other kind of signature, or none, is refused.
package auth
