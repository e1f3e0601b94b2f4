package station

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var (
	ticketKey = bytes.Repeat([]byte{7}, 32)
	ticketNow = time.Date(2026, 11, 22, 18, 0, 0, 123456000, time.UTC)
)

func testVisit() Visit {
	return Visit{ID: "1b4e28ba-2fa1-41d2-883f-0016d3cca427", LiveID: "live-1", UserID: "léa", JoinedAt: ticketNow}
}

func mustTicket(t testing.TB, v Visit, key []byte) string {
	t.Helper()
	text, err := v.ticket(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTicket(t *testing.T) {
	for _, user := range []string{"", "léa", strings.Repeat("🚗", MaxUserID)} {
		v := testVisit()
		v.UserID = user
		text := mustTicket(t, v, ticketKey)
		if len(text) > maxTicket || strings.ContainsAny(text, "+/=?&#%") {
			t.Errorf("the ticket %q does not fit into a path", text)
		}
		for _, age := range []time.Duration{0, time.Second, ticketAge, -ticketAhead} {
			if got, err := readTicket(ticketKey, v.LiveID, text, ticketNow.Add(age)); err != nil || got != v {
				t.Errorf("%v later: got %+v (%v), want %+v", age, got, err, v)
			}
		}
	}
}

func TestTicketRefused(t *testing.T) {
	v := testVisit()
	good := mustTicket(t, v, ticketKey)
	late := v
	late.JoinedAt = ticketNow.Add(2 * ticketAhead)
	for name, tt := range map[string]struct {
		live, text string
		key        []byte
		now        time.Time
		want       error
	}{
		"nothing":          {"live-1", "", ticketKey, ticketNow, errForged},
		"not base64":       {"live-1", "ça", ticketKey, ticketNow, errForged},
		"padded":           {"live-1", good + "=", ticketKey, ticketNow, errForged},
		"cut":              {"live-1", good[:len(good)-4], ticketKey, ticketNow, errForged},
		"the head alone":   {"live-1", good[:20], ticketKey, ticketNow, errForged},
		"endless":          {"live-1", strings.Repeat("A", 1<<20), ticketKey, ticketNow, errForged},
		"another live":     {"live-2", good, ticketKey, ticketNow, errForged},
		"longer live name": {"live-1\x00", good, ticketKey, ticketNow, errForged},
		"another key":      {"live-1", good, bytes.Repeat([]byte{8}, 32), ticketNow, errForged},
		"from the future":  {"live-1", mustTicket(t, late, ticketKey), ticketKey, ticketNow, errForged},
		"of yesterday":     {"live-1", good, ticketKey, ticketNow.Add(ticketAge + time.Microsecond), ErrGone},
	} {
		if got, err := readTicket(tt.key, tt.live, tt.text, tt.now); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v (%v), want %v", name, got, err, tt.want)
		}
	}
	// Each bit counts.
	raw, err := ticketText.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		other := bytes.Clone(raw)
		other[bit/8] ^= 1 << (bit % 8)
		if _, err := readTicket(ticketKey, v.LiveID, ticketText.EncodeToString(other), ticketNow); !errors.Is(err, errForged) {
			t.Errorf("bit %d turned: %v", bit, err)
		}
	}
}

// What the live is called and what the ticket holds cannot be shifted into each
// other.
func TestTicketBoundary(t *testing.T) {
	v := testVisit()
	v.UserID, v.LiveID = "ab", "c"
	raw, err := ticketText.DecodeString(mustTicket(t, v, ticketKey))
	if err != nil {
		t.Fatal(err)
	}
	shifted := append(bytes.Clone(raw[:ticketHead+1]), raw[ticketHead+2:]...)
	if _, err := readTicket(ticketKey, "bc", ticketText.EncodeToString(shifted), ticketNow); !errors.Is(err, errForged) {
		t.Error("a ticket of live c for ab is one of live bc for a:", err)
	}
}

func FuzzTicket(f *testing.F) {
	good := mustTicket(f, testVisit(), ticketKey)
	f.Add(good, "live-1")
	f.Add(good[1:], "live-1")
	f.Add("", "")
	f.Add(strings.Repeat("_", 2000), "live-2")
	f.Fuzz(func(t *testing.T, text, live string) {
		v, err := readTicket(ticketKey, live, text, ticketNow)
		if err != nil {
			if v != (Visit{}) || (!errors.Is(err, errForged) && !errors.Is(err, ErrGone)) {
				t.Errorf("%+v (%v)", v, err)
			}
			return
		}
		// Nobody but us has the key: it is the one we made.
		if text != good || live != "live-1" || v != testVisit() {
			t.Errorf("%q of live %q was taken for %+v", text, live, v)
		}
	})
}

// What any listener says of themselves comes back.
func FuzzTicketRoundTrip(f *testing.F) {
	f.Add("léa", "live-1", int64(0))
	f.Add("", "", int64(-1))
	f.Add("\xff\x00", "\x00", int64(86_400_000_000))
	f.Fuzz(func(t *testing.T, user, live string, age int64) {
		v := Visit{ID: uuid.NewSHA1(uuid.Nil, []byte(user)).String(), LiveID: live, UserID: user, JoinedAt: ticketNow.Add(-time.Duration(age) * time.Microsecond)}
		if len(user) > 4*MaxUserID || age < 0 || age > ticketAge.Microseconds() {
			return
		}
		if got, err := readTicket(ticketKey, live, mustTicket(t, v, ticketKey), ticketNow); err != nil || got != v {
			t.Errorf("got %+v (%v), want %+v", got, err, v)
		}
	})
}
