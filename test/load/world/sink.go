package world

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Sink takes traces by OTLP over HTTP and throws them away, as a collector that costs nothing.
type Sink struct {
	listener net.Listener
	server   *http.Server
	bytes    atomic.Int64
}

// NewSink listens on a free port of the loopback interface.
func NewSink() (*Sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Sink{listener: l}
	s.server = &http.Server{Handler: http.HandlerFunc(s.take), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_, _ = fmt.Fprintln(os.Stderr, "the sink of traces:", err)
		}
	}()
	return s, nil
}

func (s *Sink) take(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body) // what was cut off is counted as far as it came
	s.bytes.Add(n)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// URL is the endpoint.
func (s *Sink) URL() string { return "http://" + s.listener.Addr().String() }

// Bytes is how much has come, compressed as it was sent.
func (s *Sink) Bytes() int64 { return s.bytes.Load() }

// Close ends it.
func (s *Sink) Close() { _ = s.server.Close() }
