package socket_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/gateway/internal/socket"
)

const (
	audience = 1000
	// frameAround is what surrounds cursor and data in the frames of this test, and four bytes of header.
	frameAround = `{"type":"event","event":"note.v1.NoteChanged","id":"e","cursor":"","data":}` + "...."
)

// eventData is 300 bytes as a note's change without its text is.
func eventData() string {
	return `{"noteId":"0190aaaa-0000-7000-8000-000000000009","title":"` + strings.Repeat("x", 200) + `"}`
}

// reader counts what arrives at many connections.
type reader struct {
	bytes, target atomic.Int64
	reached       chan struct{}
}

func newReader() *reader { return &reader{reached: make(chan struct{}, 1)} }

func (r *reader) read(conn net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if target := r.target.Load(); r.bytes.Add(int64(n)) >= target && target > 0 {
			select {
			case r.reached <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *reader) waitFor(total int64) {
	r.target.Store(total)
	for r.bytes.Load() < total {
		<-r.reached
	}
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFanOut sends each event to 1,000 sockets and waits until all have it. Compare with BenchmarkFanOutBare, which writes the same bytes to as many
// bare connections: what is more is what the hub costs.
func BenchmarkFanOut(b *testing.B) {
	w := startWorld(b, socket.Config{MaxSockets: audience}, live.Limits{})
	event := eventData()
	people := make([]string, audience)
	r := newReader()
	for i := range people {
		people[i] = fmt.Sprint(i)
		conn := rawSignedIn(b, w, people[i])
		go r.read(conn)
	}
	b.ResetTimer()
	begin := cpu(b)
	var total int64
	for range b.N {
		if n := w.happen(event, people...); n != audience {
			b.Fatalf("queued for %d", n)
		}
		at := live.Cursor{live.NoteStream: {w.next.Load()}}
		total += audience * int64(len(frameAround)+len(at.String())+len(event))
		r.waitFor(total)
	}
	b.ReportMetric(float64(cpu(b)-begin)/float64(b.N)/audience, "cpu-ns/delivery")
}

func rawSignedIn(b *testing.B, w *world, person string) net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, handshake+textFrame(`{"type":"auth","token":"`+person+`"}`)); err != nil {
		b.Fatal(err)
	}
	var got strings.Builder
	buf := make([]byte, 512)
	for !strings.HasSuffix(got.String(), `"}`) {
		n, err := conn.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		got.Write(buf[:n])
	}
	return conn
}

// BenchmarkFanOutBare is the same without anything of ours.
func BenchmarkFanOutBare(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	r := newReader()
	conns := make([]net.Conn, audience)
	for i := range conns {
		there, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = there.Close() }()
		if conns[i], err = l.Accept(); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conns[i].Close() }()
		go r.read(there)
	}
	frame := []byte(eventData() + strings.Repeat(" ", 100))
	b.ResetTimer()
	begin := cpu(b)
	for i := range b.N {
		for _, c := range conns {
			if _, err := c.Write(frame); err != nil {
				b.Fatal(err)
			}
		}
		r.waitFor(int64(i+1) * int64(len(frame)) * audience)
	}
	b.ReportMetric(float64(cpu(b)-begin)/float64(b.N)/audience, "cpu-ns/delivery")
}

// BenchmarkIdleSockets reports what a socket costs that nothing happens on, without its client.
func BenchmarkIdleSockets(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := startWorld(b, socket.Config{MaxSockets: audience}, live.Limits{})
		heap, stacks := inUse()
		conns := make([]net.Conn, audience)
		for i := range conns {
			conns[i] = rawSignedIn(b, w, fmt.Sprint(i))
		}
		heapAfter, stacksAfter := inUse()
		b.ReportMetric(float64(heapAfter-heap)/audience, "heap-B/socket")
		b.ReportMetric(float64(stacksAfter-stacks)/audience, "stack-B/socket")
		for _, c := range conns {
			_ = c.Close()
		}
		w.waitFor("the end of all", func() bool { return w.sockets.Sockets() == 0 })
		b.StartTimer()
	}
}

func inUse() (heap, stacks uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse
}
