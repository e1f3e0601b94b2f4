// Package mediatest holds what tests of this module share: looking up outside
// tools, test sounds, a lossy link, and the conformance suites of the
// contracts in package media. It is for tests, examples and benchmarks.
package mediatest
