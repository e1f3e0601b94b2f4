package redis

import (
	"context"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Board = (*Board)(nil)

// slotsKey holds the slots: a sorted set of live ids by the end of their lease,
// in milliseconds of the server's clock. The clocks of daemons may differ; that
// one is the same for all.
const slotsKey = "roadwave:slots"

// A Board is a [station.Board] on Redis.
type Board struct {
	client goredis.UniversalClient
}

// Board gives the board on this server.
func (r *Redis) Board() *Board { return &Board{client: r.client} }

// Each script drops the slots whose lease is over before it does its work.
const dropOver = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
`

var (
	// ARGV: live, limit, lease in ms. Gives 1, or 0 when full.
	acquireScript = goredis.NewScript(dropOver + `
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
	return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), ARGV[1])
return 1
`)
	// ARGV: lease in ms, lives.
	renewScript = goredis.NewScript(dropOver + `
for i = 2, #ARGV do
	redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), ARGV[i])
end
return #ARGV - 1
`)
	slotCountScript = goredis.NewScript(dropOver + `
return redis.call('ZCARD', KEYS[1])
`)
)

// Acquire implements [station.Board].
func (b *Board) Acquire(ctx context.Context, liveID string, limit int, lease time.Duration) error {
	got, err := acquireScript.Run(ctx, b.client, []string{slotsKey}, liveID, limit, lease.Milliseconds()).Int()
	if err != nil {
		return fmt.Errorf("redis: taking a slot for live %s: %w", liveID, away(err))
	}
	if got == 0 {
		return fmt.Errorf("redis: %d slots taken: %w", limit, station.ErrFull)
	}
	return nil
}

// Renew implements [station.Board].
func (b *Board) Renew(ctx context.Context, lease time.Duration, liveIDs ...string) error {
	if len(liveIDs) == 0 {
		return nil
	}
	args := make([]any, 0, 1+len(liveIDs))
	args = append(args, lease.Milliseconds())
	for _, id := range liveIDs {
		args = append(args, id)
	}
	if err := renewScript.Run(ctx, b.client, []string{slotsKey}, args...).Err(); err != nil {
		return fmt.Errorf("redis: renewing %d slots: %w", len(liveIDs), away(err))
	}
	return nil
}

// Release implements [station.Board].
func (b *Board) Release(ctx context.Context, liveID string) error {
	if err := b.client.ZRem(ctx, slotsKey, liveID).Err(); err != nil {
		return fmt.Errorf("redis: giving back the slot of live %s: %w", liveID, away(err))
	}
	return nil
}

// Count implements [station.Board].
func (b *Board) Count(ctx context.Context) (int, error) {
	n, err := slotCountScript.Run(ctx, b.client, []string{slotsKey}).Int()
	if err != nil {
		return 0, fmt.Errorf("redis: counting slots: %w", away(err))
	}
	return n, nil
}
