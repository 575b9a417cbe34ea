package anchor

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"noteworks.dev/test/load/wire"
)

// message is about as long as a small request.
func message() []byte {
	m := make([]byte, 200)
	for i := range m {
		m[i] = 'x'
	}
	return m
}

func tcp(ctx context.Context, during time.Duration) (sample, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = l.Close() }()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(plain{conn}, plain{conn}) // until the other side leaves
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = conn.Close() }()
	out, in := message(), message()
	return loop(ctx, 1, during, func(int) (func() error, func(), error) {
		once := func() error {
			if _, err := conn.Write(out); err != nil {
				return err
			}
			_, err := io.ReadFull(conn, in)
			return err
		}
		return once, func() {}, nil
	})
}

// plain hides what would let the kernel echo by itself.
type plain struct{ io.ReadWriter }

// echo sends back what comes, by the library that the gateway uses, until the other side leaves.
func echo(conn net.Conn) {
	for {
		m, op, err := wsutil.ReadClientData(conn)
		if err != nil {
			return
		}
		if err := wsutil.WriteServerMessage(conn, op, m); err != nil {
			return
		}
	}
}

func webSocket(ctx context.Context, during time.Duration) (sample, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return sample{}, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, _, _, err := ws.UpgradeHTTP(r, w); err == nil {
			go echo(conn)
		}
	})}
	go func() { _ = server.Serve(l) }() // until it is closed
	defer func() { _ = server.Close() }()
	s, err := wire.DialSocket(ctx, l.Addr().String(), "localhost", "/", nil)
	if err != nil {
		return sample{}, err
	}
	defer s.Close()
	out := message()
	return loop(ctx, 1, during, func(int) (func() error, func(), error) {
		once := func() error {
			if err := s.Send(out); err != nil {
				return err
			}
			_, err := s.Next()
			return err
		}
		return once, func() {}, nil
	})
}
