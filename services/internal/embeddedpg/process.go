package embeddedpg

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is one run of the server.
type process struct {
	cmd      *exec.Cmd
	logStart int64 // where its part of the log begins

	done chan struct{} // closed when it ended
	exit error         // why, readable after done
}

// startProcess starts the server so that it ends with this process.
func startProcess(path string, args []string, h home, log *os.File) (*process, error) {
	cmd := exec.Command(path, args...) //nolint:noctx // our own binary; it ends by Stop, not with the start's context
	cmd.Dir = h.cluster()
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = processAttributes(h.account)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run stays on one thread for as long as the child lives: Linux sends the parent-death signal when the *thread* that
// forked ends, and Go ends idle threads as it likes.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.exit = p.cmd.Wait()
	close(p.done)
}

// signal is for a process that may have ended already, which is then no matter.
func (p *process) signal(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
}

// environment is all that the server gets of this process's: nothing.
func environment() []string { return []string{"TZ=UTC", "LC_ALL=C"} }

// baseAttributes give the child its account and a process group of its own, so that a Ctrl-C in the terminal does not
// reach it: the order of stopping is ours.
func baseAttributes(acc account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if acc.switched {
		attr.Credential = &syscall.Credential{Uid: acc.uid, Gid: acc.gid}
	}
	return attr
}
