package ogg

import "encoding/binary"

// polynomial is the generator of the page checksum (RFC 3533 §6, field 6). It
// runs most significant bit first, without inversion, so hash/crc32, which
// reflects its bits, cannot compute it.
const polynomial = 0x04c11db7

// tables[k][b] is the checksum of byte b followed by k zero bytes: with eight of
// them, eight bytes are folded in at once.
var tables = func() (t [8][256]uint32) {
	for b := range 256 {
		crc := uint32(b) << 24
		for range 8 {
			carry := crc >> 31
			crc = crc<<1 ^ carry*polynomial
		}
		t[0][b] = crc
	}
	for k := 1; k < 8; k++ {
		for b := range 256 {
			previous := t[k-1][b]
			t[k][b] = previous<<8 ^ t[0][previous>>24]
		}
	}
	return t
}()

func update(crc uint32, b []byte) uint32 {
	for ; len(b) >= 8; b = b[8:] {
		crc ^= binary.BigEndian.Uint32(b)
		next := binary.BigEndian.Uint32(b[4:])
		crc = tables[7][crc>>24] ^ tables[6][crc>>16&0xff] ^ tables[5][crc>>8&0xff] ^ tables[4][crc&0xff] ^
			tables[3][next>>24] ^ tables[2][next>>16&0xff] ^ tables[1][next>>8&0xff] ^ tables[0][next&0xff]
	}
	for _, c := range b {
		crc = crc<<8 ^ tables[0][byte(crc>>24)^c]
	}
	return crc
}

// Checksum is taken over the whole page with its own field set to zero.
func Checksum(page []byte) uint32 {
	var zero [4]byte
	crc := update(0, page[:offsetChecksum])
	crc = update(crc, zero[:])
	return update(crc, page[offsetChecksum+4:])
}
