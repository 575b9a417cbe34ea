// Package local runs the whole stack as the one program that `make up` runs, for commands that measure or attack it from outside.
package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is a built allinone.
type Program struct {
	path string
	env  []string
}

// Build compiles services/allinone into dir. Call it from anywhere inside the module.
func Build(ctx context.Context, dir string) (Program, error) {
	p := Program{path: filepath.Join(dir, "noteworks")}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", p.path, "noteworks.dev/services/allinone").CombinedOutput()
	if err != nil {
		return Program{}, fmt.Errorf("build allinone: %w\n%s", err, out)
	}
	return p, nil
}

// With is the program with further settings in its environment, each as NAME=value.
func (p Program) With(env ...string) Program {
	return Program{path: p.path, env: slices.Concat(p.env, env)}
}

// Stack is one running allinone.
type Stack struct {
	URL, Email, Password string

	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

var field = regexp.MustCompile(`^\s+(URL|E-mail|Password)\s+(\S+)`)

// Start runs the program on the data directory and waits until it has printed its URL and the owner's sign-in.
// What it prints beyond that, its log, goes to log.
func (p Program) Start(ctx context.Context, data string, log io.Writer, args ...string) (*Stack, error) {
	s := &Stack{exited: make(chan struct{})}
	last := &tail{to: log}
	log = last
	s.cmd = exec.Command(p.path, append([]string{"--data", data, "--port", "0"}, args...)...)
	s.cmd.Env = append(os.Environ(), p.env...)
	s.cmd.Stderr = log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go s.follow(stdout, log, ready)
	select {
	case <-ready:
		return s, nil
	case <-s.exited:
		return nil, fmt.Errorf("allinone ended before it was ready: %w\n%s", s.err, last)
	case <-ctx.Done():
		s.Kill()
		return nil, fmt.Errorf("allinone is not ready: %w", ctx.Err())
	}
}

func (s *Stack) follow(stdout io.Reader, log io.Writer, ready chan<- struct{}) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		_, _ = fmt.Fprintln(log, lines.Text())
		if m := field.FindStringSubmatch(lines.Text()); m != nil && s.Password == "" {
			switch m[1] {
			case "URL":
				s.URL = m[2]
			case "E-mail":
				s.Email = m[2]
			case "Password":
				s.Password = m[2]
				close(ready)
			}
		}
	}
	s.err = s.cmd.Wait()
	close(s.exited)
}

// tail passes on what is written and remembers the end of it.
type tail struct {
	to io.Writer

	mu  sync.Mutex
	end []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	t.end = t.end[max(0, len(t.end)-most):]
	return t.to.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.end)
}

// PID is the process's id. Its private PostgreSQL is a child of it.
func (s *Stack) PID() int { return s.cmd.Process.Pid }

// Kill ends it as a power cut would and waits until it is gone.
func (s *Stack) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// Stop asks it to end, as Ctrl-C does, and returns how long it took; an error if it did not end well within 10 s.
func (s *Stack) Stop() (time.Duration, error) {
	began := time.Now()
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.exited:
		return time.Since(began), s.err
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.exited
		return time.Since(began), fmt.Errorf("allinone did not stop within 10 s")
	}
}

// Usage is what the process has used; the private PostgreSQL is not part of it.
type Usage struct {
	CPU      time.Duration
	Resident int64 // bytes
}

// Usage reads the process's own account from /proc; zero where there is none.
func (s *Stack) Usage() Usage {
	dir := filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Usage{}
	}
	// proc(5): fields 14 and 15 are user and system time in clock ticks of 1/100 s; 24 is the resident set in pages.
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	at := func(n int) int64 { v, _ := strconv.ParseInt(f[n-3], 10, 64); return v }
	return Usage{
		CPU:      time.Duration(at(14)+at(15)) * 10 * time.Millisecond,
		Resident: at(24) * int64(os.Getpagesize()),
	}
}
