package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pods are programs of this process: each answers a connection with its name and the line it was sent.
type pods struct {
	mu    sync.Mutex
	ready []Target
	down  map[string]error
}

func (p *pods) Targets() []Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

func (p *pods) set(names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = nil
	for _, n := range names {
		p.ready = append(p.ready, Target{Pod: n, Port: 80})
	}
}

func (p *pods) Dial(_ context.Context, to Target) (io.ReadWriteCloser, error) {
	if err := p.down[to.Pod]; err != nil {
		return nil, err
	}
	here, there := net.Pipe()
	go func() {
		defer func() { _ = there.Close() }()
		line := make([]byte, 5)
		for {
			if _, err := io.ReadFull(there, line); err != nil {
				return
			}
			if _, err := there.Write([]byte(to.Pod + " " + string(line))); err != nil || string(line) == "leave" {
				return
			}
		}
	}()
	return here, nil
}

func start(t *testing.T, p *pods) *Listener {
	t.Helper()
	l, err := Listen(p, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// say sends five letters and returns who answered.
func say(t *testing.T, conn net.Conn, word string) string {
	t.Helper()
	if _, err := conn.Write([]byte(word)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("pod-a ")+len(word))
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	pod, got, _ := strings.Cut(string(answer), " ")
	if got != word {
		t.Fatalf("%s answered %q, not %q", pod, got, word)
	}
	return pod
}

func TestConnectionsGoToEachReadyPodInTurn(t *testing.T) {
	t.Parallel()
	p := &pods{}
	p.set("pod-a", "pod-b")
	l := start(t, p)
	seen := map[string]int{}
	for range 6 {
		seen[say(t, dial(t, l), "hello")]++
	}
	if seen["pod-a"] != 3 || seen["pod-b"] != 3 {
		t.Errorf("the connections went to %v", seen)
	}
}

func TestAConnectionStaysWithItsPodWhenNewOnesGoElsewhere(t *testing.T) {
	t.Parallel()
	p := &pods{}
	p.set("pod-a")
	l := start(t, p)
	old := dial(t, l)
	say(t, old, "hello")
	p.set("pod-b")
	if got := say(t, dial(t, l), "hello"); got != "pod-b" {
		t.Errorf("a new connection went to %s", got)
	}
	if got := say(t, old, "again"); got != "pod-a" {
		t.Errorf("the old connection went to %s", got)
	}
}

func TestWhatAPodEndsEndsForTheClientAfterItsLastByte(t *testing.T) {
	t.Parallel()
	p := &pods{}
	p.set("pod-a")
	conn := dial(t, start(t, p))
	say(t, conn, "leave")
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end came %d bytes, %v", n, err)
	}
}

func TestWithoutAReadyPodConnectionsAreRefusedAndTheReasonIsKept(t *testing.T) {
	t.Parallel()
	p := &pods{down: map[string]error{"pod-a": errors.New("gone")}}
	l := start(t, p)
	requireBroken(t, l)
	p.set("pod-a")
	requireBroken(t, l)
	got := strings.Join(l.Problems(), "\n")
	if want := "no pod is ready\nconnect to pod-a port 80: gone"; got != want {
		t.Errorf("the problems are\n%s", got)
	}
}

// requireBroken connects and requires a reset: an orderly end could be taken for an empty answer.
func requireBroken(t *testing.T, l *Listener) {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		return // even before the client knew that it was connected
	}
	defer func() { _ = conn.Close() }()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a connection to nobody gave %d bytes, %v", n, err)
	}
}
