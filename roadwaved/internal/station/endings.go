package station

// Endings keeps on this machine how lives ended, until the catalog knows it. It
// belongs to one process at a time. Its methods may be called at the same time.
type Endings interface {
	// Save keeps the end of a live. It is durable when it returns.
	Save(liveID string, e End) error
	// Load gives what was saved and not deleted, by live id. With an error it
	// gives what could be read.
	Load() (map[string]End, error)
	// Delete forgets an end. One that is unknown is no error.
	Delete(liveID string) error
}

// noEndings forgets everything.
type noEndings struct{}

func (noEndings) Save(string, End) error        { return nil }
func (noEndings) Load() (map[string]End, error) { return nil, nil }
func (noEndings) Delete(string) error           { return nil }

// saveEnd is for the case that this process stops before the catalog answers.
func (s *Station) saveEnd(liveID string, e End) {
	if err := s.cfg.Endings.Save(liveID, e); err != nil {
		s.cfg.Logger.Error("how a live ended is in memory only until the catalog has it", "live_id", liveID, "err", err)
	}
}

func (s *Station) dropEnd(liveID string) {
	if err := s.cfg.Endings.Delete(liveID); err != nil {
		s.cfg.Logger.Warn("the end of a live is in the catalog and still on disk: the next start tries again", "live_id", liveID, "err", err)
	}
}
