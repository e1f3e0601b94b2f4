// Package janitor cleans the house once per day, whichever daemon does it: it
// deletes recordings whose replay has been published for a week, audit events
// after 90 days, and what failed work left behind (M11, M24).
//
// It deletes only what the catalog says is over; what it cannot explain it
// leaves where it is and tells. Everything it does can be done again.
package janitor
