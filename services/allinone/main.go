// Command allinone is Noteworks in one process: user, note and gateway on an embedded NATS server and a private PostgreSQL.
// It is the default for trying and for tests, and a second implementation of nothing. With the words of package console it administers one that runs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"noteworks.dev/services/allinone/console"
	"noteworks.dev/services/allinone/server"
)

// The heap of one small team is small, so the collector would run many times a second under load. A tenth of the processor time is worth
// some tens of megabytes; GOGC and GOMEMLIMIT still decide if they are set.
const (
	gcPercent   = 400
	memoryLimit = 512 << 20
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
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
