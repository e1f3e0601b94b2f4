// Package stationtest checks what adapters promise to package station: each suite
// turns the sentences of a contract into tests. It also has the contracts in
// memory, for tests of what is built on them.
package stationtest
