package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to end when it is asked to.
const stopPatience = 20 * time.Second

// Process is a program that can be killed and started again in the same place: its settings and its ports stay. It ends with this process.
type Process struct {
	Name string

	path string
	args []string
	env  func() []string
	log  io.Writer
	live string // answers 200 when it is up; empty: not waited for

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of its end, after exited
}

// Start starts it and waits until it is up.
func (p *Process) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}
	return p.Await(ctx)
}

// Launch starts it and does not wait.
func (p *Process) Launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = exec.Command(p.path, p.args...) // it ends by Kill or Stop
	p.cmd.Env = p.env()
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = endsWithUs()
	p.exited = make(chan struct{})
	started := make(chan error, 1)
	go p.run(p.cmd, p.exited, started)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	return nil
}

// run stays on one thread for as long as the child lives: Linux tells a child of its parent's end when the thread that forked it ends.
func (p *Process) run(cmd *exec.Cmd, exited chan struct{}, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	err = cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(exited)
}

// Await waits until it is up; an error if it ends before.
func (p *Process) Await(ctx context.Context) error {
	if p.live == "" {
		return nil
	}
	exited := p.done()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if answers(ctx, p.live) {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("%s ended before it was up: %w", p.Name, p.failure())
		case <-ctx.Done():
			return fmt.Errorf("%s is not up: %w", p.Name, ctx.Err())
		case <-tick.C:
		}
	}
}

func (p *Process) done() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

func (p *Process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		return errors.New("without an error")
	}
	return p.err
}

// answers says whether a GET of url is answered 200 within a second.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Running says whether it has been started and has not ended.
func (p *Process) Running() bool {
	exited := p.done()
	if exited == nil {
		return false
	}
	select {
	case <-exited:
		return false
	default:
		return true
	}
}

// PID is the process's number, 0 if it was never started.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Signal sends it a signal; one that has ended gets none.
func (p *Process) Signal(sig os.Signal) {
	if !p.Running() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Signal(sig) // it may have ended in between
}

// Kill ends it as a power cut would and waits until it is gone.
func (p *Process) Kill() {
	if !p.Running() {
		return
	}
	p.Signal(os.Kill)
	<-p.done()
}

// Stop asks it to end, as Kubernetes does, and returns its error; one that takes more than 20 s is killed.
func (p *Process) Stop() error {
	if !p.Running() {
		return nil
	}
	p.Signal(syscall.SIGTERM)
	return p.Ended(stopPatience)
}

// Ended waits for its end and returns its error; after patience it is killed.
func (p *Process) Ended(patience time.Duration) error {
	select {
	case <-p.done():
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.err
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%s did not end within %v", p.Name, patience)
	}
}

// freeAddress is a port on loopback that is free now, below those that systems choose for outgoing connections (from 32768 on): one of these may be taken
// before it is listened to, or while its process is away.
func freeAddress() (string, error) {
	const from, to, tries = 20_000, 32_000, 100
	var failed error
	for range tries {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(from+rand.IntN(to-from)))) //nolint:gosec // chance, not secrecy
		if err == nil {
			return l.Addr().String(), l.Close()
		}
		failed = err
	}
	return "", fmt.Errorf("find a free port: %w", failed)
}

// Healthy says whether it answers that it is up.
func (p *Process) Healthy(ctx context.Context) bool { return p.live == "" || answers(ctx, p.live) }
