package httpserver

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// tracked is a ResponseWriter that knows what has been answered. What the writer below it can do beyond that, it can do, too, or says that it is not supported.
type tracked struct {
	http.ResponseWriter
	started bool
	status  int
	bytes   int64
}

// track is w tracked, and w itself if it is already.
func track(w http.ResponseWriter) *tracked {
	if t, ok := w.(*tracked); ok {
		return t
	}
	return &tracked{ResponseWriter: w, status: http.StatusOK}
}

func (t *tracked) WriteHeader(status int) {
	if !t.started && status >= http.StatusOK {
		t.started, t.status = true, status
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(b []byte) (int, error) {
	t.started = true
	n, err := t.ResponseWriter.Write(b)
	t.bytes += int64(n)
	return n, err
}

// ReadFrom lets the writer below copy in its own way, if it has one.
func (t *tracked) ReadFrom(src io.Reader) (int64, error) {
	t.started = true
	n, err := io.Copy(t.ResponseWriter, src)
	t.bytes += n
	return n, err
}

func (t *tracked) Flush() { _ = t.FlushError() } // http.Flusher has no error

// FlushError is what http.ResponseController asks for.
func (t *tracked) FlushError() error {
	err := http.NewResponseController(t.ResponseWriter).Flush()
	t.started = t.started || !errors.Is(err, http.ErrNotSupported)
	return err
}

func (t *tracked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	t.started = t.started || err == nil
	return conn, rw, err
}

// Unwrap is for http.ResponseController.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Written tells problem.Write that there is nothing left to answer.
func (t *tracked) Written() bool { return t.started }
