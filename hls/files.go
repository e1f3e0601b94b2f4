package hls

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// maxZipped is the longest playlist that is compressed, some hundred hours.
const maxZipped = 1 << 20

// NewHandler serves the media in a [Store] (playlists, segments, MP3) under
// their keys: mount it with [net/http.StripPrefix] so that the path that is
// left is the key. Whatever else the store holds, recordings for one, is not
// served. GET and HEAD, whole or in ranges, streamed from the store. Segments
// may be cached for ever, live playlists for a second, all else for ten.
func NewHandler(store Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if readOnly(w, r) {
			return
		}
		serveObject(w, r, store, strings.TrimPrefix(r.URL.Path, "/"))
	})
}

// CacheControl says how long the media that key names may be cached, as the
// value of the header field of that name (RFC 9111): what [NewHandler] sends and
// what an object store must know to serve them itself. It is empty for what is
// no media.
func CacheControl(key string) string {
	extension := path.Ext(key)
	if _, known := contentTypes[extension]; !known {
		return ""
	}
	switch {
	case extension == ".ts" || extension == ".mp4":
		return cacheSegment
	case path.Base(key) == playlistName:
		return cachePlaylist
	}
	return cacheMultivariant
}

func serveObject(w http.ResponseWriter, r *http.Request, store Store, key string) {
	if _, known := contentTypes[path.Ext(key)]; !known {
		refuse(w, http.StatusNotFound, cacheMissing, "no such media")
		return
	}
	object, err := store.Open(r.Context(), key)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrKey):
		refuse(w, http.StatusNotFound, cacheMissing, "no such media, or not yet")
		return
	case err != nil:
		w.Header().Set("Retry-After", "2")
		refuse(w, http.StatusServiceUnavailable, "no-store", "the media store does not answer, ask again")
		return
	}
	defer object.Close()
	if path.Ext(key) == ".m3u8" && object.Info().Size <= maxZipped {
		if body, err := io.ReadAll(io.LimitReader(object, maxZipped)); err == nil {
			newPlaylist(body, CacheControl(key)).serve(w, r)
			return
		}
	}
	h := w.Header()
	h["Content-Type"] = []string{ContentType(key)}
	h["Cache-Control"] = []string{CacheControl(key)}
	h["Access-Control-Allow-Origin"] = allowAll
	if tag := object.Info().ETag; tag != "" {
		h["Etag"] = []string{tag}
	}
	http.ServeContent(w, r, "", time.Time{}, object)
}
