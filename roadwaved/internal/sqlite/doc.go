// Package sqlite is the embedded catalog: lives, replays and replay jobs in one
// SQLite file, for a roadwaved that runs alone. What a method has acknowledged
// survives the death of the process and of the machine.
package sqlite
