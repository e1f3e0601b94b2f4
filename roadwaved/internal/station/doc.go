// Package station holds the rules of the house: who may go on air, what a live
// and a replay are, when a live is over and what becomes of it. It knows no
// codec, no network and no database; what it needs of them it says in small
// contracts ([Lives], [Jobs], [Replays], [Queue], [Board]) that adapters fulfil
// and package stationtest checks.
//
// The catalog (Lives, Jobs, Replays) is the truth. The queue only delivers and
// may forget; the [Reconciler] asks the catalog what is unfinished.
package station
