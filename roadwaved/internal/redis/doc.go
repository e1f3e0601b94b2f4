// Package redis holds what daemons share and may lose: the job queue (asynq) and
// the board of live slots. The same client code talks to a Redis server ([Dial])
// or to one that lives in this process and keeps nothing ([Embedded]).
//
// Keys start with "roadwave:", but for those of asynq, which are
// "asynq:{roadwave:replays}:…", "asynq:{roadwave:replays:high}:…", "asynq:servers", "asynq:workers" and "asynq:queues".
package redis
