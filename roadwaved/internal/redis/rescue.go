package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A worker holds a task by a lease of 30 s that asynq extends every 5 s. Asynq
// itself takes tasks back up to two minutes after their worker died, and somewhat
// later; rescuing them here makes that 71 s: the lease, rescueGrace, rescueEvery,
// and one Poll.
const (
	// rescueGrace is how long a lease must be over: workers write the ends of
	// leases by their own clocks, which differ.
	rescueGrace = 30 * time.Second
	rescueEvery = 10 * time.Second
)

// The scripts below do to asynq's keys what asynq does itself, when it requeues a
// task and when it runs an archived one.
var (
	// KEYS: lease, active, pending. ARGV: grace in s, prefix of the tasks' keys.
	// Gives how many were rescued.
	rescueScript = goredis.NewScript(`
local over = redis.call('TIME')[1] - ARGV[1]
local n = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', over, 'LIMIT', 0, 100)) do
	redis.call('ZREM', KEYS[1], id)
	if redis.call('LREM', KEYS[2], 0, id) > 0 and redis.call('EXISTS', ARGV[2] .. id) == 1 then
		redis.call('RPUSH', KEYS[3], id)
		redis.call('HSET', ARGV[2] .. id, 'state', 'pending')
		n = n + 1
	end
end
return n
`)
	// KEYS: task, archived, pending. ARGV: id. Gives whether there is such a task.
	reviveScript = goredis.NewScript(`
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
	return 0
end
if state == 'archived' and redis.call('ZREM', KEYS[2], ARGV[1]) == 1 then
	redis.call('LPUSH', KEYS[3], ARGV[1])
	redis.call('HSET', KEYS[1], 'state', 'pending')
end
return 1
`)
)

// asynqKey is the key of a part of a queue.
func asynqKey(queue, part string) string { return "asynq:{" + queue + "}:" + part }

// revive looks at a task that was there. One that asynq or an operator has
// archived would wait for good: it is set to run again.
func (q *Queue) revive(ctx context.Context, queue, liveID string) (there bool, err error) {
	keys := []string{asynqKey(queue, "t:"+liveID), asynqKey(queue, "archived"), asynqKey(queue, "pending")}
	return reviveScript.Run(ctx, q.redis.client, keys, liveID).Bool()
}

// rescue gives the tasks of workers that died to others, until ctx ends.
func (q *Queue) rescue(ctx context.Context) {
	tick := time.NewTicker(rescueEvery)
	defer tick.Stop()
	for {
		for queue := range queueWeights {
			keys := []string{asynqKey(queue, "lease"), asynqKey(queue, "active"), asynqKey(queue, "pending")}
			n, err := rescueScript.Run(ctx, q.redis.client, keys, int(rescueGrace.Seconds()), asynqKey(queue, "t:")).Int()
			switch {
			case ctx.Err() != nil:
			case err != nil:
				q.cfg.Logger.Debug("replays of dead workers not looked for, trying again", "err", err)
			case n > 0:
				q.cfg.Logger.Warn("replays whose worker died or is cut off are given to others", "jobs", n)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
