package hls

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cache-Control of each kind of resource. Segments never change under their
// name; playlists change once per segment.
const (
	cachePlaylist     = "max-age=1"
	cacheMultivariant = "max-age=10"
	cacheSegment      = "max-age=31536000, immutable"
	cacheMissing      = "max-age=1"
	cacheGone         = "max-age=10"
)

// A resource is a body ready to be sent, with its header fields made in
// advance: a request costs no allocation here. The map keys and values are
// shared by all requests and never changed.
type resource struct {
	body, zipped     []byte // zipped may be nil
	contentType      []string
	cacheControl     []string
	tag, zippedTag   []string
	size, zippedSize []string
}

var (
	allowAll   = []string{"*"}
	gzipCoding = []string{"gzip"}
	byEncoding = []string{"Accept-Encoding"}
	byteRanges = []string{"bytes"}
)

// newResource prepares body; key gives its type.
func newResource(key string, body []byte, cacheControl string) *resource {
	return &resource{
		body:         body,
		contentType:  []string{ContentType(key)},
		cacheControl: []string{cacheControl},
		tag:          []string{etag(body)},
		size:         []string{strconv.Itoa(len(body))},
	}
}

// newPlaylist prepares a playlist, compressed as well.
func newPlaylist(body []byte, cacheControl string) *resource {
	r := newResource("x.m3u8", body, cacheControl)
	r.zipped = compress(body)
	r.zippedTag = []string{strings.TrimSuffix(r.tag[0], `"`) + `-gzip"`}
	r.zippedSize = []string{strconv.Itoa(len(r.zipped))}
	return r
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// compressors are shared by all lives: one weighs most of a megabyte.
var compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// serve answers GET and HEAD (RFC 9110): conditional, ranged or plain.
func (x *resource) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Content-Type"] = x.contentType
	h["Cache-Control"] = x.cacheControl
	h["Access-Control-Allow-Origin"] = allowAll
	body, tag, size := x.body, x.tag, x.size
	if x.zipped != nil {
		h["Vary"] = byEncoding
		if r.Header["Range"] == nil && acceptsGzip(r.Header["Accept-Encoding"]) {
			h["Content-Encoding"] = gzipCoding
			body, tag, size = x.zipped, x.zippedTag, x.zippedSize
		}
	}
	h["Etag"] = tag
	if conditional(r.Header) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
		return
	}
	h["Accept-Ranges"] = byteRanges
	h["Content-Length"] = size
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	_, _ = w.Write(body) // the listener went away: nobody to tell
}

func conditional(h http.Header) bool {
	return h["Range"] != nil || h["If-None-Match"] != nil || h["If-Match"] != nil
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3).
func acceptsGzip(fields []string) bool {
	for _, field := range fields {
		for len(field) > 0 {
			var coding string
			coding, field, _ = strings.Cut(field, ",")
			coding, weight, weighted := strings.Cut(strings.TrimSpace(coding), ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			return !weighted || !zeroWeight(weight)
		}
	}
	return false
}

func zeroWeight(parameter string) bool {
	name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
	return strings.EqualFold(name, "q") && strings.Trim(value, "0.") == ""
}

// refuse answers with a status and one line, and lets caches keep it briefly.
func refuse(w http.ResponseWriter, status int, cacheControl, line string) {
	h := w.Header()
	h["Access-Control-Allow-Origin"] = allowAll
	h.Set("Cache-Control", cacheControl)
	http.Error(w, line, status)
}

// readOnly answers what is neither GET nor HEAD and reports whether it did.
func readOnly(w http.ResponseWriter, r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return false
	case http.MethodOptions: // a browser asks before it sends Range across origins
		h := w.Header()
		h["Access-Control-Allow-Origin"] = allowAll
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Range, If-None-Match")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		refuse(w, http.StatusMethodNotAllowed, "no-store", "media is read with GET or HEAD")
	}
	return true
}
