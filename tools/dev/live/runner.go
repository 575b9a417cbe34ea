//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// running is the answer to a program that was started.
const running = "running"

// A runner runs one program at a time.
type runner struct {
	program string // of the image; later ones are called the same
	socket  string
	out     io.Writer
	grace   time.Duration
}

// arrival is a newer program, in memory, and who wants to hear how it went.
type arrival struct {
	file   *os.File
	answer chan<- error
}

// process is a program that was started. exited is closed when it has ended.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// run ends as the program does, with its exit code, or as it is told by ctx.
func (r *runner) run(ctx context.Context) (int, error) {
	listener, err := net.Listen("unix", r.socket)
	if err != nil {
		return 1, err
	}
	defer func() { _ = listener.Close() }()
	arrivals := make(chan arrival)
	go r.receive(ctx, listener, arrivals)

	path := r.program
	p, err := r.start(path)
	if err != nil {
		return 1, err
	}
	for {
		select {
		case <-p.exited:
			return code(p.cmd), nil
		case <-ctx.Done():
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // gone already if it fails
			<-p.exited
			return code(p.cmd), nil
		case next := <-arrivals:
			r.end(p)
			began := time.Now()
			newer := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), next.file.Fd())
			p, err = r.start(newer)
			if err == nil {
				path = newer
				_, _ = fmt.Fprintf(r.out, "live: the newer %s was started in %v\n", r.program, time.Since(began).Round(time.Millisecond))
			}
			next.answer <- err
			if err != nil {
				if p, err = r.start(path); err != nil {
					return 1, err
				}
			}
		}
	}
}

func (r *runner) start(path string) (*process, error) {
	cmd := exec.Command(path) //nolint:noctx // it is ended in its own way
	cmd.Args = []string{r.program}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended stands in its state
		close(p.exited)
	}()
	return p, nil
}

// end asks a program to end, and does not ask twice.
func (r *runner) end(p *process) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // gone already if it fails
	timer := time.NewTimer(r.grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// receive takes programs, one after the other.
func (r *runner) receive(ctx context.Context, listener net.Listener, arrivals chan<- arrival) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		err = r.take(ctx, conn, arrivals)
		said := running
		if err != nil {
			said = err.Error()
		}
		_, _ = io.WriteString(conn, said) // who left does not want to know
		_ = conn.Close()
	}
}

func (r *runner) take(ctx context.Context, conn net.Conn, arrivals chan<- arrival) error {
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), r.program) // kept open: the program is run from it
	n, err := io.Copy(file, conn)
	if err == nil && n == 0 {
		err = errors.New("an empty file")
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	answer := make(chan error, 1)
	select {
	case arrivals <- arrival{file, answer}:
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-answer
}

// code is how a process says it ended; one that was killed ended badly.
func code(cmd *exec.Cmd) int {
	if c := cmd.ProcessState.ExitCode(); c >= 0 {
		return c
	}
	return 1
}
