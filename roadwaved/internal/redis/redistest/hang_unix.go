//go:build unix

package redistest

import "syscall"

// Hang stops the server without ending it: connections stay, and nothing answers.
func (s *Server) Hang() error { return s.signal(syscall.SIGSTOP) }

// Wake ends a Hang.
func (s *Server) Wake() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	return s.cmd.Process.Signal(sig)
}
