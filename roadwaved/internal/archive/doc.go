// Package archive brings finished recordings from the disk of the daemon that
// made them to the object store, where any worker finds them.
//
// What is on the disk is deleted only when the store has it and the catalog
// knows: at whatever instruction the process is killed, the next one goes on
// from there and no recording is lost.
package archive
