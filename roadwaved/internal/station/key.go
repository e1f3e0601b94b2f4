package station

// Where things are in the object store. What listeners may read is below live/
// and replay/, at the paths of the HTTP interface; nothing else is theirs.
const (
	LivePrefix   = "live/"
	ReplayPrefix = "replay/"
	RawPrefix    = "raw/" // recordings as the creator sent them
)

// RawExt ends the key of every recording, and the name of its file.
const RawExt = ".opus"

// RawFile is the name of the file that a live is recorded into.
func RawFile(liveID string) string { return liveID + RawExt }

// RawKey is where the recording of a live is.
func RawKey(liveID string) string { return RawPrefix + RawFile(liveID) }
