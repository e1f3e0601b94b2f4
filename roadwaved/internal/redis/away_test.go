package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/redis/redistest"
	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

// A reply is an error that a server answers.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestAway(t *testing.T) {
	for _, err := range []error{
		&net.OpError{Op: "dial", Err: errors.New("connection refused")}, os.ErrDeadlineExceeded, context.DeadlineExceeded, io.EOF,
		goredis.ErrPoolTimeout, errors.New("redis: all sentinels specified in configuration are unreachable"),
		reply("LOADING Redis is loading the dataset in memory"), reply("READONLY You can't write against a read only replica."),
		reply("CLUSTERDOWN Hash slot not served"), reply("MASTERDOWN Link with MASTER is down"), reply("ERR max number of clients reached"),
	} {
		got := away(fmt.Errorf("counting: %w", err))
		if !errors.Is(got, station.ErrAway) || !errors.Is(got, err) {
			t.Errorf("%v: is away, got %v", err, got)
		}
		if again := away(got); again.Error() != got.Error() {
			t.Errorf("said twice: %v", again)
		}
	}
	for _, err := range []error{
		nil, context.Canceled, goredis.ErrClosed, goredis.Nil, station.ErrNotFound, reply("NOAUTH Authentication required."),
		reply("WRONGTYPE Operation against a key holding the wrong kind of value"), reply("ERR LOADING is not the first word"),
	} {
		if got := away(err); errors.Is(got, station.ErrAway) {
			t.Errorf("%v: is not away", err)
		}
	}
}

// A password that is wrong will not be right later, and is not told to anybody.
func TestWrongPassword(t *testing.T) {
	server := redistest.Start(t)
	if err := server.Do(t.Context(), "CONFIG", "SET", "requirepass", "right-secret"); err != nil {
		t.Fatal(err)
	}
	open := func(userinfo string) *Redis {
		r, err := Dial(strings.Replace(server.URL, "redis://", "redis://"+userinfo, 1), quick)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	for _, userinfo := range []string{"", ":wrong-secret@", "anna:wrong-secret@"} {
		r := open(userinfo)
		for _, err := range []error{r.Ping(t.Context()), r.Queue().Enqueue(t.Context(), "a", station.PriorityNormal)} {
			if err == nil || errors.Is(err, station.ErrAway) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: %v", userinfo, err)
			}
		}
	}
	if err := open(":right-secret@").Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
