// Package janitor cleans the house once per day, whichever daemon does it: it
// deletes recordings whose replay has been published for a week, audit events
// after 90 days, and what failed work left behind (M11, M24).
//
// It deletes only what the catalog says is over: a recording or a replay that the
// catalog cannot explain stays where it is and is told of, for the catalog may be
// new, or restored from an old copy. The media of unknown lives go after a week,
// and only if the catalog knows anything of the store at all. Everything it does
// can be done again.
package janitor
