// Command allinone is Noteworks in one process: user, note and gateway on an embedded NATS server and a private PostgreSQL.
// It is the default for trying and for tests, and a second implementation of nothing. With the words of package console it administers one that runs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"noteworks.dev/services/allinone/console"
	"noteworks.dev/services/allinone/server"
)

// The heap of one small team is small, so the collector would run many times a second under load, and each time half of the people at work would wait
// for it. Ballast is memory that the collector counts and that nobody ever touches, so that it takes none: the heap is collected when it has doubled with
// the ballast in it. GOGC and GOMEMLIMIT still decide if they are set.
const (
	ballastBytes = 96 << 20
	memoryLimit  = 512<<20 + ballastBytes
)

func main() {
	if os.Getenv("GOGC") == "" {
		ballast := make([]byte, ballastBytes)
		defer runtime.KeepAlive(ballast)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if args := os.Args[1:]; console.Knows(args) {
		os.Exit(console.Run(ctx, args, os.Stdout, os.Stderr))
	}
	if err := server.Run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "noteworks:", err)
		os.Exit(1)
	}
}
