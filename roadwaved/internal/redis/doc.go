// Package redis holds what daemons share and may lose: the job queue (asynq), the
// board of live slots, the audience, the daemons that are up and the wire between
// them. The same client code talks to a Redis server, a cluster or what a sentinel
// watches ([Dial]), or to a server that lives in this process and keeps nothing
// ([Embedded]).
//
// Errors of a server that may answer later wrap [station.ErrAway].
//
// Keys start with "roadwave:", but for two kinds. The counters of a live, which
// anybody may read, are "live:<live_id>:listeners", ":likes" and ":reports". Those of
// asynq are "asynq:{roadwave:replays}:…", "asynq:{roadwave:replays:high}:…",
// "asynq:servers", "asynq:workers" and "asynq:queues". All that belongs to a live
// expires by itself.
package redis
