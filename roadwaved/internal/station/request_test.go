package station_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/roadwave/roadwave/roadwaved/internal/station"
	"github.com/roadwave/roadwave/roadwaved/internal/station/stationtest"
)

func TestRequestKept(t *testing.T) {
	family := "👨‍👩‍👧" // three people and two joiners
	for _, tt := range []struct {
		name string
		r    station.Request
		want station.Live
	}{
		{"nothing said",
			station.Request{},
			station.Live{CreatorID: "anonyme", Title: "Live de anonyme", ClassificationAge: "tout public"}},
		{"everything said",
			station.Request{CreatorID: "u-1", Title: "Sur la route", ZoneGeo: "Île-de-France", Tags: []string{"info", "trafic"}, ClassificationAge: "-16"},
			station.Live{CreatorID: "u-1", Title: "Sur la route", ZoneGeo: "Île-de-France", Tags: []string{"info", "trafic"}, ClassificationAge: "-16"}},
		{"space around",
			station.Request{CreatorID: " léa ", Title: "\n Bonjour\t", ZoneGeo: "  ", ClassificationAge: " Tout Public "},
			station.Live{CreatorID: "léa", Title: "Bonjour", ClassificationAge: "tout public"}},
		{"tags",
			station.Request{Title: "t", Tags: []string{" Été", "", "ÉTÉ", "a7", "  ", "été", "A7"}},
			station.Live{CreatorID: "anonyme", Title: "t", Tags: []string{"été", "a7"}, ClassificationAge: "tout public"}},
		{"emoji",
			station.Request{Title: family},
			station.Live{CreatorID: "anonyme", Title: family, ClassificationAge: "tout public"}},
		{"the longest",
			station.Request{CreatorID: strings.Repeat("é", station.MaxCreatorID), Title: strings.Repeat("🚗", station.MaxTitle), ZoneGeo: strings.Repeat("é", station.MaxZoneGeo)},
			station.Live{CreatorID: strings.Repeat("é", station.MaxCreatorID), Title: strings.Repeat("🚗", station.MaxTitle), ZoneGeo: strings.Repeat("é", station.MaxZoneGeo), ClassificationAge: "tout public"}},
		{"the longest creator without a title",
			station.Request{CreatorID: strings.Repeat("é", station.MaxCreatorID)},
			station.Live{CreatorID: strings.Repeat("é", station.MaxCreatorID), Title: "Live de " + strings.Repeat("é", station.MaxTitle-8), ClassificationAge: "tout public"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newHouse(t, station.Config{}).Open(t.Context(), tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if got.CreatorID != tt.want.CreatorID || got.Title != tt.want.Title || got.ZoneGeo != tt.want.ZoneGeo ||
				!slices.Equal(got.Tags, tt.want.Tags) || got.ClassificationAge != tt.want.ClassificationAge {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestRequestRefused(t *testing.T) {
	eleven := strings.Split("a b c d e f g h i j k", " ")
	for _, tt := range []struct {
		name    string
		r       station.Request
		field   string
		message string // part of it
	}{
		{"long creator", station.Request{CreatorID: strings.Repeat("a", station.MaxCreatorID+1)}, "creator_id", "trop long"},
		{"long title", station.Request{Title: strings.Repeat("é", station.MaxTitle+1)}, "title", "201 caractères, 200 au plus"},
		{"two lines", station.Request{Title: "one\ntwo"}, "title", "caractères interdits"},
		{"line separator", station.Request{Title: "one\u2028two"}, "title", "caractères interdits"},
		{"NUL", station.Request{Title: "a\x00b"}, "title", "caractères interdits"},
		{"escape", station.Request{ZoneGeo: "\x1b[31mred"}, "zone_geo", "caractères interdits"},
		{"right to left override", station.Request{Title: "abc\u202ecba"}, "title", "caractères interdits"},
		{"not UTF-8", station.Request{Title: "\xff\xfe"}, "title", "caractères interdits"},
		{"long zone", station.Request{ZoneGeo: strings.Repeat("z", station.MaxZoneGeo+1)}, "zone_geo", "trop long"},
		{"many tags", station.Request{Tags: eleven}, "tags", "au plus 10 mots-clés"},
		{"long tag", station.Request{Tags: []string{strings.Repeat("é", station.MaxTag+1)}}, "tags", "trop long"},
		{"odd tag", station.Request{Tags: []string{"a\tb"}}, "tags", "caractères interdits"},
		{"other age", station.Request{ClassificationAge: "-14"}, "classification_age", "tout public, -10, -12, -16, -18"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t, station.Config{})
			_, err := h.Open(t.Context(), tt.r)
			var invalid *station.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("got %v, want an InvalidError", err)
			}
			if invalid.Field != tt.field || !strings.Contains(invalid.Message, tt.message) || !strings.Contains(err.Error(), tt.field) {
				t.Errorf("field %q, message %q, error %q", invalid.Field, invalid.Message, err)
			}
			if h.OnAir() != 0 || h.slots(t) != 0 {
				t.Error("the refused live has a slot")
			}
		})
	}
}

// Whatever a stranger sends is either refused or kept within the limits.
func FuzzRequest(f *testing.F) {
	f.Add("léa", "Bonjour", "Nice", "été", "-10")
	f.Add("", "", "", "", "")
	f.Add("\xff", "a\u2028b", strings.Repeat("z", 101), "\x00", "-99")
	f.Fuzz(func(t *testing.T, creator, title, zone, tag, age string) {
		s, err := station.New(station.Config{Lives: &stationtest.Catalog{}, Board: &stationtest.Board{}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Open(t.Context(), station.Request{CreatorID: creator, Title: title, ZoneGeo: zone, Tags: []string{tag, "b"}, ClassificationAge: age})
		if err != nil {
			if !errors.As(err, new(*station.InvalidError)) {
				t.Error(err)
			}
			return
		}
		for limit, texts := range map[int][]string{
			station.MaxCreatorID: {l.CreatorID, l.Title},
			station.MaxZoneGeo:   {l.ZoneGeo},
			station.MaxTag:       l.Tags,
		} {
			for _, text := range texts {
				if !utf8.ValidString(text) || utf8.RuneCountInString(text) > limit || strings.ContainsAny(text, "\x00\n\r\u2028") {
					t.Errorf("kept %q", text)
				}
			}
		}
		if l.CreatorID == "" || l.Title == "" || !slices.Contains(station.AgeClasses, l.ClassificationAge) || len(l.Tags) > station.MaxTags {
			t.Errorf("kept %+v", l)
		}
	})
}
