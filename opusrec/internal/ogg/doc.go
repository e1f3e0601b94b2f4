// Package ogg reads and writes the pages of an Ogg physical bitstream
// (RFC 3533 §6): their checksum, their framing, and finding the next whole page
// in a damaged file. It knows nothing of the codec inside.
package ogg
