// Package wire is the client side of HTTP and WebSocket for a load generator: a connection each, no pool, no goroutine, no timer and no
// buffer that is not needed. On a machine that the generator shares with what it measures, what it costs itself is what is missing there.
// Imports the standard library only. It is strict about what it is sent: a frame or an answer that it does not understand is an error.
package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// patience bounds one exchange.
const patience = 30 * time.Second

// HTTP is one connection to a server, with one request under way at a time. It is opened by the first request, and anew after it was idle for longer than
// servers wait.
type HTTP struct {
	addr, head string

	conn   net.Conn
	reader *bufio.Reader
	used   time.Time
	out    []byte
	body   []byte
}

// idleAtMost is less than what servers allow a connection that is kept.
const idleAtMost = 20 * time.Second

// NewHTTP is a connection to addr. host and token go into each request.
func NewHTTP(addr, host, token string) *HTTP {
	return &HTTP{addr: addr, head: " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + token + "\r\n"}
}

func (h *HTTP) connect() (err error) {
	if h.conn != nil && time.Since(h.used) > idleAtMost {
		h.Close()
	}
	if h.conn == nil {
		if h.conn, err = net.DialTimeout("tcp", h.addr, patience); err != nil {
			return err
		}
		h.reader = bufio.NewReaderSize(h.conn, 4096)
	}
	return h.conn.SetDeadline(time.Now().Add(patience))
}

// Answer is a response. Body is valid until the next request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request and reads its answer. A body is JSON.
func (h *HTTP) Do(method, path, ifMatch string, body []byte) (Answer, error) {
	if err := h.connect(); err != nil {
		return Answer{}, err
	}
	h.out = append(h.out[:0], method...)
	h.out = append(h.out, ' ')
	h.out = append(h.out, path...)
	h.out = append(h.out, h.head...)
	if ifMatch != "" {
		h.out = append(h.out, "If-Match: "+ifMatch+"\r\n"...)
	}
	if body != nil {
		h.out = append(h.out, "Content-Type: application/json\r\nContent-Length: "...)
		h.out = strconv.AppendInt(h.out, int64(len(body)), 10)
		h.out = append(h.out, "\r\n"...)
	}
	h.out = append(h.out, "\r\n"...)
	h.out = append(h.out, body...)
	if _, err := h.conn.Write(h.out); err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	a, err := h.read()
	h.used = time.Now()
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return a, nil
}

func (h *HTTP) read() (Answer, error) {
	resp, err := http.ReadResponse(h.reader, nil)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	if n := resp.ContentLength; n >= 0 && n <= int64(cap(h.body)) {
		h.body = h.body[:n]
		_, err = io.ReadFull(resp.Body, h.body)
	} else {
		h.body, err = io.ReadAll(resp.Body)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: h.body}, err
}

// Close ends the connection.
func (h *HTTP) Close() {
	if h.conn != nil {
		_ = h.conn.Close() // nothing to learn from it
		h.conn = nil
	}
}
