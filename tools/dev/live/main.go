//go:build linux

// Command live is process 1 of a container in development. It runs a program and, when Tilt brings a newer one, runs that in its place: seconds
// after a change, without a new image and without a new pod.
//
// The image is as bare as the released one, and its file system as read-only: there is no tar in it and nowhere to write. So this command is also
// the `tar` that Tilt calls to copy files into a container, and hands the program on to process 1, which keeps it in memory and starts it from there.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// socket is abstract: it has no file, and ends at the pod.
	socket = "@noteworks-live"
	// grace is what an old program gets to end.
	grace = 5 * time.Second
)

func main() {
	code, err := run(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "live:", err)
	}
	os.Exit(code)
}

func run(args []string) (int, error) {
	switch filepath.Base(args[0]) {
	case "tar":
		return outcome(unpack(os.Stdin, socket))
	case "rm":
		return 0, nil // Tilt removes a file here that is gone there, such as while it is being built
	}
	if len(args) < 2 {
		return 2, fmt.Errorf("which program? It is live PROGRAM [ARGUMENT]")
	}
	if len(args) > 2 { // a command that ends, such as a migration
		return 1, syscall.Exec(args[1], args[1:], os.Environ())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return (&runner{program: args[1], socket: socket, out: os.Stdout, grace: grace}).run(ctx)
}

func outcome(err error) (int, error) {
	if err != nil {
		return 1, err
	}
	return 0, nil
}
