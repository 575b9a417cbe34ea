//go:build linux

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// unpack hands each file of an archive on to the process that listens at socket, and waits until it runs.
func unpack(archive io.Reader, socket string) error {
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := send(files, socket); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func send(program io.Reader, socket string) error {
	conn, err := net.Dial("unix", socket) //nolint:noctx // within the machine
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	to, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("not a socket of this machine")
	}
	if _, err := io.Copy(to, program); err != nil {
		return err
	}
	if err := to.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(to)
	if err != nil {
		return err
	}
	if said := strings.TrimSpace(string(answer)); said != running {
		return fmt.Errorf("not started: %s", said)
	}
	return nil
}
