package stationtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestNodes checks nodes. Every call of open gives an empty one; pass lets the
// time pass by which the leases run.
func TestNodes(t *testing.T, open func(t *testing.T) station.Nodes, pass func(d time.Duration)) {
	const (
		long  = 10 * time.Minute
		short = 100 * time.Millisecond
	)
	up := func(t *testing.T, n station.Nodes, want ...station.Node) {
		t.Helper()
		got, err := n.ListNodes(t.Context())
		ok(t, err)
		same(t, got, want)
		for _, w := range want {
			got, err := n.Node(t.Context(), w.Name)
			ok(t, err)
			same(t, got, w)
		}
	}
	gone := func(t *testing.T, n station.Nodes, name string) {
		t.Helper()
		_, err := n.Node(t.Context(), name)
		is(t, err, station.ErrNotFound)
	}
	a := station.Node{Name: "host-a", URL: "http://10.0.0.1:8080"}
	b := station.Node{Name: "hôte b/{1}\n", URL: ""}
	c := station.Node{Name: "host-c", URL: "http://[2001:db8::1]:8080/x?y= z"}

	t.Run("up and down", func(t *testing.T) {
		n := open(t)
		up(t, n)
		gone(t, n, a.Name)
		ok(t, n.Present(t.Context(), c, long))
		ok(t, n.Present(t.Context(), b, long))
		ok(t, n.Present(t.Context(), a, long))
		up(t, n, a, c, b)
		ok(t, n.Absent(t.Context(), c.Name))
		ok(t, n.Absent(t.Context(), c.Name)) // again
		ok(t, n.Absent(t.Context(), "never was"))
		up(t, n, a, b)
		gone(t, n, c.Name)
		ok(t, n.Present(t.Context(), c, long))
		up(t, n, a, c, b)
	})

	t.Run("another address", func(t *testing.T) {
		n := open(t)
		ok(t, n.Present(t.Context(), a, long))
		moved := station.Node{Name: a.Name, URL: "http://10.0.0.9:1"}
		ok(t, n.Present(t.Context(), moved, long))
		up(t, n, moved)
	})

	t.Run("a lease that ends", func(t *testing.T) {
		n := open(t)
		ok(t, n.Present(t.Context(), a, short))
		ok(t, n.Present(t.Context(), b, long))
		ok(t, n.Present(t.Context(), c, short))
		ok(t, n.Present(t.Context(), c, long)) // leased again
		pass(2 * short)
		gone(t, n, a.Name)
		up(t, n, c, b)
	})

	t.Run("all at the same time", func(t *testing.T) {
		n := open(t)
		atOnce(t, 40, func(i int) error {
			node := station.Node{Name: fmt.Sprintf("host-%02d", i), URL: "http://host"}
			if err := n.Present(t.Context(), node, long); err != nil || i%2 == 0 {
				return err
			}
			return n.Absent(t.Context(), node.Name)
		})
		nodes, err := n.ListNodes(t.Context())
		ok(t, err)
		if len(nodes) != 20 {
			t.Errorf("%d nodes are up, want 20", len(nodes))
		}
	})
}
