package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hibiken/asynq"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Queue = (*Queue)(nil)

const replayTask = "replay"

// The queues by priority, as asynq knows them. Where both have jobs, a worker
// takes four of five from the high one.
var (
	queueNames = map[station.Priority]string{
		station.PriorityNormal: "roadwave:replays",
		station.PriorityHigh:   "roadwave:replays:high",
	}
	queueWeights = map[string]int{
		queueNames[station.PriorityNormal]: 1,
		queueNames[station.PriorityHigh]:   4,
	}
)

// A Queue is a [station.Queue] on asynq. The id of a task is that of its live,
// which is what keeps a live from being enqueued twice.
type Queue struct {
	cfg    Config
	client *asynq.Client
	redis  *Redis
}

// Queue gives the queue of replays on this server.
func (r *Redis) Queue() *Queue {
	return &Queue{
		cfg:    r.cfg,
		client: asynq.NewClientFromRedisClient(r.client),
		redis:  r,
	}
}

// Enqueue implements [station.Queue].
func (q *Queue) Enqueue(ctx context.Context, liveID string, p station.Priority) error {
	name, ok := queueNames[p]
	if !ok {
		return fmt.Errorf("redis: enqueueing live %s: there is no priority %d", liveID, p)
	}
	task := asynq.NewTask(replayTask, []byte(liveID),
		asynq.Queue(name),
		asynq.TaskID(liveID),
		// When to give up is the catalog's to say, which parks the job.
		asynq.MaxRetry(math.MaxInt32),
		// Work has its own limit, which ends the handler; this one must not come first.
		asynq.Timeout(2*q.cfg.HandlerTimeout),
	)
	const tries = 3 // a task can end between finding that it exists and looking at it
	for range tries {
		seen, seeing := withWitness(ctx)
		_, err := q.client.EnqueueContext(seeing, task)
		if err == nil {
			return nil
		}
		if !errors.Is(err, asynq.ErrTaskIDConflict) {
			return fmt.Errorf("redis: enqueueing live %s: %w", liveID, away(cmp.Or(seen.err, err)))
		}
		there, err := q.revive(ctx, name, liveID)
		if err != nil {
			return fmt.Errorf("redis: enqueueing live %s: %w", liveID, away(err))
		}
		if there {
			return nil
		}
	}
	return nil // it keeps ending and coming back: it is being worked on
}

// Work implements [station.Queue].
//
// A handler hears of ctx and of its own time limit, not of asynq's lease: when
// Redis is away for long the lease ends and the job will be delivered again, but
// the catalog's claim still stands and the work goes on.
func (q *Queue) Work(ctx context.Context, n int, handle func(ctx context.Context, liveID string) error) error {
	if n < 1 {
		return fmt.Errorf("redis: cannot work on %d jobs at a time, it takes 1 or more", n)
	}
	done, err := q.redis.begin()
	if err != nil {
		return err
	}
	ctx, cancel := q.redis.until(ctx)
	defer cancel()
	w := newWorker(ctx, n, q.cfg, handle)
	client := q.redis.connect()
	client.AddHook(calm{q.cfg.Poll, ctx.Done()})
	server := asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency:              n,
		Queues:                   queueWeights,
		TaskCheckInterval:        q.cfg.Poll,
		DelayedTaskCheckInterval: 2 * q.cfg.Poll,
		RetryDelayFunc:           w.delay,
		IsFailure:                w.failed,
		ShutdownTimeout:          shutdownPatience,
		Logger:                   &asynqLog{Logger: q.cfg.Logger},
		LogLevel:                 asynq.InfoLevel,
	})
	if err := server.Start(asynq.HandlerFunc(w.process)); err != nil {
		client.Close()
		done()
		return fmt.Errorf("redis: starting to work on the queue: %w", err)
	}
	q.rescue(ctx)
	server.Shutdown()
	client.Close()
	done()
	w.running.Wait()
	return nil
}

// shutdownPatience is how long a handler that was told to stop still counts as
// at work in Redis; then its job is given to others, and Work waits on alone.
const shutdownPatience = time.Minute
