// Package archive brings finished recordings from the disk of the daemon that
// made them to the object store, where any worker finds them.
//
// What is on the disk is deleted only when the store has it and the catalog
// knows: at whatever instruction the process is killed, the next one goes on
// from there and no recording is lost.
//
// Only the disk of a live tells that nothing was recorded, and only when it is
// known to be that disk: the folder is marked while nothing is missing from it,
// and where the mark is missing later, recordings that are not there are waited
// for.
package archive
