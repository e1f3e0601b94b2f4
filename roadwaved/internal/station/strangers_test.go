package station_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{PerOriginVisits: 3, PerOriginReactions: 2})
		for i := range 5 {
			_, err := s.Join(t.Context(), station.Join{LiveID: "here", Origin: "one address"})
			if want := i >= 3; errors.Is(err, station.ErrCrowded) != want {
				t.Errorf("visit %d: %v", i, err)
			}
			_, err = s.React(t.Context(), station.Reacting{LiveID: "here", UserID: fmt.Sprint(i), Origin: "one address", Reaction: station.Like})
			if want := i >= 2; errors.Is(err, station.ErrCrowded) != want {
				t.Errorf("like %d: %v", i, err)
			}
		}
		s.board.SetAway(errAway)
		time.Sleep(3 * time.Second)
		for i := range 5 {
			_, err := s.React(t.Context(), station.Reacting{LiveID: "here", UserID: fmt.Sprint(i), Origin: "another", Reaction: station.Like})
			if want := i >= 2; errors.Is(err, station.ErrCrowded) != want {
				t.Errorf("like %d with the board away: %v", i, err)
			}
		}
		for _, id := range []string{"", "x", uuid.NewString(), strings.Repeat("A", 5000)} {
			if err := s.Beat(t.Context(), "here", id, "o"); !errors.Is(err, station.ErrNotFound) {
				t.Errorf("a heartbeat of %.40q: %v, want ErrNotFound", id, err)
			}
			if err := s.Leave(t.Context(), "here", id); !errors.Is(err, station.ErrNotFound) {
				t.Errorf("%.40q leaves: %v, want ErrNotFound", id, err)
			}
		}
		id := s.join(t, "léa")
		if err := s.Beat(t.Context(), "there", id, "o"); !errors.Is(err, station.ErrNotFound) {
			t.Errorf("a heartbeat on another live: %v, want ErrNotFound", err)
		}
	})
}

func TestReact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		s.react(t, "léa", station.Like, true)
		s.react(t, " léa ", station.Like, false)
		s.react(t, "léa", station.Report, true)
		s.react(t, "tom", station.Like, true)
		time.Sleep(3 * time.Second)
		if c := s.counters(t); c.Likes != 2 || c.Reports != 1 {
			t.Errorf("the counters are %+v, want two likes and a report", c)
		}
		s.mu.Lock()
		told := slices.Clone(s.told)
		s.mu.Unlock()
		if len(told) == 0 || len(told) > 3 || told[len(told)-1].Likes != 2 {
			t.Errorf("told %+v, want each change", told)
		}
		likes, reports := s.events(t, station.EventLike), s.events(t, station.EventReport)
		if len(likes) != 2 || len(reports) != 1 || reports[0].Category != "spam" || reports[0].UserID != "léa" {
			t.Errorf("the log has %+v and %+v", likes, reports)
		}
	})
}

func TestListeningRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, station.AudienceConfig{})
		join := func(j station.Join) error {
			j.LiveID = "here"
			_, err := s.Join(t.Context(), j)
			return err
		}
		react := func(r station.Reacting) error {
			r.LiveID = "here"
			_, err := s.React(t.Context(), r)
			return err
		}
		long := strings.Repeat("é", station.MaxUserID+1)
		for name, tt := range map[string]struct {
			err   error
			field string
		}{
			"long user":        {join(station.Join{UserID: long}), "user_id"},
			"odd user":         {join(station.Join{UserID: "a\nb"}), "user_id"},
			"beyond the pole":  {join(station.Join{Position: &station.Position{Lat: 90.001}}), "position"},
			"around the earth": {join(station.Join{Position: &station.Position{Lon: -180.001}}), "position"},
			"NaN":              {join(station.Join{Position: &station.Position{Lat: math.NaN()}}), "position"},
			"infinity":         {join(station.Join{Position: &station.Position{Lon: math.Inf(1)}}), "position"},
			"no user":          {react(station.Reacting{Reaction: station.Like, UserID: " "}), "user_id"},
			"long reactor":     {react(station.Reacting{Reaction: station.Like, UserID: long}), "user_id"},
			"no category":      {react(station.Reacting{Reaction: station.Report, UserID: "a"}), "category"},
			"other category":   {react(station.Reacting{Reaction: station.Report, UserID: "a", Category: "ennui"}), "category"},
			"other reaction":   {react(station.Reacting{Reaction: "wow", UserID: "a"}), "reaction"},
		} {
			var invalid *station.InvalidError
			if !errors.As(tt.err, &invalid) || invalid.Field != tt.field || invalid.Message == "" {
				t.Errorf("%s: %v, want an InvalidError of %s", name, tt.err, tt.field)
			}
		}
		for _, p := range []station.Position{{}, {Lat: 90, Lon: 180}, {Lat: -90, Lon: -180}} {
			if err := join(station.Join{Position: &p}); err != nil {
				t.Errorf("%+v: %v", p, err)
			}
		}
		if _, err := s.React(t.Context(), station.Reacting{LiveID: "nowhere", UserID: "a", Reaction: station.Like}); !errors.Is(err, station.ErrNotFound) {
			t.Errorf("liking nothing: %v, want ErrNotFound", err)
		}
	})
}

func TestNewAudienceRefuses(t *testing.T) {
	catalog := &flakyCatalog{}
	good := station.AudienceConfig{
		Attendance: &stationtest.Attendance{}, Journal: quietLog{}, Records: catalog, Lives: catalog,
		Key: make([]byte, 32), OnAir: func() []string { return nil },
	}
	if _, err := station.NewAudience(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*station.AudienceConfig){
		"no board":       func(c *station.AudienceConfig) { c.Attendance = nil },
		"no journal":     func(c *station.AudienceConfig) { c.Journal = nil },
		"no records":     func(c *station.AudienceConfig) { c.Records = nil },
		"no lives":       func(c *station.AudienceConfig) { c.Lives = nil },
		"nothing on air": func(c *station.AudienceConfig) { c.OnAir = nil },
		"short key":      func(c *station.AudienceConfig) { c.Key = c.Key[:16] },
		"busy":           func(c *station.AudienceConfig) { c.CountInterval = 1 },
		"odd samples":    func(c *station.AudienceConfig) { c.SampleInterval = 1500 * time.Millisecond },
		"deaf":           func(c *station.AudienceConfig) { c.Silence = 1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := station.NewAudience(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
