package postgrestest

import (
	"os"
	"os/exec"
	"runtime"
)

// A process is a server that runs.
type process struct {
	os    *os.Process
	ended chan struct{} // closed when it has
}

// launch starts a program that ends with this one, however that ends.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// What asks for a signal at the end of this program asks for one at the end
		// of the thread that started the other: it must live as long.
		runtime.LockOSThread()
		dieWithParent(cmd)
		err := cmd.Start()
		p.os = cmd.Process
		started <- err
		if err == nil {
			cmd.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

func (p *process) signal(s os.Signal) {
	p.os.Signal(s) // it may have ended
}
