package stationtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// TestSigns checks signs of life. Every call of open gives an empty catalog,
// closed by the end of its test, that takes the time from its caller.
func TestSigns(t *testing.T, open func(t *testing.T) station.Signs) {
	const minute = time.Minute
	a := station.Node{Name: "host-a", URL: "http://10.0.0.1:8080"}
	b := station.Node{Name: "Hôte b/{1}%_'\"\\"}
	c := station.Node{Name: "host-c", URL: "http://[2001:db8::1]:8080/x?y= z"}
	sign := func(t *testing.T, s station.Signs, n station.Node, place string, now time.Time, before string) {
		t.Helper()
		got, err := s.Sign(t.Context(), n, place, now)
		ok(t, err)
		if got != before {
			t.Errorf("%s signs: before it %q did, want %q", n.Name, got, before)
		}
	}
	are := func(t *testing.T, s station.Signs, now time.Time, want ...station.Sign) {
		t.Helper()
		got, err := s.ListSigns(t.Context(), now)
		ok(t, err)
		if len(want) != len(got) {
			t.Fatalf("%d daemons signed, want %d: %+v", len(got), len(want), got)
		}
		for i := range want {
			want[i].At = micro(want[i].At)
			want[i].Age = micro(now).Sub(want[i].At)
			same(t, got[i], want[i])
		}
	}

	t.Run("who lives", func(t *testing.T) {
		s := open(t)
		are(t, s, noon)
		sign(t, s, c, "there", noon, "")
		sign(t, s, a, "here", noon.Add(minute), "")
		sign(t, s, b, "", noon, "")
		sign(t, s, c, "there", noon.Add(2*minute), "there")
		are(t, s, noon.Add(3*minute), station.Sign{Node: b, At: noon},
			station.Sign{Node: a, Place: "here", At: noon.Add(minute)},
			station.Sign{Node: c, Place: "there", At: noon.Add(2 * minute)})
	})

	t.Run("moved", func(t *testing.T) {
		s := open(t)
		moved := station.Node{Name: a.Name, URL: "http://10.0.0.9:1"}
		sign(t, s, a, "here", noon, "")
		sign(t, s, moved, "there", noon.Add(minute), "here")
		are(t, s, noon.Add(minute), station.Sign{Node: moved, Place: "there", At: noon.Add(minute)})
		sign(t, s, a, "here", noon.Add(minute), "there")
	})

	t.Run("stopped", func(t *testing.T) {
		s := open(t)
		sign(t, s, a, "here", noon, "")
		sign(t, s, b, "here", noon, "")
		ok(t, s.Unsign(t.Context(), a.Name, "there")) // another one of that name
		ok(t, s.Unsign(t.Context(), b.Name, "here"))
		ok(t, s.Unsign(t.Context(), b.Name, "here")) // again
		ok(t, s.Unsign(t.Context(), "never was", ""))
		are(t, s, noon, station.Sign{Node: a, Place: "here", At: noon})
		sign(t, s, b, "there", noon, "")
	})

	t.Run("long gone", func(t *testing.T) {
		s := open(t)
		sign(t, s, a, "here", noon, "")
		sign(t, s, b, "here", noon.Add(minute), "")
		later := noon.Add(station.SignRetention + 30*time.Second)
		sign(t, s, c, "here", later, "")
		are(t, s, later, station.Sign{Node: b, Place: "here", At: noon.Add(minute)}, station.Sign{Node: c, Place: "here", At: later})
		sign(t, s, b, "here", later.Add(time.Hour), "here") // its own is not forgotten before it is told
		sign(t, s, a, "here", later, "")
	})

	t.Run("all at the same time", func(t *testing.T) {
		s := open(t)
		atOnce(t, 40, func(i int) error {
			n := station.Node{Name: fmt.Sprintf("host-%02d", i/2)}
			if _, err := s.Sign(t.Context(), n, "here", noon); err != nil || i/2%2 == 0 {
				return err
			}
			return s.Unsign(t.Context(), n.Name, "there")
		})
		signs, err := s.ListSigns(t.Context(), noon)
		ok(t, err)
		if len(signs) != 20 {
			t.Errorf("%d daemons signed, want 20", len(signs))
		}
	})
}
