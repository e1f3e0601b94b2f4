package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
)

var _ station.Attendance = (*Attendance)(nil)

// An Attendance is a [station.Attendance] on Redis. Count counts the visits that
// are open: who calls CloseVisits for what is Silent keeps the count right.
// An empty origin is no origin, and is not limited.
type Attendance struct {
	redis   *Redis
	touches *touches
}

// Attendance gives the audience on this server.
func (r *Redis) Attendance() *Attendance {
	return &Attendance{redis: r, touches: r.touches}
}

const (
	silentPage = 1000
	// chunk is the most visits or users that one script works on: the server does
	// nothing else meanwhile.
	chunk = 500
)

// Touch implements [station.Attendance]. It waits for some milliseconds so that
// one script does for all that come then.
func (a *Attendance) Touch(ctx context.Context, v station.Visit, perOrigin int) error {
	if err := a.touches.touch(ctx, v, perOrigin); err != nil {
		return fmt.Errorf("redis: listener %s of live %s: %w", v.ID, v.LiveID, away(err))
	}
	return nil
}

// Silent implements [station.Attendance].
func (a *Attendance) Silent(ctx context.Context, liveID string, silence time.Duration) ([]station.Departure, error) {
	found, err := silentScript.Run(ctx, a.redis.client, audienceKeys(liveID), memory, silence.Milliseconds(), silentPage).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: looking for the silent of live %s: %w", liveID, away(err))
	}
	var silent []station.Departure
	for f := range slices.Chunk(found, 3) {
		d, err := unpackVisit(f[2])
		if err == nil {
			d.LastHeard, err = heardAt(f[1])
		}
		if err != nil {
			return nil, fmt.Errorf("redis: visit %s of live %s: %w", f[0], liveID, err)
		}
		d.ID, d.LiveID = f[0], liveID
		silent = append(silent, d)
	}
	return silent, nil
}

// CloseVisits implements [station.Attendance].
func (a *Attendance) CloseVisits(ctx context.Context, liveID string, ids ...string) error {
	for some := range slices.Chunk(ids, chunk) {
		args := append([]any{memory, maxClosed}, anys(some)...)
		if err := closeScript.Run(ctx, a.redis.client, audienceKeys(liveID), args...).Err(); err != nil {
			return fmt.Errorf("redis: closing %d visits of live %s: %w", len(ids), liveID, away(err))
		}
	}
	return nil
}

// React implements [station.Attendance].
func (a *Attendance) React(ctx context.Context, liveID string, r station.Reaction, userID, origin string, perOrigin int) (first bool, err error) {
	if err := known(r); err != nil {
		return false, err
	}
	answer, err := reactScript.Run(ctx, a.redis.client, audienceKeys(liveID), memory, string(r), userID, origin, perOrigin).Int()
	switch {
	case err != nil:
		return false, fmt.Errorf("redis: %s of live %s: %w", r, liveID, away(err))
	case answer == audienceCrowded:
		return false, fmt.Errorf("redis: %s of live %s: %w", r, liveID, station.ErrCrowded)
	}
	return answer == audienceNew, nil
}

// Seed implements [station.Attendance].
func (a *Attendance) Seed(ctx context.Context, liveID string, r station.Reaction, userIDs ...string) error {
	if err := known(r); err != nil {
		return err
	}
	for {
		some := userIDs[:min(chunk, len(userIDs))]
		userIDs = userIDs[len(some):]
		last := len(userIDs) == 0
		args := append([]any{memory, string(r), last}, anys(some)...)
		if err := seedScript.Run(ctx, a.redis.client, audienceKeys(liveID), args...).Err(); err != nil {
			return fmt.Errorf("redis: seeding every %s of live %s: %w", r, liveID, away(err))
		}
		if last {
			return nil
		}
	}
}

func known(r station.Reaction) error {
	if r != station.Like && r != station.Report {
		return fmt.Errorf("redis: there is no reaction %q", r)
	}
	return nil
}

