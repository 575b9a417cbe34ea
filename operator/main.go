// Command operator makes of every NoteWorkspace what it says. It is configured by its environment only; package server lists the settings.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"noteworks.dev/operator/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Main(ctx, os.Environ(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}
