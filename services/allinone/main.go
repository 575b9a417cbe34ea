// Command allinone is Noteworks in one process: user, note and gateway on an embedded NATS server and a private PostgreSQL.
// It is the default for trying and for tests, and a second implementation of nothing. With the words of package console it administers one that runs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"noteworks.dev/services/allinone/console"
	"noteworks.dev/services/allinone/server"
	"noteworks.dev/services/internal/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if args := os.Args[1:]; console.Knows(args) {
		os.Exit(console.Run(ctx, args, os.Stdout, os.Stderr))
	}
	heap := prepareHeap()
	defer runtime.KeepAlive(heap)
	go program.GiveBackMemory(ctx, heap.resting)
	if err := server.Run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "noteworks:", err)
		os.Exit(1)
	}
}
