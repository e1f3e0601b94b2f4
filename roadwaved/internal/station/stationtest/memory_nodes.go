package stationtest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Nodes = (*Nodes)(nil)

// Nodes is a [station.Nodes] in memory. Its zero value is empty and ready.
type Nodes struct {
	mu sync.Mutex
	up map[string]present
}

type present struct {
	station.Node
	until time.Time
}

// Present implements [station.Nodes].
func (n *Nodes) Present(ctx context.Context, node station.Node, lease time.Duration) error {
	return n.do(ctx, func() error {
		n.up[node.Name] = present{node, time.Now().Add(lease)}
		return nil
	})
}

// Absent implements [station.Nodes].
func (n *Nodes) Absent(ctx context.Context, name string) error {
	return n.do(ctx, func() error {
		delete(n.up, name)
		return nil
	})
}

// Node implements [station.Nodes].
func (n *Nodes) Node(ctx context.Context, name string) (node station.Node, err error) {
	err = n.do(ctx, func() error {
		p, has := n.up[name]
		if !has {
			return station.ErrNotFound
		}
		node = p.Node
		return nil
	})
	return node, err
}

// ListNodes implements [station.Nodes].
func (n *Nodes) ListNodes(ctx context.Context) (nodes []station.Node, err error) {
	err = n.do(ctx, func() error {
		for _, p := range n.up {
			nodes = append(nodes, p.Node)
		}
		return nil
	})
	slices.SortFunc(nodes, func(a, b station.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, err
}

// do runs f on the nodes whose lease has not ended.
func (n *Nodes) do(ctx context.Context, f func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.up == nil {
		n.up = make(map[string]present)
	}
	for name, p := range n.up {
		if !p.until.After(time.Now()) {
			delete(n.up, name)
		}
	}
	return f()
}
