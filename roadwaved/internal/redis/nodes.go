package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Nodes = (*Nodes)(nil)

// Nodes is a [station.Nodes] on Redis.
type Nodes struct {
	client goredis.UniversalClient
}

// Nodes gives the daemons on this server.
func (r *Redis) Nodes() *Nodes { return &Nodes{client: r.client} }

// nodesKeys hold the leases, a sorted set like that of the slots, and the URLs, a
// hash by name.
var nodesKeys = []string{"roadwave:{nodes}:leases", "roadwave:{nodes}:urls"}

const dropOverNodes = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
	redis.call('ZREM', KEYS[1], name)
	redis.call('HDEL', KEYS[2], name)
end
`

var (
	// ARGV: name, URL, lease in ms.
	presentScript = goredis.NewScript(dropOverNodes + `
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 0
`)
	// ARGV: name.
	absentScript = goredis.NewScript(`
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 0
`)
	// ARGV: name.
	nodeScript  = goredis.NewScript(dropOverNodes + `return redis.call('HGET', KEYS[2], ARGV[1])`)
	nodesScript = goredis.NewScript(dropOverNodes + `return redis.call('HGETALL', KEYS[2])`)
)

// Present implements [station.Nodes].
func (n *Nodes) Present(ctx context.Context, node station.Node, lease time.Duration) error {
	if err := presentScript.Run(ctx, n.client, nodesKeys, node.Name, node.URL, lease.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("redis: noting that node %s is up: %w", node.Name, away(err))
	}
	return nil
}

// Absent implements [station.Nodes].
func (n *Nodes) Absent(ctx context.Context, name string) error {
	if err := absentScript.Run(ctx, n.client, nodesKeys, name).Err(); err != nil {
		return fmt.Errorf("redis: noting that node %s is down: %w", name, away(err))
	}
	return nil
}

// Node implements [station.Nodes].
func (n *Nodes) Node(ctx context.Context, name string) (station.Node, error) {
	url, err := nodeScript.Run(ctx, n.client, nodesKeys, name).Text()
	if errors.Is(err, goredis.Nil) {
		err = station.ErrNotFound
	}
	if err != nil {
		return station.Node{}, fmt.Errorf("redis: node %s: %w", name, away(err))
	}
	return station.Node{Name: name, URL: url}, nil
}

// ListNodes implements [station.Nodes].
func (n *Nodes) ListNodes(ctx context.Context) ([]station.Node, error) {
	found, err := nodesScript.Run(ctx, n.client, nodesKeys).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: listing the nodes: %w", away(err))
	}
	var nodes []station.Node
	for f := range slices.Chunk(found, 2) {
		nodes = append(nodes, station.Node{Name: f[0], URL: f[1]})
	}
	slices.SortFunc(nodes, func(a, b station.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, nil
}
