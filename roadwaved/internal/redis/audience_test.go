package redis

import (
	"testing"
	"time"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestAttendance(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		stationtest.TestAttendance(t, func(t *testing.T) stationtest.AttendanceBoard {
			r := open(t)
			return stationtest.AttendanceBoard{Attendance: r.Attendance(), Forget: func() {
				if err := r.client.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}}
		}, time.Sleep)
	})
}

func TestNodes(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		stationtest.TestNodes(t, func(t *testing.T) station.Nodes { return open(t).Nodes() }, time.Sleep)
	})
}

func TestWire(t *testing.T) {
	onEach(t, func(t *testing.T, open func(t *testing.T) *Redis) {
		stationtest.TestWire(t, func(t *testing.T) station.Wire { return open(t).Wire() })
	})
}
