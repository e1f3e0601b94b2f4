// Package aac encodes PCM as AAC-LC (ISO 14496-3), the codec that every phone
// plays out of an MPEG transport stream.
//
// It is a package of its own because of a licence: the codec behind it, go-aac, is a
// port of FFmpeg's encoder under the LGPL 2.1 or later, while RoadWave is under
// the MIT licence. A program that does not import this package contains nothing of it; no other
// package of the module imports go-aac, and none but the program that composes
// them imports this one. Who gives away a binary with it inside must (LGPL 2.1 §6)
// say that go-aac is used and under which licence, add that licence's text, and
// let the receiver rebuild the program with a changed go-aac. For a Go program that
// means: its source, or its object files, are available with the go.mod
// that names the version.
//
// PCM has the form that package media/opus describes: []float32, interleaved,
// full scale ±1, 48 kHz.
package aac
