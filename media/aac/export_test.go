package aac

// BreakCodec makes the next call of the codec panic.
func (e *Encoder) BreakCodec() { e.codec = nil }
