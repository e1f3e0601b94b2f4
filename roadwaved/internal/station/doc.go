// Package station holds the rules of the house: who may go on air, what a live
// and a replay are, when a live is over and what becomes of it. It knows no
// codec, no network and no database; what it needs of them it says in small
// contracts ([Catalog] and its parts, [Queue], [Board], [Attendance], [Nodes],
// [Wire], [Outbox]) that adapters fulfil and package stationtest checks.
//
// The catalog is the truth. The queue only delivers and may forget: the
// [Reconciler] asks the catalog what is unfinished. The board may forget too:
// lives on air get their slots back, daemons present themselves again, and an
// [Audience] gets its listeners back from their heartbeats. What the catalog must
// get while it is away waits on this machine, in a [Journal] and in [Endings].
// While either is away a [Station] answers for its own lives from memory, and for
// those of other daemons by what it last saw of them.
package station
