package main

import (
	"io"
	"net"
	"path/filepath"
	"sync"
)

// door is a port on loopback that leads to the server's Unix socket, for proxies that know TCP only. Passwords are asked for behind it.
type door struct {
	listener net.Listener
	socket   string
}

func openDoor(socketDir string) (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &door{listener: l, socket: filepath.Join(socketDir, ".s.PGSQL.5432")}
	go d.serve()
	return d, nil
}

func (d *door) addr() string { return d.listener.Addr().String() }

func (d *door) close() { _ = d.listener.Close() }

func (d *door) serve() {
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		go d.lead(client)
	}
}

// lead copies both ways until either side ends.
func (d *door) lead(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", d.socket) //nolint:noctx // it is answered at once or refused
	if err != nil {
		return
	}
	var ended sync.WaitGroup
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // whoever ends first ends both
		_ = to.Close()
		_ = from.Close()
	}
	ended.Go(func() { pass(server, client) })
	pass(client, server)
	ended.Wait()
}