// Count implements [station.Attendance].
func (a *Attendance) Count(ctx context.Context, liveID string) (c station.Counters, known bool, err error) {
	n, err := countScript.Run(ctx, a.redis.client, audienceKeys(liveID), memory).Int64Slice()
	if err != nil {
		return station.Counters{}, false, fmt.Errorf("redis: counting the audience of live %s: %w", liveID, away(err))
	}
	return station.Counters{Listeners: n[0], Likes: n[1], Reports: n[2], Visits: n[3]}, n[4] == 1, nil
}

// shownKeys are the keys of M20: listeners, likes and reports.
func shownKeys(liveID string) [3]string {
	prefix := "live:" + liveID + ":"
	return [3]string{prefix + "listeners", prefix + "likes", prefix + "reports"}
}

// Show implements [station.Attendance].
func (a *Attendance) Show(ctx context.Context, liveID string, c station.Counters) error {
	keys := shownKeys(liveID)
	_, err := a.redis.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, n := range []int64{c.Listeners, c.Likes, c.Reports} {
			p.Set(ctx, keys[i], n, memory*time.Second)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: showing the counters of live %s: %w", liveID, away(err))
	}
	return nil
}

// Shown implements [station.Attendance].
func (a *Attendance) Shown(ctx context.Context, liveIDs ...string) (map[string]station.Counters, error) {
	shown := make(map[string]station.Counters, len(liveIDs))
	if len(liveIDs) == 0 {
		return shown, nil
	}
	values := make([]*goredis.StringCmd, 0, 3*len(liveIDs))
	_, err := a.redis.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for _, id := range liveIDs {
			for _, key := range shownKeys(id) {
				values = append(values, p.Get(ctx, key))
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, fmt.Errorf("redis: reading the counters of %d lives: %w", len(liveIDs), away(err))
	}
	for i, id := range liveIDs {
		var n [3]int64
		for j, value := range values[3*i : 3*i+3] {
			n[j], err = value.Int64()
			if err != nil && !errors.Is(err, goredis.Nil) {
				return nil, fmt.Errorf("redis: reading the counters of live %s: %w", id, away(err))
			}
		}
		shown[id] = station.Counters{Listeners: n[0], Likes: n[1], Reports: n[2]}
	}
	return shown, nil
}

// Dismiss implements [station.Attendance].
func (a *Attendance) Dismiss(ctx context.Context, liveID string) error {
	if err := dismissScript.Run(ctx, a.redis.client, audienceKeys(liveID), memory).Err(); err != nil {
		return fmt.Errorf("redis: dismissing the audience of live %s: %w", liveID, away(err))
	}
	return nil
}

// packVisit writes what is known of a visit: the length of its origin, the origin,
// when it began in µs, and the user, who may be called anything.
func packVisit(v station.Visit) string {
	return fmt.Sprintf("%d %s%d %s", len(v.Origin), v.Origin, v.JoinedAt.UnixMicro(), v.UserID)
}

var errPacked = errors.New("what the board knows of it cannot be read")

func unpackVisit(packed string) (d station.Departure, err error) {
	length, rest, ok := strings.Cut(packed, " ")
	n, err := strconv.Atoi(length)
	if err != nil || !ok || n < 0 || n > len(rest) {
		return d, errPacked
	}
	d.Origin, rest = rest[:n], rest[n:]
	at, user, ok := strings.Cut(rest, " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !ok {
		return d, errPacked
	}
	d.JoinedAt, d.UserID = time.UnixMicro(micros).UTC(), user
	return d, nil
}

func heardAt(score string) (time.Time, error) {
	ms, err := strconv.ParseFloat(score, 64)
	if err != nil {
		return time.Time{}, errPacked
	}
	return time.UnixMilli(int64(ms)).UTC(), nil
}

func anys(strings []string) []any {
	a := make([]any, len(strings))
	for i, s := range strings {
		a[i] = s
	}
	return a
}
