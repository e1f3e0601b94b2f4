package objects

import (
	"bytes"
	"testing"

	"github.com/roadwave/roadwave/roadwaved/internal/objects/objectstest"
)

// BenchmarkPutSegment stores segments of 64 KiB.
func BenchmarkPutSegment(b *testing.B) {
	server := objectstest.Start(b)
	store := openBucket(b, server, newBucket(b, server), Config{})
	body := make([]byte, 64<<10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := store.Put(b.Context(), "live/1/aac48/s-0.ts", bytes.NewReader(body)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenSegment reads them back.
func BenchmarkOpenSegment(b *testing.B) {
	server := objectstest.Start(b)
	store := openBucket(b, server, newBucket(b, server), Config{})
	body := make([]byte, 64<<10)
	if err := store.Put(b.Context(), "live/1/aac48/s-0.ts", bytes.NewReader(body)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		o, err := store.Open(b.Context(), "live/1/aac48/s-0.ts")
		if err != nil {
			b.Fatal(err)
		}
		o.Close()
	}
}
