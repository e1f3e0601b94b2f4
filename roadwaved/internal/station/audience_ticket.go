package station

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// A listener id is a ticket: all that the house must know of a visit, signed, so
// that a heartbeat brings a listener back when the board has forgotten them, and
// nobody can make one up. Its bytes, in unpadded URL-safe base64:
//
//	version 1 | uuid 16 | joined, µs since 1970, 8 | user id | MAC 16
//
// The MAC (HMAC-SHA256, its first half) covers the live too, which the ticket
// does not carry: it is of no use on another one.
const (
	ticketVersion = 1
	ticketHead    = 1 + 16 + 8
	ticketMAC     = 16
	ticketAge     = 24 * time.Hour // no live is listened to for longer
	ticketAhead   = time.Minute    // by which the clock of another daemon may be ahead
)

// maxTicket is the length of the longest ticket, in characters.
var maxTicket = ticketText.EncodedLen(ticketHead + MaxUserID*utf8.UTFMax + ticketMAC)

// Strict: one visit has one name.
var ticketText = base64.RawURLEncoding.Strict()

// errForged is a ticket that this house did not write for this live.
var errForged = errors.New("the listener id is not one of this live")

// ticket writes the ticket of a visit.
func (v Visit) ticket(key []byte) (string, error) {
	id, err := uuid.Parse(v.ID)
	if err != nil {
		return "", fmt.Errorf("station: visit %q: %w", v.ID, err)
	}
	b := append([]byte{ticketVersion}, id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(v.JoinedAt.UnixMicro()))
	b = append(b, v.UserID...)
	return ticketText.EncodeToString(append(b, sign(key, v.LiveID, b)...)), nil
}

// readTicket gives the visit that a ticket stands for, without its origin.
func readTicket(key []byte, liveID, text string, now time.Time) (Visit, error) {
	if len(text) > maxTicket {
		return Visit{}, errForged
	}
	b, err := ticketText.DecodeString(text)
	if err != nil || len(b) < ticketHead+ticketMAC || b[0] != ticketVersion {
		return Visit{}, errForged
	}
	b, mac := b[:len(b)-ticketMAC], b[len(b)-ticketMAC:]
	if !hmac.Equal(mac, sign(key, liveID, b)) {
		return Visit{}, errForged
	}
	joined := time.UnixMicro(int64(binary.BigEndian.Uint64(b[17:ticketHead]))).UTC()
	if joined.After(now.Add(ticketAhead)) {
		return Visit{}, errForged
	}
	if now.Sub(joined) > ticketAge {
		return Visit{}, ErrGone
	}
	return Visit{
		ID:       uuid.UUID(b[1:17]).String(),
		LiveID:   liveID,
		UserID:   string(b[ticketHead:]),
		JoinedAt: joined,
	}, nil
}

func sign(key []byte, liveID string, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(b)
	h.Write([]byte(liveID))
	// Where the one ends and the other begins.
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
	return h.Sum(nil)[:ticketMAC]
}
