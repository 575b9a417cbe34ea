package httpserver

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/felixge/httpsnoop"
)

// tracked knows what has been answered. Its writer keeps the optional interfaces (Flusher, Hijacker, ...) of the one it wraps.
type tracked struct {
	http.ResponseWriter
	writer  http.ResponseWriter
	started bool
	status  int
	bytes   int64
}

func track(w http.ResponseWriter) *tracked {
	t := &tracked{ResponseWriter: w, status: http.StatusOK}
	t.writer = httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(status int) {
				if !t.started && status >= http.StatusOK {
					t.started, t.status = true, status
				}
				next(status)
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(b []byte) (int, error) {
				t.started = true
				n, err := next(b)
				t.bytes += int64(n)
				return n, err
			}
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) {
				t.started = true
				n, err := next(src)
				t.bytes += n
				return n, err
			}
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				conn, rw, err := next()
				t.started = t.started || err == nil
				return conn, rw, err
			}
		},
	})
	return t
}

// Written tells problem.Write that there is nothing left to answer.
func (t *tracked) Written() bool { return t.started }
